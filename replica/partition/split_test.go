package partition

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
)

var firstSplit = command.Split{From: 1, To: 2, Attempt: 1}

// childOf makes the cluster open partition 1 as the child of partition 0.
func (c *cluster) childOf(s command.Split) {
	c.tune = func(o *Options) {
		if o.Assignment.PartitionIndex == 1 {
			o.Assignment.Base = &arion.SplitBase{Count: s.To, Attempt: s.Attempt, ParentReplicaID: o.Assignment.ReplicaID}
			o.ParentDir = filepath.Join(filepath.Dir(o.Dir), fmt.Sprintf("%d.0.%d", table, o.Assignment.ReplicaID))
		}
	}
}

// split splits partition 0 through whoever leads.
func (c *cluster) split(s command.Split) {
	c.t.Helper()
	eventually(c.t, "split", func() bool {
		_, p := c.leader(0)
		done := make(chan error, 1)
		p.Split(s, func(err error) { done <- err })
		return <-done == nil
	})
}

func (c *cluster) basesReady(want int) {
	c.t.Helper()
	eventually(c.t, fmt.Sprint("bases on replicas: ", want), func() bool {
		ready := 0
		for _, n := range c.nodes {
			if p := n.partition(0); p != nil && p.Report().BaseReady {
				ready++
			}
		}
		return ready == want
	})
}

func owner(name string) int32 { return key.PartitionIndex(key.Hash([]byte(name), nil), 2) }

// nameOf gives the i-th of the names that belong to a half.
func nameOf(half int32, i int) string {
	for n := i * 16; ; n++ {
		if name := fmt.Sprintf("n%d", n); owner(name) == half {
			return name
		}
	}
}

func TestSplit(t *testing.T) { onEngines(t, testSplit) }

// testSplit counts up records of both halves while the partition splits: every
// increment that was acknowledged counts once, whichever half it went to.
func testSplit(t *testing.T, opener engine.Opener) {
	c := newCluster(t, opener, 3)
	c.openAll(0)
	names := make([]string, 64)
	counts := make([]atomic.Int64, len(names))
	for i := range names {
		names[i] = nameOf(int32(i%2), i)
		c.put(0, "fixed"+names[i], "v")
	}
	var at atomic.Int32 // where records of the other half are
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; !isClosed(stop); i += 4 {
				n := i % len(names)
				index := int32(0)
				if owner(names[n]) == 1 {
					index = at.Load()
				}
				_, p := c.leader(index)
				res, err := do(p, command.Incr, incrArgs(names[n]))
				switch {
				case err == nil:
					require.Equal(t, counts[n].Add(1), res.(*rrdb.IncrResponse).NewValue_, names[n])
				default:
					require.Equal(t, code.ParentPartitionMisused, code.Of(err), err)
				}
			}
		}()
	}
	eventually(t, "load", func() bool { return counts[63].Load() > 2 })
	c.childOf(firstSplit)
	c.split(firstSplit)
	c.basesReady(3)
	c.openAll(1)
	_, child := c.leader(1)
	require.EqualValues(t, 2, child.HashCount())
	at.Store(1)
	before := counts[63].Load()
	eventually(t, "load on the child", func() bool { return counts[63].Load() > before+2 && counts[0].Load() > before })
	close(stop)
	wg.Wait()
	for _, n := range c.nodes {
		require.NoDirExists(t, filepath.Join(n.partition(0).machine.place.dir, baseName(firstSplit)))
	}

	// A replica that joins the child gets what is not in the log, too.
	fourth := c.addNode(3)
	eventually(t, "a member more", func() bool {
		_, p := c.leader(1)
		return p.ChangeMember(context.Background(), arion.MemberOp_ADD_NONVOTING, 4, fourth.id(), 0) == nil
	})
	joined, err := fourth.tryOpen(1, true)
	require.NoError(t, err)
	eventually(t, "the new replica to catch up", func() bool { return joined.AppliedIndex() == child.AppliedIndex() })
	for i, name := range names {
		_, p := c.leader(owner(name))
		v, err := get(p, name)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(counts[i].Load()), v, name)
		v, err = get(p, "fixed"+name)
		if owner("fixed"+name) == owner(name) {
			require.NoError(t, err)
			require.Equal(t, "v", v)
		}
		if owner(name) == 1 {
			v, err = peek(joined, name)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(counts[i].Load()), v, name)
		}
	}
	sum, err := child.Checksum(context.Background())
	require.NoError(t, err)
	other, err := joined.Checksum(context.Background())
	require.NoError(t, err)
	require.Equal(t, sum.Sum, other.Sum)
	require.EqualValues(t, 2, joined.HashCount())
}

