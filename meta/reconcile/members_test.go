package reconcile

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/placement"
)

// spread places partitions as a creation would.
func (w *world) spread(partitions, replicas int) [][]int64 {
	var nodes []placement.Node
	for _, n := range w.s.Nodes() {
		nodes = append(nodes, placement.Node{ID: n.ID, Zone: n.Zone})
	}
	plan, err := placement.Table(nodes, partitions, replicas)
	require.NoError(w.t, err)
	return plan
}

// on counts the replicas that the catalog has on a node.
func (w *world) on(node int64) int {
	n := 0
	for _, t := range w.s.Tables() {
		for i := range t.Partitions {
			if _, there := t.Partitions[i].On(node); there {
				n++
			}
		}
	}
	return n
}

func TestDeadNodeIsReplaced(t *testing.T) {
	w := newWorld(t, 1, 4)
	w.create("t", w.spread(16, 3))
	w.settle(10, 0)
	w.nodes[2].alive = false
	for range 20 {
		require.Empty(t, w.step(0).Changes, "nothing moves before the delay is over")
	}
	w.settle(500, 0)
	require.Zero(t, w.on(2))
	require.NotZero(t, w.s.Node(2).AwaySinceUnixSec)
	w.nodes[2].alive = true
	w.settle(10, 0)
	require.Zero(t, w.s.Node(2).AwaySinceUnixSec, "it is back")
	require.Zero(t, w.on(2), "level steady moves nothing back")
}

func TestReturnInTime(t *testing.T) {
	w := newWorld(t, 1, 4)
	w.create("t", w.spread(4, 3))
	before := w.s.Table(1).Partitions
	w.nodes[2].alive = false
	for range 10 {
		w.step(0)
	}
	w.nodes[2].alive = true
	w.settle(10, 0)
	require.Equal(t, before, w.s.Table(1).Partitions)
}

// TestCalledOff: a node that comes back while its replacement still copies keeps its replicas.
func TestCalledOff(t *testing.T) {
	w := newWorld(t, 1, 4)
	w.create("t", [][]int64{{1, 2, 3}})
	w.nodes[2].alive = false
	for w.s.Partition(1, 0).NextReplicaID == 4 {
		w.step(0)
	}
	w.nodes[2].alive = true
	w.settle(20, 0)
	require.Equal(t, 1, w.on(2))
	require.Zero(t, w.on(4))
}

// TestWipedNode: the disk is gone, the node is there, and there is no other: its replicas are made anew on it.
func TestWipedNode(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.create("t", w.spread(4, 3))
	for i := range w.s.Table(1).Partitions {
		r, _ := w.s.Table(1).Partitions[i].On(2)
		w.nodes[2].lost[fmt.Sprint(1, i, r.ID)] = true
	}
	w.settle(200, 0)
	for _, p := range w.s.Table(1).Partitions {
		r, there := p.On(2)
		require.True(t, there)
		require.Equal(t, int64(4), r.ID, "under a new id")
	}
}

// TestReplacedIdentity: another node has the address of one that is gone, as when a server restarts with an empty disk.
func TestReplacedIdentity(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.create("t", w.spread(4, 3))
	w.nodes[3].alive = false
	w.nodes[9] = &worldNode{alive: true, lost: map[string]bool{}}
	w.must(&catalog.RegisterNode{Node: catalog.Node{ID: 9, Boot: 1, RPCAddress: "node3"}})
	w.settle(200, 0)
	require.Zero(t, w.on(3))
	require.Equal(t, 4, w.on(9))
	w.must(&catalog.ForgetNode{NodeID: 3})
}

func TestDrain(t *testing.T) {
	w := newWorld(t, 1, 4)
	w.create("t", w.spread(8, 3))
	w.create("single", w.spread(4, 1))
	w.must(&catalog.SetNodeState{NodeID: 1, State: catalog.NodeDraining})
	w.settle(500, 0)
	require.Zero(t, w.on(1))
	for _, n := range Nodes(w.s, w) {
		require.Zero(t, n.Stuck)
	}
	w.must(&catalog.SetNodeState{NodeID: 2, State: catalog.NodeDraining})
	for range 100 {
		w.step(0)
	}
	require.Equal(t, 8, w.on(2), "three replicas need three nodes: what has nowhere to go stays")
	for _, n := range Nodes(w.s, w) {
		if n.ID == 2 {
			require.Equal(t, 8, n.Stuck)
			require.Zero(t, n.Leaders)
		}
	}
}

