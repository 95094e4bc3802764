package meta

import (
	"context"
	"os"
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
