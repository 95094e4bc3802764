package partition

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/engine/rocks"
)

// onEngines runs a test over both engines.
func onEngines(t *testing.T, test func(*testing.T, engine.Opener)) {
	t.Run("mem", func(t *testing.T) { test(t, mem.Opener{}) })
	t.Run("rocks", func(t *testing.T) {
		cfg := rocks.DefaultConfig()
		cfg.BlockCacheBytes, cfg.MemtablesBytes = 32<<20, 8<<20
		o, err := rocks.NewOpener(cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, o.Close()) })
		test(t, o)
	})
}

func TestWriteReadFailover(t *testing.T) { onEngines(t, testWriteReadFailover) }

func testWriteReadFailover(t *testing.T, opener engine.Opener) {
	c := newCluster(t, opener, 3)
	c.openAll(0)
	for i := range 50 {
		c.put(0, fmt.Sprintf("a%d", i), "1")
	}
	first, p := c.leader(0)
	got, err := get(p, "a49")
	require.NoError(t, err)
	require.Equal(t, "1", got)

	first.kill()
	c.put(0, "b", "2")
	second, p := c.leader(0)
	require.NotEqual(t, first.number, second.number)
	for _, name := range []string{"a0", "a49", "b"} {
		_, err := get(p, name)
		require.NoError(t, err, name)
	}

	first.start()
	back := first.open(0)
	eventually(t, "catching up", func() bool { v, _ := peek(back, "b"); return v == "2" })
	_, err = do(back, command.Put, putArgs("c", "3"))
	if _, _, leads := back.Leader(); !leads {
		require.Equal(t, code.InvalidState, code.Of(err), "a follower must refuse")
	}
}

func TestReplies(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.openAll(0)
	c.put(0, "x", "1")
	_, p := c.leader(0)

	res, err := do(p, command.Incr, incrArgs("n"))
	require.NoError(t, err)
	require.EqualValues(t, 1, res.(*rrdb.IncrResponse).NewValue_)
	require.Positive(t, res.(*rrdb.IncrResponse).Decree)

	_, err = do(p, command.Put, []byte("no thrift"))
	require.Equal(t, code.InvalidParameters, code.Of(err))
	_, err = do(p, command.Put, make([]byte, 2<<20))
	require.Equal(t, code.InvalidData, code.Of(err))

	clock := p.ClockMS()
	done := make(chan error, 1)
	p.PushClock(func(err error) { done <- err })
	require.NoError(t, <-done)
	require.GreaterOrEqual(t, p.ClockMS(), clock)
}

// What was acknowledged survives engines that lose everything unflushed.
func TestRestartWithoutFlush(t *testing.T) {
	var crash atomic.Bool
	c := newCluster(t, crashing{&crash}, 3)
	c.openAll(0)
	for i := range 30 {
		c.put(0, fmt.Sprintf("k%d", i), "v")
	}
	crash.Store(true)
	for _, n := range c.nodes {
		n.kill()
	}
	crash.Store(false)
	for _, n := range c.nodes {
		n.start()
	}
	c.openAll(0)
	_, p := c.leader(0)
	for i := range 30 {
		_, err := get(p, fmt.Sprintf("k%d", i))
		require.NoError(t, err, i)
	}
	c.put(0, "after", "v")
}

func TestRestartInOrder(t *testing.T) { onEngines(t, testRestartInOrder) }

func testRestartInOrder(t *testing.T, opener engine.Opener) {
	c := newCluster(t, opener, 3)
	c.openAll(0)
	c.put(0, "k", "v")
	for _, n := range c.nodes {
		n.stop()
		n.start()
		n.open(0)
	}
	_, p := c.leader(0)
	v, err := get(p, "k")
	require.NoError(t, err)
	require.Equal(t, "v", v)
}

func TestSnapshotToLaggingReplica(t *testing.T) { onEngines(t, testSnapshotToLaggingReplica) }

func testSnapshotToLaggingReplica(t *testing.T, opener engine.Opener) {
	c := newCluster(t, opener, 3)
	c.tune = func(o *Options) { o.SnapshotEntries, o.CompactionOverhead = 50, 5 }
	c.openAll(0)
	c.put(0, "first", "1")
	leader, _ := c.leader(0)
	behind := c.nodes[(leader.number+1)%3]
	behind.stop()
	for i := range 300 {
		c.put(0, fmt.Sprintf("k%d", i), "v")
	}
	behind.start()
	p := behind.open(0)
	eventually(t, "snapshot", func() bool { v, _ := peek(p, "k299"); return v == "v" })
	eventually(t, "switch of directories", func() bool {
		raw, _ := os.ReadFile(filepath.Join(p.o.Dir, currentFile))
		return strings.TrimSpace(string(raw)) != "db-000001"
	})
	for i := range 300 {
		_, err := peek(p, fmt.Sprintf("k%d", i))
		require.NoError(t, err, i)
	}
	// It survives a restart and no checkpoint is left behind on the sender.
	behind.stop()
	behind.start()
	p = behind.open(0)
	eventually(t, "data after restart", func() bool { v, _ := peek(p, "k299"); return v == "v" })
	for _, n := range c.nodes {
		pins, err := filepath.Glob(filepath.Join(n.dir, "partitions", "*", pinPrefix+"*"))
		require.NoError(t, err)
		require.Empty(t, pins)
	}
}

