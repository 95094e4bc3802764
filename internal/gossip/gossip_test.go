package gossip

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
)

const patience = 30 * time.Second

// view is what a node was told through its callbacks.
type view struct {
	mu      sync.Mutex
	reports map[int64]map[replicaKey]*arion.ReplicaReport
	alive   map[int64]bool
}

func (v *view) onMember(m Member) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.alive[m.Endpoint.NodeID] = m.Alive
}

func (v *view) onReport(node int64, reports []*arion.ReplicaReport, full bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if full || v.reports[node] == nil {
		v.reports[node] = map[replicaKey]*arion.ReplicaReport{}
	}
	for _, r := range reports {
		v.reports[node][keyOf(r)] = r
	}
}

func (v *view) term(node int64, table, partition int32, replica int64) int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.reports[node][replicaKey{table, partition, replica}]; r != nil {
		return r.Term
	}
	return -1
}

func open(t *testing.T, id, boot int64, role arion.NodeRole, seeds []string, key []byte) (*Gossip, *view) {
	t.Helper()
	v := &view{reports: map[int64]map[replicaKey]*arion.ReplicaReport{}, alive: map[int64]bool{}}
	g, err := Open(Options{
		Endpoint: &arion.NodeEndpoint{NodeID: id, Boot: boot, Role: role, RPCAddress: fmt.Sprintf("127.0.0.1:%d", id)},
		BindAddr: "127.0.0.1:0", Seeds: seeds, Cluster: "test", Key: key,
		Registerer: prometheus.NewRegistry(), OnMember: v.onMember, OnReport: v.onReport,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = g.Close() })
	return g, v
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patience, 10*time.Millisecond, what)
}

func aliveCount(g *Gossip) int {
	n := 0
	for _, m := range g.Members() {
		if m.Alive {
			n++
		}
	}
	return n
}

func report(table, partition int32, replica, term, leader int64) *arion.ReplicaReport {
	return &arion.ReplicaReport{TableID: table, PartitionIndex: partition, ReplicaID: replica, Term: term,
		LeaderReplicaID: leader, State: arion.ReplicaState_SERVING}
}

// TestFiveNodes brings a cluster together, moves a leader, kills a node, and brings it back under its next boot.
func TestFiveNodes(t *testing.T) {
	var nodes []*Gossip
	var views []*view
	var seeds []string
	for id := int64(1); id <= 5; id++ {
		role := arion.NodeRole_REPLICA
		if id == 1 {
			role = arion.NodeRole_META
		}
		g, v := open(t, id, 1, role, seeds, []byte("0123456789abcdef"))
		if id == 1 {
			seeds = []string{g.Addr()}
		}
		nodes, views = append(nodes, g), append(views, v)
	}
	for i, g := range nodes {
		eventually(t, fmt.Sprintf("node %d sees five", i+1), func() bool { return aliveCount(g) == 5 })
	}

	nodes[1].SetReports([]*arion.ReplicaReport{report(1, 0, 1, 2, 1), report(1, 1, 1, 2, 3)})
	nodes[1].SetReports([]*arion.ReplicaReport{report(1, 0, 1, 5, 2), report(1, 1, 1, 2, 3)})
	for i, v := range views {
		if i != 1 {
			eventually(t, fmt.Sprintf("node %d hears of the new leader", i+1), func() bool { return v.term(2, 1, 0, 1) == 5 })
		}
	}

	require.NoError(t, nodes[4].Close())
	eventually(t, "the death is noticed", func() bool { return aliveCount(nodes[0]) == 4 })
	again, _ := open(t, 5, 2, arion.NodeRole_REPLICA, seeds, []byte("0123456789abcdef"))
	eventually(t, "the next life is taken in", func() bool { return aliveCount(nodes[0]) == 5 && aliveCount(again) == 5 })
	for _, m := range nodes[0].Members() {
		if m.Endpoint.NodeID == 5 {
			require.Equal(t, int64(2), m.Endpoint.Boot)
		}
	}
	require.NoError(t, nodes[2].Leave(time.Second))
	eventually(t, "a farewell is heard", func() bool { return aliveCount(nodes[0]) == 4 })
}

