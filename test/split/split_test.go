// Package split splits tables of real clusters under load and under faults.
package split

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/test/chaos"
	"github.com/arionkv/arion/test/cluster"
)

// patience bounds waits for conditions; no test decides by time.
const patience = 3 * time.Minute

type fixture struct {
	t     *testing.T
	ctx   context.Context
	admin *admin.Admin
	table *client.Table
	c     *client.Client
	view  chaos.View
}

func setUp(t *testing.T, s chaos.System, partitions int, o ...client.Option) *fixture {
	t.Helper()
	return setUpCopies(t, s, partitions, 3, o...)
}

func setUpCopies(t *testing.T, s chaos.System, partitions, copies int, o ...client.Option) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	f := &fixture{t: t, ctx: ctx, c: cluster.Connect(t, s.Metas(), o...)}
	f.admin = admin.New(f.c)
	_, err := f.admin.CreateTable(ctx, "t", admin.CreateOptions{Partitions: partitions, Replicas: copies})
	require.NoError(t, err)
	require.NoError(t, f.admin.WaitReady(ctx, "t"))
	f.table, f.view = f.c.Table("t"), chaos.View{System: s, Admin: f.admin}
	return f
}

func (f *fixture) eventually(what string, check func() error) {
	f.t.Helper()
	cluster.Eventually(f.t, patience, what, check)
}

// done waits for the end of the split.
func (f *fixture) done() {
	f.t.Helper()
	f.eventually("end of the split", func() error {
		state, err := f.admin.SplitState(f.ctx, "t")
		var coded *code.Error
		if errors.As(err, &coded) && coded.Code == code.InvalidState || errors.Is(err, admin.ErrState) {
			return nil
		}
		return fmt.Errorf("%v, %w", state, errors.Join(err, errors.New("splitting")))
	})
}

func (f *fixture) put(names ...string) {
	f.t.Helper()
	for _, n := range names {
		f.eventually("write of "+n, func() error { return f.table.Set(f.ctx, []byte(n), []byte("s"), []byte(n)) })
	}
}

func names(prefix string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%s%05d", prefix, i))
	}
	return out
}

