package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/test/cluster"
)

// Every process is killed at once under load: nothing acknowledged is lost.
func TestEverythingKilled(t *testing.T) {
	newRand(t)
	p := cluster.StartProcesses(t, cluster.ProcessOptions{Metas: 3})
	c := cluster.Connect(t, p.Metas())
	v := View{System: p, Admin: admin.New(c)}
	ledger := NewLedger(makeTable(t, c, "crash", partitions), 16)
	for kill := range *killsFlag {
		loadUntil(t, ledger, 200, func() { require.NoError(t, p.Kill(append(p.MetaNames(), p.Replicas()...)...)) })
		require.NoError(t, p.StartAll())
		require.NoError(t, ledger.Verify(context.Background()), "after kill %d", kill+1)
		agreed(t, v)
	}
	t.Log(ledger)
}

// loadUntil runs the load until so many more writes are acknowledged. Then kill,
// if there is one, ends all servers under load; otherwise calls are finished.
func loadUntil(t *testing.T, ledger *Ledger, writes int64, kill func()) {
	ctx, abandon := context.WithCancel(context.Background())
	defer abandon()
	enough, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); ledger.Run(ctx, enough) }()
	want := ledger.Acked.Load() + writes
	cluster.Eventually(t, patience, "writes to be acknowledged", func() error {
		if ledger.Acked.Load() < want {
			return errors.New(ledger.String())
		}
		return nil
	})
	if kill != nil {
		kill()
		abandon()
	}
	stop()
	<-done
}

func agreed(t *testing.T, v View) {
	t.Helper()
	cluster.Eventually(t, patience, "replicas at the same index", func() error {
		err := v.Agreement(context.Background(), copies)
		if err != nil && !errors.Is(err, errNotYet) {
			t.Fatal(err)
		}
		return err
	})
}

// damage is what a disk may do to a server that is down. The server must come
// back with everything, or refuse, naming what it cannot read: its replicas are then
// made anew in the same place, unless it has to stay away.
type damage struct {
	name string
	do   func(t *testing.T, dir string)
	// says is in the log of a server that does not come back whole.
	says string
	// stored tells that do needs data in files, and only reads notice.
	stored bool
	away   bool // the whole server refuses to start
	long   bool // not in the short form
}

var damages = []damage{
	{name: "torn tail of the raft log", do: func(t *testing.T, dir string) {
		path, end := segment(t, dir)
		overwrite(t, path, end+64, []byte("ANRL and nothing more of a record"))
	}},
	{name: "half of the raft log", says: logDamaged, away: true, long: true, do: func(t *testing.T, dir string) {
		path, end := segment(t, dir)
		require.NoError(t, os.Truncate(path, end/2))
	}},
	{name: "missing raft log", says: logDamaged, away: true, long: true, do: func(t *testing.T, dir string) {
		path, _ := segment(t, dir)
		require.NoError(t, os.Remove(path))
	}},
	{name: "flipped bits in the raft log", says: logDamaged, away: true, long: true, do: func(t *testing.T, dir string) {
		path, end := segment(t, dir)
		flip(t, path, end/2)
	}},
	{name: "raft log without its manifest", says: "raft log", away: true, long: true, do: func(t *testing.T, dir string) {
		require.NoError(t, os.Remove(newest(t, dir, "raft/host/*/log/MANIFEST")))
	}},
	{name: "no raft directory", says: "lost its raft log", long: true, do: func(t *testing.T, dir string) {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "raft")))
	}},
	{name: "torn manifest of a partition", says: "engine corruption", do: func(t *testing.T, dir string) {
		cut(t, newest(t, dir, "partitions/*/db-*/MANIFEST-*"), 7)
	}},
	{name: "flipped bytes in the data of a partition", says: "stored data is damaged", stored: true, do: func(t *testing.T, dir string) {
		// In the first block: what opening reads is in the last.
		flip(t, newest(t, dir, "partitions/*/db-*/*.sst"), 64)
	}},
	{name: "partition without its CURRENT file", says: "tables without a CURRENT file", stored: true, long: true, do: func(t *testing.T, dir string) {
		require.NoError(t, os.Remove(newest(t, dir, "partitions/*/db-*/CURRENT")))
	}},
	{name: "partition without its data", says: "engine does not exist", long: true, do: func(t *testing.T, dir string) {
		require.NoError(t, os.RemoveAll(filepath.Dir(newest(t, dir, "partitions/*/db-*/CURRENT"))))
	}},
	{name: "no partitions", says: "lost its data directory", long: true, do: func(t *testing.T, dir string) {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "partitions")))
	}},
}

const logDamaged = "raft log is damaged"

// segment is the file of the raft log that was written last, and the end of what
// was written: files of the log are longer than their content.
func segment(t *testing.T, dir string) (path string, end int64) {
	paths, err := filepath.Glob(filepath.Join(dir, "raft/host/*/log/*.log"))
	require.NoError(t, err)
	sort.Strings(paths)
	for i := len(paths) - 1; i >= 0; i-- {
		content, err := os.ReadFile(paths[i])
		require.NoError(t, err)
		if end := len(bytes.TrimRight(content, "\x00")); end > segmentHeader {
			return paths[i], int64(end)
		}
	}
	t.Fatalf("no raft log in %s", dir)
	return "", 0
}

// segmentHeader comes before the records, see internal/raft/wal.
const segmentHeader = 4096

func overwrite(t *testing.T, path string, at int64, content []byte) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt(content, at)
	require.NoError(t, err)
}

