package meta

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
)

// command runs a remote command through a meta server.
func (c *cluster) command(meta int, name string, args ...string) string {
	c.t.Helper()
	r := &base.String{}
	c.must(meta, "RPC_CLI_CLI_CALL", &admin.Command{Cmd: name, Arguments: args}, r)
	return r.V
}

// joiner prepares a further meta server that knows the first ones.
func (c *cluster) joiner() (at int, addr string) {
	addr = "127.0.0.1:" + strconv.Itoa(freePort(c.t))
	conf := config.Default()
	conf.Node.Dir, conf.Node.Cluster = c.t.TempDir(), "test"
	conf.RPC.Listen, conf.RPC.Advertise = addr, ""
	conf.Meta.Servers, conf.Meta.Join = []string{c.confs[0].RPC.Listen, addr}, true
	conf.Raft.Tick = 20 * time.Millisecond
	c.confs, c.metas = append(c.confs, conf), append(c.metas, nil)
	return len(c.confs) - 1, addr
}

func (c *cluster) awaitMeta(meta int, id uint64, want catalog.MetaState) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		m := c.metas[meta].group.State().Meta(id)
		return m.NodeID != 0 && m.State == want
	}, patience, 10*time.Millisecond)
}

// TestMetasComeAndGo: a single meta server becomes two, restarts, and the first one goes; the catalog and the place of
// each survive all of it.
func TestMetasComeAndGo(t *testing.T) {
	c := newCluster(t, 1, 1)
	require.Equal(t, 0, c.leader())
	_, id := c.create(0, "t", 2, 1, true)
	require.Eventually(t, func() bool { return c.metas[0].group.State().Meta(1).Address != "" }, patience, 10*time.Millisecond)

	at, addr := c.joiner()
	require.Contains(t, c.command(0, "meta.add", "nonsense"), "error: ")
	require.Contains(t, c.command(0, "meta.add", addr), "replica 2")
	require.Contains(t, c.command(0, "meta.add", addr), "replica 2", "asked again")
	require.Contains(t, c.command(0, "meta.add", "127.0.0.1:1"), "changing already")
	c.start(at)
	c.awaitMeta(at, 2, catalog.MetaVoting)
	require.Eventually(t, func() bool { return c.metas[at].group.State().Table(id) != nil }, patience, 10*time.Millisecond, "it has the whole catalog")
	require.Contains(t, c.command(at, "meta.list"), addr, "a follower asks the leader")

	c.stop(at, c.metas[at])
	c.start(at)
	c.nodes[0].set(func() { c.nodes[0].metas = append(c.nodes[0].metas, addr) })
	require.Contains(t, c.command(at, "meta.remove", "1"), "is leaving")
	c.awaitMeta(at, 1, catalog.MetaRemoved)
	require.Eventually(t, func() bool { return c.metas[0].group.Removed() && c.metas[at].Leading() }, patience, 10*time.Millisecond)
	require.ErrorContains(t, c.metas[0].Ready(), "taken out")
	got, _ := c.create(at, "u", 2, 1, true)
	require.Equal(t, code.OK, got, "the group of one that is left works")
	require.Contains(t, c.command(at, "meta.remove", addr), "error: ", "the last one stays")
}

// TestUninvited: a server that is to join does not form a group of its own when nobody has a place for it, and one that is
// not told to join does not either beside a group that runs without it.
func TestUninvited(t *testing.T) {
	c := newCluster(t, 1, 0)
	require.Eventually(t, c.metas[0].group.IsLeader, patience, 10*time.Millisecond)
	at, _ := c.joiner()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := Open(ctx, c.confs[at], Deps{Log: testLog(t)})
	require.Error(t, err)
	_, err = os.Stat(c.confs[at].Node.Dir + "/" + placeFile)
	require.ErrorIs(t, err, os.ErrNotExist)
	c.confs[at].Meta.Join = false
	_, err = Open(context.Background(), c.confs[at], Deps{Log: testLog(t)})
	require.ErrorContains(t, err, "meta.add")
}

func TestOperatorCommands(t *testing.T) {
	c := newCluster(t, 3, 3)
	follower := (c.leader() + 1) % 3
	c.create(follower, "t", 4, 2, true)
	for _, s := range []struct{ cmd, want string }{
		{"node.list", "active"},
		{"node.drain", "error: wrong arguments"},
		{"node.drain 1.2.3.4:5", "error: no node"},
		{"node.drain " + c.nodes[0].endpoint.RPCAddress + " leaders", "is relieved"},
		{"node.drain-status", c.nodes[0].endpoint.RPCAddress},
		{"node.resume " + c.nodes[0].endpoint.RPCAddress, "is active"},
		{"node.drain-status", "no node is being drained"},
		{"node.forget " + c.nodes[0].endpoint.RPCAddress, "error: "},
		{"setting replica_repair_delay", "5m0s"},
		{"setting replica_repair_delay 90s", "1m30s"},
		{"setting replica_repair_delay soon", "error: "},
		{"setting replica_repair_delay default", "5m0s"},
		{"setting nothing", "error: "},
		{"balance.plan", "would move"},
		{"partition.recover all", "without a leader"},
		{"partition.recover t.9", "error: "},
		{"help", "partition.recover"},
	} {
		words := strings.Fields(s.cmd)
		// A leader that has just begun to lead refuses to recover anything.
		require.Eventually(t, func() bool {
			return strings.Contains(c.command(follower, words[0], words[1:]...), s.want)
		}, patience, 50*time.Millisecond, "%s: %s", s.cmd, c.command(follower, words[0], words[1:]...))
	}
}

