package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/test/cluster"
)

// failover measures how long writes to a partition fail when its leader's server
// goes away.
type failover struct {
	t      *testing.T
	v      View
	client *client.Client
	table  *client.Table
	rng    *rand.Rand
	// elected, known and written are, per affected partition, the times from the
	// fault until another replica leads, a meta server says so, and a client's
	// write succeeds. worst is the last of the writes of each run.
	elected, known, written, worst durations
}

const failoverPartitions = 8

// TestFailoverTimes prints distributions; it judges nothing, since it measures
// the machine and its other users too.
func TestFailoverTimes(t *testing.T) {
	if *runsFlag == 0 {
		t.Skip("a measurement; run it with make bench-failover")
	}
	for _, kind := range []struct {
		name      string
		out, back func(p *cluster.Processes, name string) error
	}{
		{"kill -9", func(p *cluster.Processes, name string) error { return p.Kill(name) },
			func(p *cluster.Processes, name string) error { return p.Restart(name) }},
		{"SIGSTOP", func(p *cluster.Processes, name string) error { return p.Signal(name, syscall.SIGSTOP) },
			func(p *cluster.Processes, name string) error { return p.Signal(name, syscall.SIGCONT) }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			p := cluster.StartProcesses(t, cluster.ProcessOptions{Metas: 3})
			f := newFailover(t, p)
			for range *runsFlag {
				f.run(func(name string) error { return kind.out(p, name) }, func(name string) error { return kind.back(p, name) })
			}
			f.print()
		})
	}
	t.Run("network cut", func(t *testing.T) {
		n := cluster.StartNetworked(t, cluster.ProcessOptions{Metas: 3})
		f := newFailover(t, n)
		for range *runsFlag {
			f.run(func(name string) error { return n.Cut(name) }, func(name string) error { return n.Mend(name) })
		}
		f.print()
	})
}

func newFailover(t *testing.T, s System) *failover {
	c := cluster.Connect(t, s.Metas())
	// The looks at the cluster must not share what they measure.
	looker := cluster.Connect(t, s.Metas())
	return &failover{
		t: t, client: c, table: makeTable(t, c, "failover", failoverPartitions), rng: newRand(t),
		v: View{System: s, Admin: admin.New(looker)},
	}
}

// run lets one server go away and comes back when all is well again.
func (f *failover) run(out, back func(name string) error) {
	victim, affected := f.pick()
	fault := time.Now()
	require.NoError(f.t, out(victim))
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	times := make([]time.Duration, len(affected))
	for i, l := range affected {
		wg.Add(1)
		go func() {
			defer wg.Done()
			times[i] = f.untilWritten(ctx, l.Partition, fault)
		}()
	}
	wg.Add(2)
	go func() { defer wg.Done(); f.watchElections(ctx, victim, affected, fault) }()
	go func() { defer wg.Done(); f.watchMetas(ctx, victim, affected, fault) }()
	wg.Wait()
	f.written = append(f.written, times...)
	f.worst = append(f.worst, maxOf(times))
	f.t.Logf("%s led %d partitions: elected by %d ms, known by %d ms, written by %d ms", victim, len(affected),
		maxOf(f.elected[len(f.elected)-len(affected):]).Milliseconds(),
		maxOf(f.known[len(f.known)-len(affected):]).Milliseconds(), maxOf(times).Milliseconds())
	require.NoError(f.t, back(victim))
	require.NoError(f.t, f.v.Admin.WaitReady(ctx, "failover"))
	f.giveBack(victim, affected)
}