// scanned counts the records of a whole scan by hash key.
func scanned(ctx context.Context, table *client.Table, parallel int) (map[string]int, error) {
	scanners, err := table.UnorderedScanners(ctx, parallel, client.ScanOptions{PageSize: 20})
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	seen := map[string]int{}
	errs := make([]error, len(scanners))
	var wg sync.WaitGroup
	for i, s := range scanners {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer s.Close()
			for row, err := range s.Rows(ctx) {
				if err != nil {
					errs[i] = err
					return
				}
				mu.Lock()
				seen[string(row.HashKey)]++
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	return seen, errors.Join(errs...)
}

func requireOnce(t *testing.T, want []string, seen map[string]int) {
	t.Helper()
	lost, doubled := 0, 0
	for _, n := range want {
		switch {
		case seen[n] == 0:
			lost++
		case seen[n] > 1:
			doubled++
		}
	}
	require.Zero(t, lost, "records lost by a scan of %d", len(want))
	require.Zero(t, doubled, "records twice in a scan of %d", len(want))
}

// TestSplit: a table splits twice; every record is found by key and by scans, on
// the right partition, and everything is still there after a restart.
func TestSplit(t *testing.T) {
	c := cluster.Start(t, cluster.Options{})
	f := setUp(t, c, 4)
	all := names("k", 400)
	f.put(all...)
	for _, count := range []int{8, 16} {
		require.NoError(t, f.admin.StartSplit(f.ctx, "t", count))
		f.done()
		more := names(fmt.Sprintf("after%d-", count), 100)
		f.put(more...)
		all = append(all, more...)
		for _, n := range all {
			v, err := f.table.Get(f.ctx, []byte(n), []byte("s"))
			require.NoError(t, err, n)
			require.Equal(t, n, string(v))
		}
		seen, err := scanned(f.ctx, f.table, 3)
		require.NoError(t, err)
		requireOnce(t, all, seen)
		require.Len(t, seen, len(all))
	}
	f.eventually("agreement", func() error { return f.view.Agreement(f.ctx, 3) })
	for _, name := range c.Replicas() {
		c.Stop(name)
	}
	for _, name := range c.Replicas() {
		c.Restart(name)
	}
	c.WaitReady()
	for _, n := range all {
		f.eventually("read of "+n, func() error {
			v, err := f.table.Get(f.ctx, []byte(n), []byte("s"))
			if err == nil && string(v) != n {
				t.Fatalf("%s holds %q", n, v)
			}
			return err
		})
	}
}

// TestLinearizableDuringSplit: clients fight over few records while the table
// splits. In the first split a leader of a parent dies, in the second another and
// the meta leader with it; in the third one is paused until its partitions have
// other leaders, and wakes up with what it believed.
func TestLinearizableDuringSplit(t *testing.T) {
	p := cluster.StartProcesses(t, cluster.ProcessOptions{Metas: 3})
	f := setUp(t, p, 2, chaos.Options()...)
	other := cluster.Connect(t, p.Metas(), append(chaos.Options(), client.WithKeepalive(time.Minute, time.Minute))...)
	load := chaos.NewLoad(uint64(time.Now().UnixNano()), 10, p.Metas(), f.table, other.Table("t"))
	ctx, stop := context.WithCancel(f.ctx)
	finished := make(chan struct{})
	go func() { defer close(finished); load.Run(ctx) }()

	quiet := cluster.Connect(t, p.Metas())
	control := admin.New(quiet)
	for i, count := range []int{4, 8, 16} {
		f.eventually("some load", func() error { return more(load, 500*(i+1)) })
		require.NoError(t, control.StartSplit(f.ctx, "t", count))
		leaders := f.view.Leaders(f.ctx)
		require.NotEmpty(t, leaders)
		victim := leaders[i%len(leaders)].Server
		if i == 2 {
			f.pause(p, victim, count/2)
			f.done()
			continue
		}
		down := []string{victim}
		if i == 1 {
			down = append(down, f.metaLeader(p))
		}
		require.NoError(t, p.Kill(down...))
		for _, name := range down {
			// The kernel may still be busy with what was killed.
			f.eventually("restart of "+name, func() error { return p.Restart(name) })
		}
		f.done()
	}
	f.eventually("load after the splits", func() error { return more(load, 3000) })
	stop()
	<-finished
	require.NoError(t, f.admin.WaitReady(f.ctx, "t"))
	require.NoError(t, load.Finish(f.ctx))
	t.Logf("%d operations, %d of unknown outcome", load.History.Len(), load.History.Unknown())
	dir, err := os.MkdirTemp("", "arion-history-")
	require.NoError(t, err)
	for _, violation := range load.History.Check(time.Minute, dir) {
		t.Error(violation.Error())
	}
	if !t.Failed() {
		os.RemoveAll(dir)
	}
	f.eventually("agreement", func() error { return f.view.Agreement(f.ctx, 3) })
}

// pause stops a server until others lead what it led.
func (f *fixture) pause(p *cluster.Processes, victim string, partitions int) {
	f.t.Helper()
	require.NoError(f.t, p.Signal(victim, syscall.SIGSTOP))
	f.eventually("leaders elsewhere", func() error {
		led := map[int32]bool{}
		for _, l := range f.view.Leaders(f.ctx) {
			led[l.Partition] = led[l.Partition] || l.Server != victim
		}
		if len(led) < partitions {
			return fmt.Errorf("%v of %d", led, partitions)
		}
		return nil
	})
	require.NoError(f.t, p.Signal(victim, syscall.SIGCONT))
}

// metaLeader is the name of the meta server that leads.
func (f *fixture) metaLeader(p *cluster.Processes) (name string) {
	f.eventually("a meta leader", func() error {
		facts, err := f.admin.ClusterInfo(f.ctx)
		if err != nil {
			return err
		}
		for _, n := range p.MetaNames() {
			if facts.Get("primary_meta_server") == p.Addr(n) {
				name = n
				return nil
			}
		}
		return errors.New("none")
	})
	return name
}

func more(load *chaos.Load, n int) error {
	if have := load.History.Len(); have < n {
		return fmt.Errorf("%d operations", have)
	}
	return nil
}

// TestScansDuringSplit: scans that run while the table splits see every record
// that was there all the time, once.
func TestScansDuringSplit(t *testing.T) {
	c := cluster.Start(t, cluster.Options{})
	f := setUp(t, c, 4)
	fixed := names("fixed", 600)
	f.put(fixed...)
	var stop atomic.Bool
	var scans atomic.Int64
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			table := cluster.Connect(t, c.Metas()).Table("t")
			for !stop.Load() {
				seen, err := scanned(f.ctx, table, 1+i)
				if err != nil {
					continue // the scan may be broken off, not wrong
				}
				scans.Add(1)
				for _, n := range fixed {
					if seen[n] != 1 {
						t.Errorf("scanner %d: %s seen %d times", i, n, seen[n])
						return
					}
				}
			}
		}()
	}
	for _, count := range []int{8, 16} {
		before := scans.Load()
		require.NoError(t, f.admin.StartSplit(f.ctx, "t", count))
		f.done()
		f.eventually("scans afterwards", func() error {
			if scans.Load() < before+3 && !t.Failed() {
				return errors.New("too few")
			}
			return nil
		})
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d scans", scans.Load())
}

// TestControl: pause, restart and cancel at every stage, with the answers that the
// protocol has for each.
func TestControl(t *testing.T) {
	c := cluster.Start(t, cluster.Options{})
	f := setUp(t, c, 8)
	all := names("k", 200)
	f.put(all...)
	code := func(err error) string {
		if err == nil {
			return ""
		}
		return code.Of(err).String()
	}
	control := func(op admin.SplitControl, partition, old int) string {
		return code(f.admin.ControlSplit(f.ctx, "t", op, partition, old))
	}
	require.Equal(t, "ERR_INVALID_STATE", control(admin.SplitPause, -1, 0))
	require.Equal(t, "ERR_INVALID_PARAMETERS", code(f.admin.StartSplit(f.ctx, "t", 8)))
	require.Equal(t, "ERR_APP_NOT_EXIST", code(f.admin.StartSplit(f.ctx, "x", 8)))

	// Frozen, nothing is cut, so that the stages stand still.
	require.NoError(t, f.level(admin.LevelFrozen))
	require.NoError(t, f.admin.StartSplit(f.ctx, "t", 16))
	require.Equal(t, "ERR_BUSY", code(f.admin.StartSplit(f.ctx, "t", 32)))
	require.Equal(t, "ERR_SPLITTING", code(f.admin.DropTable(f.ctx, "t", admin.DropOptions{})))
	require.Equal(t, "ERR_INVALID_PARAMETERS", control(admin.SplitPause, 8, 0))
	require.Equal(t, "ERR_INVALID_PARAMETERS", control(admin.SplitCancel, -1, 16))
	require.Equal(t, "", control(admin.SplitPause, 3, 0))
	f.eventually("partition 3 is paused", func() error {
		state, err := f.admin.SplitState(f.ctx, "t")
		if err != nil || len(state) != 8 || state[3] != "PAUSED" || state[2] != "SPLITTING" {
			return fmt.Errorf("%v %w", state, errors.Join(err, errors.New("not yet")))
		}
		return nil
	})
	require.Equal(t, "ERR_INVALID_STATE", control(admin.SplitPause, 3, 0))
	require.Equal(t, "ERR_INVALID_STATE", control(admin.SplitRestart, 2, 0))
	f.put(all...) // the parents serve both halves
	require.Equal(t, "", control(admin.SplitCancel, -1, 8))
	f.done()
	f.reads(all)

	// A second try; one partition stays behind, the others are past the point of no return.
	require.NoError(t, f.admin.StartSplit(f.ctx, "t", 16))
	require.Equal(t, "", control(admin.SplitPause, 5, 0))
	require.NoError(t, f.level(admin.LevelSteady))
	f.eventually("all but partition 5 have split", func() error {
		state, err := f.admin.SplitState(f.ctx, "t")
		if err != nil || len(state) != 1 || state[5] != "PAUSED" {
			return fmt.Errorf("%v %w", state, errors.Join(err, errors.New("not yet")))
		}
		return nil
	})
	require.Equal(t, "ERR_CHILD_REGISTERED", control(admin.SplitCancel, -1, 8))
	require.Equal(t, "ERR_CHILD_REGISTERED", control(admin.SplitPause, 1, 0))
	require.Equal(t, "ERR_INVALID_STATE", control(admin.SplitRestart, 1, 0))
	f.reads(all)
	f.put(all...)
	require.Equal(t, "", control(admin.SplitRestart, -1, 0))
	f.done()
	f.reads(all)
	require.Equal(t, "ERR_INVALID_STATE", control(admin.SplitCancel, -1, 8))
	seen, err := scanned(f.ctx, f.table, 2)
	require.NoError(t, err)
	requireOnce(t, all, seen)
}

func (f *fixture) level(l admin.Level) error {
	_, err := f.admin.SetLevel(f.ctx, l)
	return err
}

func (f *fixture) reads(all []string) {
	f.t.Helper()
	for _, n := range all {
		v, err := f.table.Get(f.ctx, []byte(n), []byte("s"))
		require.NoError(f.t, err, n)
		require.Equal(f.t, n, string(v))
	}
}

// TestSpaceComesBack: after the split each half gives the other's space back
// without being asked.
func TestSpaceComesBack(t *testing.T) {
	c := cluster.Start(t, cluster.Options{Replicas: 1})
	f := setUpCopies(t, c, 2, 1)
	value := make([]byte, 10_000)
	_, _ = rand.Read(value) // not to be compressed
	const records = 1000
	for i := range records {
		require.NoError(t, f.table.Set(f.ctx, fmt.Appendf(nil, "k%d", i), nil, value))
	}
	require.NoError(t, f.admin.StartSplit(f.ctx, "t", 4))
	f.done()
	share := float64(records*len(value)) / 4
	f.eventually("each partition has about a quarter of the bytes", func() error {
		status := f.view.Status(f.ctx)
		for _, s := range status {
			var sizes []int64
			for _, r := range s.Replicas {
				sizes = append(sizes, r.SizeBytes)
				if size := float64(r.SizeBytes); size < 0.7*share || size > 1.3*share {
					return fmt.Errorf("sizes %v, a quarter is %.0f", sizes, share)
				}
			}
			if len(sizes) == 4 {
				return nil
			}
		}
		return errors.New("no status")
	})
	for i := range records {
		v, err := f.table.Get(f.ctx, fmt.Appendf(nil, "k%d", i), nil)
		require.NoError(t, err)
		require.Len(t, v, len(value))
	}
}