// TestRemovedWhileDown: a meta server that was taken out while it did not run is told so by the others, at its start or,
// if it cannot reach them then, later.
func TestRemovedWhileDown(t *testing.T) {
	c := newCluster(t, 3, 0)
	leader := c.leader()
	for id := range uint64(3) {
		require.Eventually(t, func() bool { return c.metas[leader].group.State().Meta(id+1).Address != "" }, patience, 10*time.Millisecond)
	}
	gone := (leader + 1) % 3
	require.Eventually(t, func() bool { return len(c.metas[gone].group.State().LiveMetas()) == 3 }, patience, 10*time.Millisecond)
	c.stop(gone, c.metas[gone])
	require.Contains(t, c.command(leader, "meta.remove", c.confs[gone].RPC.Listen), "is leaving")
	c.awaitMeta(leader, uint64(gone)+1, catalog.MetaRemoved)

	_, err := Open(context.Background(), c.confs[gone], Deps{Log: testLog(t)})
	require.ErrorContains(t, err, "was taken out of the group")
	// A list with nobody to ask at the start; its catalog knows the others.
	c.confs[gone].Meta.Servers = []string{c.confs[gone].RPC.Listen}
	c.start(gone)
	require.Eventually(t, c.metas[gone].group.Removed, patience, 10*time.Millisecond)
	require.ErrorContains(t, c.metas[gone].Ready(), "taken out")
}

// TestLogLost: a meta server whose raft log is gone does not vote again under its old id.
func TestLogLost(t *testing.T) {
	c := newCluster(t, 1, 0)
	c.leader()
	c.stop(0, c.metas[0])
	require.NoError(t, os.RemoveAll(filepath.Join(c.confs[0].Node.Dir, "raft")))
	_, err := Open(context.Background(), c.confs[0], Deps{Log: testLog(t)})
	require.ErrorContains(t, err, "lost its raft log")
}

// TestRecover: two of three meta servers are gone, the third goes on alone with the catalog, and others are added to it.
func TestRecover(t *testing.T) {
	c := newCluster(t, 3, 3)
	leader := c.leader()
	_, id := c.create(leader, "t", 4, 3, true)
	alone, returns, destroyed := (leader+1)%3, (leader+2)%3, leader
	for _, s := range c.metas {
		require.Eventually(t, func() bool { return s.group.State().Table(id) != nil && len(s.group.State().LiveMetas()) == 3 }, patience, 10*time.Millisecond)
	}
	recoverAlone := func(confirm bool) (Survivor, error) {
		return Recover(context.Background(), c.confs[alone], Deps{Log: testLog(t)}, confirm)
	}
	c.stop(alone, c.metas[alone])
	_, err := recoverAlone(true)
	require.ErrorContains(t, err, "nothing to recover", "the others are a majority")
	c.stop(destroyed, c.metas[destroyed])
	_, err = recoverAlone(true)
	// With this one they are, too, if they elect in the time that it waits; otherwise
	// it finds the other at work.
	require.Error(t, err)
	require.Regexp(t, "nothing to recover|runs \\(catalog index", err.Error())
	require.ErrorContains(t, noneAnswers(context.Background(), []string{c.confs[returns].RPC.Listen}), "runs (catalog index")
	before := c.metas[returns].group.State().Version
	c.stop(returns, c.metas[returns])

	s, err := recoverAlone(false)
	require.NoError(t, err)
	require.Len(t, s.Metas, 2)
	require.NotNil(t, s.State.Table(id))
	p, err := readPlace(c.confs[alone].Node.Dir)
	require.NoError(t, err)
	require.Empty(t, p.Raft, "nothing was done yet")

	_, err = recoverAlone(true)
	require.NoError(t, err)
	c.metas[destroyed], c.metas[returns] = nil, nil
	c.start(alone)
	require.Equal(t, alone, c.leader())
	state := c.metas[alone].group.State()
	require.Greater(t, state.Version, before, "nodes fetch everything anew")
	require.NotNil(t, state.Table(id))
	require.Len(t, state.LiveMetas(), 1)
	for _, n := range c.nodes {
		require.Eventually(t, func() bool {
			return n.lookup(func() bool { return n.version == int64(state.Version) && len(n.held) > 0 })
		},
			patience, 10*time.Millisecond)
	}
	got, _ := c.create(alone, "u", 2, 3, true)
	require.Equal(t, code.OK, got)

	_, err = Open(context.Background(), c.confs[returns], Deps{Log: testLog(t)})
	require.ErrorContains(t, err, "was taken out of the group")
	for _, at := range []int{destroyed, returns} {
		addr := c.confs[at].RPC.Listen
		c.confs[at].Node.Dir, c.confs[at].Meta.Join = t.TempDir(), true
		answer := c.command(alone, "meta.add", addr)
		require.Contains(t, answer, "the place of")
		c.start(at)
		require.Eventually(t, func() bool {
			for _, m := range c.metas[at].group.State().LiveMetas() {
				if m.Address == addr && m.State == catalog.MetaVoting {
					return c.metas[at].group.State().Table(id) != nil
				}
			}
			return false
		}, patience, 10*time.Millisecond)
	}
	// Through a restart, when the joined ones may outvote it.
	c.stop(alone, c.metas[alone])
	c.start(alone)
	require.Eventually(t, func() bool {
		return c.metas[alone].Ready() == nil && len(c.metas[alone].group.State().LiveMetas()) == 3
	},
		patience, 10*time.Millisecond)
}