// TestAdoptedReplicaTakesASnapshot: a replica that began with a base can fall
// behind and be sent another engine, at once and after a restart.
func TestAdoptedReplicaTakesASnapshot(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.openAll(0)
	c.put(0, nameOf(1, 1), "v")
	c.childOf(firstSplit)
	c.split(firstSplit)
	c.basesReady(3)
	asChild := c.tune
	c.tune = func(o *Options) { asChild(o); o.SnapshotEntries, o.CompactionOverhead = 20, 5 }
	c.openAll(1)
	for round := range 2 {
		leader, _ := c.leader(1)
		behind := c.nodes[(leader.number+1)%3]
		c.isolate(behind, true)
		want := fmt.Sprint("round", round)
		for range 100 {
			c.put(1, nameOf(1, 2), want)
		}
		c.isolate(behind, false)
		p := behind.partition(1)
		eventually(t, "snapshot", func() bool { v, _ := peek(p, nameOf(1, 2)); return v == want })
		v, err := peek(p, nameOf(1, 1))
		require.NoError(t, err)
		require.Equal(t, "v", v)
	}
}

// TestJoinerIsNotGivenTheLog: the log of a child from its start is not its data,
// and a joining replica must not take it for that, however long it waits.
func TestJoinerIsNotGivenTheLog(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.openAll(0)
	based := nameOf(1, 1)
	c.put(0, based, "base")
	c.childOf(firstSplit)
	c.split(firstSplit)
	c.basesReady(3)
	asChild := c.tune
	c.tune = func(o *Options) { asChild(o); o.keepLog = true }
	c.openAll(1)
	c.put(1, nameOf(1, 2), "log")
	_, p := c.leader(1)
	require.False(t, p.truncated())
	fourth := c.addNode(3)
	require.NoError(t, p.ChangeMember(context.Background(), arion.MemberOp_ADD_NONVOTING, 4, fourth.id(), 0))
	joined, err := fourth.tryOpen(1, true)
	require.NoError(t, err)
	for range 20 { // further entries give it every opportunity
		c.put(1, nameOf(1, 2), "log")
		require.Zero(t, joined.AppliedIndex())
	}
	eventually(t, "truncation", func() bool {
		_, p := c.leader(1)
		p.truncate(rootOverhead, p.o.ReadTimeout)
		return p.truncated()
	})
	eventually(t, "snapshot", func() bool { v, _ := peek(joined, based); return v == "base" })
	eventually(t, "log", func() bool { v, _ := peek(joined, nameOf(1, 2)); return v == "log" })
}

// TestAdoptionGoesOn: a crash at any point of the adoption of a base is followed
// by its completion, or by a refusal if the base is gone.
func TestAdoptionGoesOn(t *testing.T) {
	for _, crash := range []string{"nowhere", "after the move", "after the reset", "base gone", "base gone after the start"} {
		t.Run(crash, func(t *testing.T) {
			c := newCluster(t, mem.Opener{}, 3)
			c.openAll(0)
			name := nameOf(1, 1)
			c.put(0, name, "v")
			c.childOf(firstSplit)
			c.split(firstSplit)
			c.basesReady(3)
			n := c.nodes[0]
			parent := n.partition(0).machine.place.dir
			dir := filepath.Join(filepath.Dir(parent), fmt.Sprintf("%d.1.1", table))
			from, to := filepath.Join(parent, baseName(firstSplit)), filepath.Join(dir, adoptedDir)
			move := func() {
				_, err := openPlace(dir, identity{TableID: table, Partition: 1, ReplicaID: 1, Rooted: true})
				require.NoError(t, err)
				require.NoError(t, os.Rename(from, to))
			}
			switch crash {
			case "after the move":
				move()
			case "after the reset":
				move()
				e, err := mem.Opener{}.Open(to, engine.Options{MustExist: true})
				require.NoError(t, err)
				st, err := apply.Load(e)
				require.NoError(t, err)
				var b engine.Batch
				st.Child(firstSplit).AppendTo(&b)
				require.NoError(t, e.Apply(&b))
				require.NoError(t, e.Close())
			case "base gone":
				require.NoError(t, os.RemoveAll(from))
				_, err := n.tryOpen(1, false)
				require.ErrorIs(t, err, ErrBaseLost)
				require.ErrorIs(t, err, ErrDataLost)
				return
			}
			c.openAll(1)
			c.put(1, nameOf(1, 2), "w")
			v, err := peek(n.partition(1), name)
			require.NoError(t, err)
			require.Equal(t, "v", v)
			if crash == "base gone after the start" {
				n.stop()
				require.NoError(t, os.RemoveAll(dir))
				require.NoError(t, os.MkdirAll(from, 0o755)) // made again by a replay
				n.start()
				_, err := n.tryOpen(1, false)
				require.ErrorIs(t, err, ErrDataLost)
			}
		})
	}
}