// giveBack makes a server lead again what it led before. It cannot unless the
// others hear it: links of TCP that were cut come to life some time after they
// are mended, and the next fault must not meet the traces of this one.
func (f *failover) giveBack(victim string, affected []Leader) {
	cluster.Eventually(f.t, patience, "the server to lead again", func() error {
		now := map[int32]Leader{}
		for _, l := range f.v.Leaders(context.Background()) {
			now[l.Partition] = l
		}
		missing := 0
		for _, a := range affected {
			if l := now[a.Partition]; l.Server != victim {
				missing++
				if own := f.replicaOf(victim, a); own != 0 && l.Server != "" {
					_ = f.v.Transfer(context.Background(), l, own)
				}
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d partitions are led by others", missing)
		}
		return nil
	})
}

// replicaOf is the id of a server's replica of a partition, 0 if it does not say.
func (f *failover) replicaOf(server string, l Leader) int64 {
	if status := f.v.Status(context.Background())[server]; status != nil {
		for _, r := range status.Replicas {
			if r.TableID == l.Table && r.PartitionIndex == l.Partition {
				return r.ReplicaID
			}
		}
	}
	return 0
}

// pick waits until all partitions are led and warm, and chooses a leader's server.
func (f *failover) pick() (string, []Leader) {
	var leaders []Leader
	cluster.Eventually(f.t, patience, "leaders of all partitions, in the eyes of the metas too", func() error {
		leaders = f.v.Leaders(context.Background())
		if len(leaders) != failoverPartitions {
			return fmt.Errorf("%d partitions have leaders", len(leaders))
		}
		r, err := f.v.Admin.QueryTable(context.Background(), "failover")
		if err != nil {
			return err
		}
		for _, l := range leaders {
			if r.Partitions[l.Partition].Leader != f.v.Addr(l.Server) {
				return fmt.Errorf("partition %d is led by %s, the metas say %s", l.Partition, l.Server, r.Partitions[l.Partition].Leader)
			}
		}
		return nil
	})
	for i := range failoverPartitions {
		require.NoError(f.t, f.table.Set(context.Background(), hashIn(int32(i)), []byte("s"), []byte("warm")))
	}
	victim := leaders[f.rng.IntN(len(leaders))].Server
	var affected []Leader
	for _, l := range leaders {
		if l.Server == victim {
			affected = append(affected, l)
		}
	}
	return victim, affected
}

// hashIn is a hash key of a partition.
func hashIn(partition int32) []byte {
	for i := 0; ; i++ {
		h := fmt.Appendf(nil, "k%d", i)
		if key.PartitionIndex(key.Hash(h, nil), failoverPartitions) == partition {
			return h
		}
	}
}

func (f *failover) untilWritten(ctx context.Context, partition int32, fault time.Time) time.Duration {
	for ctx.Err() == nil {
		if f.table.Set(ctx, hashIn(partition), []byte("s"), []byte("v")) == nil {
			return time.Since(fault)
		}
	}
	f.t.Errorf("partition %d takes no writes", partition)
	return time.Since(fault)
}

// glance is the pause between two looks.
const glance = 10 * time.Millisecond

func (f *failover) watchElections(ctx context.Context, victim string, affected []Leader, fault time.Time) {
	v := f.v
	v.System = without{f.v.System, victim}
	f.watch(ctx, affected, &f.elected, fault, func() map[int32]bool {
		led := map[int32]bool{}
		for _, l := range v.Leaders(ctx) {
			led[l.Partition] = true
		}
		return led
	})
}

func (f *failover) watchMetas(ctx context.Context, victim string, affected []Leader, fault time.Time) {
	f.watch(ctx, affected, &f.known, fault, func() map[int32]bool {
		led := map[int32]bool{}
		r, err := f.v.Admin.QueryTable(ctx, "failover")
		for _, p := range r.Partitions {
			led[int32(p.Index)] = err == nil && p.Leader != "" && p.Leader != f.v.Addr(victim)
		}
		return led
	})
}

func (f *failover) watch(ctx context.Context, affected []Leader, to *durations, fault time.Time, look func() map[int32]bool) {
	seen := map[int32]bool{}
	for len(seen) < len(affected) && ctx.Err() == nil {
		led := look()
		for _, l := range affected {
			if led[l.Partition] && !seen[l.Partition] {
				seen[l.Partition] = true
				*to = append(*to, time.Since(fault))
			}
		}
		time.Sleep(glance)
	}
}

// without hides a server that does not answer.
type without struct {
	System
	name string
}

func (w without) Replicas() []string {
	var rest []string
	for _, name := range w.System.Replicas() {
		if name != w.name {
			rest = append(rest, name)
		}
	}
	return rest
}

func (f *failover) print() {
	f.t.Logf("from the fault until, over %d faults:\n"+
		"  another replica leads    %v\n"+
		"  a meta server says so    %v\n"+
		"  a client's write is done %v\n"+
		"  … on every partition     %v",
		len(f.worst), f.elected, f.known, f.written, f.worst)
}

type durations []time.Duration

func maxOf(d []time.Duration) time.Duration {
	var m time.Duration
	for _, x := range d {
		m = max(m, x)
	}
	return m
}

// String is the distribution.
func (d durations) String() string {
	if len(d) == 0 {
		return "no samples"
	}
	sorted := append(durations(nil), d...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	var b strings.Builder
	fmt.Fprintf(&b, "n=%-4d", len(sorted))
	for _, q := range []struct {
		name string
		at   float64
	}{{"min", 0}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}} {
		i := max(0, int(q.at*float64(len(sorted))+0.999999)-1)
		fmt.Fprintf(&b, " %s %5d ms", q.name, sorted[i].Milliseconds())
	}
	return b.String()
}