// TestStrangers: a node with another key stays outside.
func TestStrangers(t *testing.T) {
	a, _ := open(t, 1, 1, arion.NodeRole_META, nil, []byte("0123456789abcdef"))
	b, _ := open(t, 2, 1, arion.NodeRole_REPLICA, []string{a.Addr()}, []byte("fedcba9876543210"))
	c, _ := open(t, 3, 1, arion.NodeRole_REPLICA, []string{a.Addr()}, []byte("0123456789abcdef"))
	eventually(t, "the friend joins", func() bool { return aliveCount(a) == 2 && aliveCount(c) == 2 })
	require.Equal(t, 1, aliveCount(b))
}

func TestTooLongEndpoint(t *testing.T) {
	long := make([]byte, 255)
	_, err := Open(Options{Endpoint: &arion.NodeEndpoint{NodeID: 1, Version: string(long), Zone: string(long), RPCAddress: "a:1"},
		BindAddr: "127.0.0.1:0"})
	require.ErrorContains(t, err, "at most 512")
}

func TestGhostsAndGaps(t *testing.T) {
	var s reports
	s.init(1, 1)
	require.True(t, s.takeFull(origin{2, 1, 5, []*arion.ReplicaReport{report(1, 0, 1, 1, 1), report(1, 1, 1, 1, 1)}}))
	require.True(t, s.takeDelta(delta{2, 1, 7, report(1, 0, 1, 3, 1)}))
	require.False(t, s.takeDelta(delta{2, 1, 6, report(1, 0, 1, 2, 1)}), "older than the last delta")
	require.False(t, s.takeDelta(delta{2, 1, 4, report(9, 9, 9, 9, 9)}), "older than the whole set")
	require.True(t, s.takeFull(origin{2, 1, 6, []*arion.ReplicaReport{report(1, 0, 1, 2, 1)}}))
	require.Equal(t, int64(3), s.lives[2].entries[replicaKey{1, 0, 1}].report.Term, "a later delta outlives an older whole set")
	require.Len(t, s.lives[2].entries, 1)
	require.True(t, s.takeDelta(delta{2, 2, 1, report(1, 0, 1, 4, 1)}), "the next boot starts over")
	require.False(t, s.takeDelta(delta{2, 1, 9, report(1, 0, 1, 9, 1)}), "a ghost")
	require.False(t, s.takeFull(origin{node: 1, boot: 9, seq: 9}), "nobody speaks for this node")
	require.Len(t, s.state(), 1, "a life known from deltas only is not passed on")
}

func TestDeltaFitsPacket(t *testing.T) {
	var many []*arion.ReplicaReport
	for i := range 500 {
		many = append(many, report(1000, int32(i), 1<<40, 1<<40, 1<<40))
	}
	seen := 0
	for len(many) > 0 {
		msg, n := packDelta(1<<62, 1000, 1<<30, many)
		require.LessOrEqual(t, len(msg), packetSize-100)
		out, err := decodeDelta(msg)
		require.NoError(t, err)
		require.Len(t, out, n)
		for i := range out {
			require.Equal(t, many[i], out[i].report)
		}
		many, seen = many[n:], seen+n
	}
	require.Equal(t, 500, seen)
}

func FuzzDecode(f *testing.F) {
	f.Add(appendEndpoint(nil, &arion.NodeEndpoint{NodeID: 7, Boot: 3, RPCAddress: "a:1", Zone: "z"}))
	f.Add(delta{1, 2, 3, report(1, 2, 3, 4, 5)}.encode())
	f.Add(encodeState([]origin{{1, 2, 3, []*arion.ReplicaReport{report(1, 2, 3, 4, 5)}}, {node: 9}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := decodeEndpoint(b); err == nil {
			again, err := decodeEndpoint(appendEndpoint(nil, e))
			require.NoError(t, err)
			require.Equal(t, e, again)
		}
		if ds, err := decodeDelta(b); err == nil && len(ds) > 0 {
			_, err := decodeDelta(ds[0].encode())
			require.NoError(t, err)
		}
		if os, err := decodeState(b); err == nil {
			again, err := decodeState(encodeState(os))
			require.NoError(t, err)
			require.Equal(t, os, again)
		}
	})
}