// TestSplitIsReplayed: a replica that forgets that it has applied the entry makes
// the same base again.
func TestSplitIsReplayed(t *testing.T) {
	var crash atomic.Bool
	c := newCluster(t, crashing{&crash}, 3)
	c.openAll(0)
	before, after := nameOf(1, 1), nameOf(0, 2)
	c.put(0, before, "v")
	c.split(firstSplit)
	c.put(0, after, "w")
	c.basesReady(3)
	n := c.nodes[0]
	base := filepath.Join(n.partition(0).machine.place.dir, baseName(firstSplit))
	crash.Store(true)
	n.kill()
	crash.Store(false)
	require.NoError(t, os.RemoveAll(base)) // as if the child had taken it
	n.start()
	p := n.open(0)
	eventually(t, "replay", func() bool { v, _ := peek(p, after); return v == "w" })
	require.EqualValues(t, 2, p.HashCount())
	require.True(t, p.Report().BaseReady)
	e, err := mem.Opener{}.Open(base, engine.Options{MustExist: true})
	require.NoError(t, err)
	defer e.Close()
	_, found, err := e.Get(key.Append(nil, []byte(before), nil), nil)
	require.NoError(t, err)
	require.True(t, found)
	_, found, err = e.Get(key.Append(nil, []byte(after), nil), nil)
	require.NoError(t, err)
	require.False(t, found, "the base ends below the split entry")
	later := filepath.Join(filepath.Dir(base), baseName(command.Split{To: 4, Attempt: 1}))
	require.NoError(t, os.MkdirAll(later+tmpSuffix, 0o755))
	require.NoError(t, os.MkdirAll(later, 0o755))
	require.NoError(t, p.DropBases(2))
	require.NoDirExists(t, base)
	require.DirExists(t, later, "the next split is under way already")
	require.DirExists(t, later+tmpSuffix)
}

// TestSplitSkippedBySnapshot: such a replica knows what it owns and has no base,
// until a later attempt gives it one.
func TestSplitSkippedBySnapshot(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.tune = func(o *Options) { o.SnapshotEntries, o.CompactionOverhead = 20, 5 }
	c.openAll(0)
	c.put(0, nameOf(0, 0), "1")
	leader, _ := c.leader(0)
	behind := c.nodes[(leader.number+1)%3]
	behind.stop()
	c.split(firstSplit)
	lp := leader.partition(0)
	split := lp.AppliedIndex()
	for range 60 {
		c.put(0, nameOf(0, 0), "2")
	}
	eventually(t, "a log without the split", func() bool {
		log, err := lp.nodeHost.GetLogReader(lp.shardID)
		require.NoError(t, err)
		first, _ := log.GetRange()
		return first > split
	})
	behind.start()
	p := behind.open(0)
	eventually(t, "snapshot", func() bool { return p.HashCount() == 2 })
	require.False(t, p.Report().BaseReady)
	c.basesReady(2)
	again := firstSplit
	again.Attempt = 2
	c.split(again)
	for _, n := range c.nodes {
		eventually(t, "the base of the second attempt", func() bool {
			r := n.partition(0).Report()
			return r.SplitAttempt == 2 && r.BaseReady
		})
		require.NoDirExists(t, filepath.Join(n.partition(0).machine.place.dir, baseName(firstSplit)))
	}
}

func TestSplitGoesAlone(t *testing.T) {
	q := newQueue(100, 1000, time.Hour)
	q.open()
	for _, k := range []command.Kind{command.Put, command.Put, command.KindSplit, command.KindSplit, command.Put} {
		require.NoError(t, q.put(write{kind: k}))
	}
	var sizes []int
	for !q.empty() {
		sizes = append(sizes, len(q.take(nil, 100, 1000)))
	}
	require.Equal(t, []int{2, 1, 1, 1}, sizes)
}