// One server is killed and its files are damaged. The cluster has everything with
// it or without it, and with it in the place of a healthy one if it came back.
func TestDamagedFiles(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			if d.long {
				onlyLong(t)
			}
			d.run(t)
		})
	}
}

// onlyLong skips what the short form of these tests has no time for.
func onlyLong(t *testing.T) {
	if *killsFlag < longKills {
		t.Skip("in the long form only")
	}
}

// longKills is what make chaos asks for.
const longKills = 10

// giveUp is the repair delay here: nobody waits for a replica that does not open.
const giveUp = "ARION_META_REPLACE_AFTER=6s"

func (d damage) run(t *testing.T) {
	p := cluster.StartProcesses(t, cluster.ProcessOptions{Metas: 3, Env: []string{giveUp}})
	c := cluster.Connect(t, p.Metas())
	v := View{System: p, Admin: admin.New(c)}
	ledger := NewLedger(makeTable(t, c, "crash", partitions), 16)
	loadUntil(t, ledger, 1000, nil)
	// All three hold everything: what one disk forgets, two remember.
	require.NoError(t, ledger.Verify(context.Background()))
	agreed(t, v)
	if d.stored {
		require.NoError(t, p.Restart("replica1")) // what it has in memory goes to files
	}
	require.NoError(t, p.Kill("replica1"))
	d.do(t, filepath.Join(p.Dir, "replica1"))

	failed, err := v.settle(t, p, "replica1")
	t.Logf("restart: %v; failed replicas: %v", err, failed)
	require.NoError(t, ledger.Verify(context.Background()))
	if d.stored {
		v.readFrom(t, p, "replica1", ledger, d.says)
	}
	loadUntil(t, ledger, 300, nil)
	require.NoError(t, ledger.Verify(context.Background()))
	if d.says != "" {
		cluster.Eventually(t, patience, "the server to say what is wrong", func() error {
			if !strings.Contains(p.Log("replica1"), d.says) {
				return fmt.Errorf("%q is not in its log", d.says)
			}
			return nil
		})
	}
	if d.away {
		return
	}
	v.healed(t, "replica1")
	agreed(t, v)
	require.NoError(t, p.Kill("replica2"))
	require.NoError(t, ledger.Verify(context.Background()))
}

// healed waits until a server has nothing to complain of any more and every
// partition is whole.
func (v View) healed(t *testing.T, name string) {
	t.Helper()
	cluster.Eventually(t, patience, "all replicas to be there again", func() error {
		if failed := v.failed(t, name); len(failed) > 0 {
			return fmt.Errorf("%s: %v", name, failed)
		}
		return v.Whole(context.Background(), partitions, copies)
	})
}

// readFrom makes a server lead and reads everything until it says that its data is
// damaged. The readers never hear of it: another replica answers them.
func (v View) readFrom(t *testing.T, p *cluster.Processes, name string, ledger *Ledger, says string) {
	t.Helper()
	cluster.Eventually(t, patience, "the damage to be noticed", func() error {
		if strings.Contains(p.Log(name), says) {
			return nil
		}
		held := map[[2]int32]int64{}
		if status := v.Status(context.Background())[name]; status != nil {
			for _, r := range status.Replicas {
				held[[2]int32{r.TableID, r.PartitionIndex}] = r.ReplicaID
			}
		}
		for _, l := range v.Leaders(context.Background()) {
			if to := held[[2]int32{l.Table, l.Partition}]; l.Server != name && to != 0 {
				_ = v.Transfer(context.Background(), l, to) // it may be behind, or not open yet
			}
		}
		require.NoError(t, ledger.Verify(context.Background()))
		return fmt.Errorf("%q is not in the log of %s", says, name)
	})
	v.healed(t, name)
}

// settle restarts a server and waits until it serves, has ended, or says which
// replicas it cannot open. A server with such replicas does not call itself ready.
func (v View) settle(t *testing.T, p *cluster.Processes, name string) (failed []string, err error) {
	ended := make(chan error, 1)
	go func() { ended <- p.Restart(name) }()
	cluster.Eventually(t, patience, "a verdict of the server", func() error {
		select {
		case err = <-ended:
			return nil
		default:
		}
		if failed = v.failed(t, name); len(failed) > 0 {
			return nil
		}
		return errors.New("neither ready nor ended")
	})
	return failed, err
}

// failed lists why replicas of a server are out of service.
func (v View) failed(t *testing.T, name string) []string {
	var why []string
	if status := v.Status(context.Background())[name]; status != nil {
		for _, r := range status.Replicas {
			if r.Error != "" {
				why = append(why, fmt.Sprintf("%d.%d: %s", r.TableID, r.PartitionIndex, r.Error))
			}
		}
	}
	sort.Strings(why)
	return why
}

// newest is the file of a pattern that was written last.
func newest(t *testing.T, dir, pattern string) string {
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	if len(paths) == 0 {
		var all []string
		_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
			all = append(all, strings.TrimPrefix(path, dir))
			return nil
		})
		t.Fatalf("no %s among %s", pattern, strings.Join(all, "\n"))
	}
	sort.Slice(paths, func(i, j int) bool { return modified(t, paths[i]) > modified(t, paths[j]) })
	return paths[0]
}

func modified(t *testing.T, path string) int64 {
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.ModTime().UnixNano()
}

func size(t *testing.T, path string) int64 {
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}

// cut takes bytes off the end of a file.
func cut(t *testing.T, path string, bytes int64) {
	require.NoError(t, os.Truncate(path, max(0, size(t, path)-bytes)))
}

// flip inverts some bytes.
func flip(t *testing.T, path string, at int64) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	b := make([]byte, 16)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	for i := range b {
		b[i] ^= 0xff
	}
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
}