func TestRelief(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.create("t", w.spread(8, 3))
	w.must(&catalog.SetNodeState{NodeID: 1, State: catalog.NodeRelieved})
	w.settle(20, 0)
	for _, g := range w.groups {
		require.NotEqual(t, int64(1), g.find(g.leader).NodeID)
	}
	require.Equal(t, 8, w.on(1), "replicas stay")
}

func TestReplicaCount(t *testing.T) {
	w := newWorld(t, 1, 5)
	w.create("t", w.spread(8, 3))
	for _, want := range []int32{5, 2, 1, 3} {
		w.must(&catalog.SetReplicaCount{Name: "t", Count: want})
		w.settle(500, 0)
		for _, p := range w.s.Table(1).Partitions {
			require.Len(t, p.Replicas, int(want))
		}
		require.Empty(t, w.s.Table(1).Envs[catalog.CountEnv])
		for id := range w.nodes {
			require.InDelta(t, 8*int(want)/5, w.on(id), 1.5, "count %d: replicas go evenly", want)
		}
	}
}

func TestFreezed(t *testing.T) {
	w := newWorld(t, 1, 4)
	w.create("t", w.spread(4, 3))
	w.must(&catalog.SetLevel{Level: catalog.LevelFreezed})
	w.nodes[2].alive = false
	w.must(&catalog.SetNodeState{NodeID: 1, State: catalog.NodeDraining})
	for range 100 {
		p := w.step(0)
		require.Empty(t, p.Changes)
		require.Empty(t, p.Moves)
	}
}

func TestLively(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.create("t", w.spread(16, 3))
	w.join(4)
	w.must(&catalog.SetLevel{Level: catalog.LevelLively})
	w.settle(1000, 0)
	for id := range w.nodes {
		require.Equal(t, 12, w.on(id))
	}
	for range 50 {
		p := w.step(0)
		require.Empty(t, p.Moves, "at rest means at rest")
		require.Empty(t, p.Commands)
	}
}

// TestAnyTrouble: whatever happens to nodes, replicas, requests and answers, memberships change by the rules (checked at
// every step), and the cluster is whole once the trouble ends.
func TestAnyTrouble(t *testing.T) {
	for seed := int64(1); seed <= 40; seed++ {
		w := newWorld(t, seed, 5)
		w.create("a", w.spread(8, 3))
		w.create("b", w.spread(4, 2))
		if seed%2 == 0 {
			w.must(&catalog.SetLevel{Level: catalog.LevelLively})
		}
		for range 300 {
			w.mishap()
			w.step(0.3)
		}
		for id, n := range w.nodes {
			n.alive = true
			w.must(&catalog.SetNodeState{NodeID: id, State: catalog.NodeActive})
		}
		w.settle(3000, 0.1)
	}
}

// mishap does something bad now and then, but leaves every group a quorum: without one there is nothing to plan.
func (w *world) mishap() {
	id := int64(1 + w.r.Intn(5))
	n := w.nodes[id]
	switch w.r.Intn(20) {
	case 0:
		n.alive = false
		if w.anyWithoutQuorum() {
			n.alive = true
		}
	case 1, 2:
		n.alive = true
	case 3:
		w.must(&catalog.SetNodeState{NodeID: id, State: []catalog.NodeState{catalog.NodeActive, catalog.NodeActive, catalog.NodeDraining, catalog.NodeRelieved}[w.r.Intn(4)]})
	case 4:
		w.loseOne(id)
	}
}

func (w *world) loseOne(node int64) {
	for id := range w.groups {
		r, there := w.s.Partition(id.table, id.index).On(node)
		if !there {
			continue
		}
		key := fmt.Sprint(id.table, id.index, r.ID)
		w.nodes[node].lost[key] = true
		if w.anyWithoutQuorum() {
			delete(w.nodes[node].lost, key)
		}
		return
	}
}

func (w *world) anyWithoutQuorum() bool {
	for id, g := range w.groups {
		if !w.quorum(id, g) {
			return true
		}
	}
	return false
}