func TestEightPartitions(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	for i := range int32(8) {
		c.openAll(i)
	}
	for i := range int32(8) {
		c.put(i, "k", fmt.Sprint(i))
	}
	for i := range int32(8) {
		_, p := c.leader(i)
		v, err := get(p, "k")
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), v)
	}
}

func TestMembership(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.tune = func(o *Options) { o.SnapshotEntries, o.CompactionOverhead = 20, 5 }
	c.openAll(0)
	for i := range 60 {
		c.put(0, fmt.Sprintf("k%d", i), "v")
	}
	ctx := context.Background()
	n := c.addNode(3)
	change := func(op arion.MemberOp, replica, node int64) {
		eventually(t, op.String(), func() bool {
			_, p := c.leader(0)
			return p.ChangeMember(ctx, op, replica, node, 0) == nil
		})
	}
	change(arion.MemberOp_ADD_NONVOTING, 4, n.id())
	p, err := n.tryOpen(0, true)
	require.NoError(t, err)
	eventually(t, "new replica to catch up", func() bool { v, _ := peek(p, "k59"); return v == "v" })
	change(arion.MemberOp_PROMOTE, 4, n.id())

	leader, lp := c.leader(0)
	require.Equal(t, code.InvalidVersion, code.Of(lp.ChangeMember(ctx, arion.MemberOp_REMOVE, int64((leader.number+1)%3+1), 0, 1)))
	require.Equal(t, code.InvalidParameters, code.Of(lp.ChangeMember(ctx, arion.MemberOp_REMOVE, lp.ReplicaID(), 0, 0)))

	gone := c.nodes[(leader.number+1)%3]
	change(arion.MemberOp_REMOVE, int64(gone.number+1), 0)
	eventually(t, "report of the members", func() bool {
		_, p := c.leader(0)
		r := p.Report()
		return len(r.Members) == 3 && r.Members[2].ReplicaID == 4 && r.Members[2].Voting && r.Members[2].NodeID == n.id()
	})
	// The removed replica may never hear of it; it is the host that closes it.
	gone.stop()

	// The promoted replica restarts as a voter and can lead.
	n.stop()
	n.start()
	_, err = n.tryOpen(0, true)
	require.NoError(t, err)
	change(arion.MemberOp_TRANSFER_LEADER, 4, 0)
	eventually(t, "new member to lead", func() bool {
		_, _, leads := n.partition(0).Leader()
		return leads
	})
	c.put(0, "after", "v")
}

func TestLostDirectories(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.openAll(0)
	c.put(0, "k", "v")
	n := c.nodes[0]
	eventually(t, "replication", func() bool { v, _ := peek(n.partition(0), "k"); return v == "v" })
	dir := n.partition(0).o.Dir
	n.stop()
	require.NoError(t, os.Rename(dir, dir+".lost"))
	n.start()
	_, err := n.tryOpen(0, false)
	require.ErrorIs(t, err, ErrDataLost)
	n.stop()

	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.Rename(dir+".lost", dir))
	require.NoError(t, os.RemoveAll(filepath.Join(n.dir, "raft")))
	n.start()
	_, err = n.tryOpen(0, false)
	require.ErrorIs(t, err, ErrLogLost)
}

// A table may have one replica: no messages, same rules.
func TestSingleReplica(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 1)
	c.openAll(0)
	c.put(0, "k", "v")
	_, p := c.leader(0)
	eventually(t, "lease", func() bool { _, _ = get(p, "k"); return p.LeaseValid() })
	c.nodes[0].stop()
	c.nodes[0].start()
	c.openAll(0)
	_, p = c.leader(0)
	v, err := get(p, "k")
	require.NoError(t, err)
	require.Equal(t, "v", v)
}

// A replica whose log was removed stays out, whatever happens to its directory.
func TestRemovedLogIsFinal(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.openAll(0)
	c.put(0, "k", "v")
	ctx := context.Background()
	leader, lp := c.leader(0)
	n := c.nodes[(leader.number+1)%3]
	p := n.partition(0)
	require.NoError(t, lp.ChangeMember(ctx, arion.MemberOp_REMOVE, p.ReplicaID(), 0, 0))
	require.NoError(t, p.Close())
	require.NoError(t, RemoveLog(ctx, n.host, p.o.Assignment))
	require.NoError(t, os.RemoveAll(p.o.Dir))
	_, err := n.tryOpen(0, false)
	require.Error(t, err)

	// A new replica of the same partition may come to the same node.
	eventually(t, "the new member", func() bool {
		_, lp := c.leader(0)
		return lp.ChangeMember(ctx, arion.MemberOp_ADD_NONVOTING, 9, n.id(), 0) == nil
	})
	o := p.o
	o.Assignment = &arion.ReplicaAssignment{TableID: table, ReplicaID: 9, Join: true}
	o.Dir += ".new"
	again, err := Open(ctx, o)
	require.NoError(t, err)
	defer again.Close()
	eventually(t, "data of the new replica", func() bool { v, _ := peek(again, "k"); return v == "v" })
}
