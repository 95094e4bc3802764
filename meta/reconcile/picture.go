package reconcile

import (
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/placement"
	"github.com/arionkv/arion/meta/track"
)

// picture is the cluster at one moment, put together once per round: every node with what it carries, every partition with
// what is known of it.
type picture struct {
	state      *catalog.State
	broken     func(table, index int32, replica int64) bool
	nodes      map[int64]*nodeView
	partitions []*partitionView
	copies     int // replicas being copied, in all
	balancing  int // of those, for balance
}

// nodeView is one node.
type nodeView struct {
	*catalog.Node
	alive    bool
	gone     bool // away for longer than the repair delay and confirmed dead, or replaced
	quiet    bool // asked by itself to be relieved of its leaders
	replicas int  // that the catalog has there, those on their way out excluded
	leaders  int  // that it really leads
	copies   int  // to it or from it
	full     bool // its disk has no room for another replica
}

// partitionView is one partition.
type partitionView struct {
	table *catalog.Table
	index int32
	p     *catalog.Partition
	track.View
}

// roomShare of a disk must stay free after a replica has been put there.
const roomShare = 10 // percent

func newPicture(s *catalog.State, v View, in Input) *picture {
	pic := &picture{state: s, broken: in.Broken, nodes: map[int64]*nodeView{}}
	for _, n := range s.Nodes() {
		disk := v.Disk(n.ID)
		pic.nodes[n.ID] = &nodeView{Node: n, alive: v.Alive(n.ID), quiet: v.Draining(n.ID),
			gone: n.State == catalog.NodeReplaced || in.Dead[n.ID],
			full: disk.CapacityBytes > 0 && disk.AvailableBytes*100 < disk.CapacityBytes*roomShare}
	}
	for _, t := range s.Tables() {
		if !t.Live() {
			continue
		}
		for i := range t.Partitions {
			if len(t.Partitions[i].Replicas) == 0 {
				continue // a child to be
			}
			q := &partitionView{table: t, index: int32(i), p: &t.Partitions[i], View: v.Partition(t, int32(i))}
			for j := range q.Replicas {
				pic.judge(q, &q.Replicas[j])
			}
			pic.add(q)
		}
	}
	return pic
}

func (pic *picture) add(q *partitionView) {
	pic.partitions = append(pic.partitions, q)
	if n := pic.nodes[q.Leader.NodeID]; n != nil && q.LeaderUp {
		n.leaders++
	}
	for _, r := range q.p.Replicas {
		n := pic.nodes[r.NodeID]
		if n != nil && !r.Leaving {
			n.replicas++
		}
		if n != nil && !r.Voting && !r.Leaving {
			pic.copying(q, n, r.Why)
		}
	}
}

// copying counts a copy for its target and for its source, which is the leader.
func (pic *picture) copying(q *partitionView, target *nodeView, why catalog.Reason) {
	pic.copies++
	if why == catalog.ForBalance {
		pic.balancing++
	}
	target.copies++
	if source := pic.nodes[q.Leader.NodeID]; source != nil {
		source.copies++
	}
}

// takes: the node may get another replica now.
func (n *nodeView) takes(k Knobs) bool {
	return n.State == catalog.NodeActive && n.alive && !n.quiet && !n.full && n.copies < k.CopiesPerNode
}

// leads: the node may get another leader.
func (n *nodeView) leads() bool { return n.State == catalog.NodeActive && n.alive && !n.quiet }

// away is how long the catalog has known the node to be silent.
func away(n *catalog.Node, now int64) time.Duration {
	if n.AwaySinceUnixSec == 0 {
		return 0
	}
	return time.Duration(max(0, now-n.AwaySinceUnixSec)) * time.Second
}

// judge turns a failure that has lasted too long into a loss, and so a removal that was called off too late to stop it.
func (pic *picture) judge(q *partitionView, r *track.Replica) {
	failed := r.State == arion.ReplicaState_FAILED && pic.broken != nil && pic.broken(q.table.ID, q.index, r.ID)
	expelled := r.Settled() && len(q.Members) > 0 && q.Member(r.ID) == nil
	if failed || expelled {
		r.State, r.Follows = arion.ReplicaState_LOST, false
	}
}

// lost: the replica will never be of use again.
func (pic *picture) lost(r track.Replica) bool {
	n := pic.nodes[r.NodeID]
	return n == nil || n.State == catalog.NodeReplaced || r.State == arion.ReplicaState_LOST
}

// gone: the replica is not expected back in time.
func (pic *picture) gone(r track.Replica) bool {
	n := pic.nodes[r.NodeID]
	return pic.lost(r) || n.gone
}

// asPlacement is a node as the placement planner sees it.
func (n *nodeView) asPlacement() placement.Node {
	return placement.Node{ID: n.ID, Zone: n.Zone, Replicas: n.replicas, Leaders: n.leaders}
}

// target picks a node for a replica of q that joins, or takes the place of the replica replaced.
func (pic *picture) target(q *partitionView, replaced int64, k Knobs) (int64, bool) {
	if source := pic.nodes[q.Leader.NodeID]; pic.copies >= k.Copies || source == nil || source.copies >= k.CopiesPerNode {
		return 0, false
	}
	return pic.anyTarget(q, replaced, func(n *nodeView) bool { return n.takes(k) })
}

func (pic *picture) anyTarget(q *partitionView, replaced int64, takes func(*nodeView) bool) (int64, bool) {
	var candidates, others []placement.Node
	held := map[int64]bool{}
	for _, r := range q.p.Replicas {
		held[r.NodeID] = true
		if n := pic.nodes[r.NodeID]; n != nil && r.ID != replaced {
			others = append(others, n.asPlacement())
		}
	}
	for id, n := range pic.nodes {
		if !held[id] && takes(n) {
			candidates = append(candidates, n.asPlacement())
		}
	}
	to, ok := placement.Target(candidates, others)
	return to.ID, ok
}

// balanceable is the picture as the balance planner sees it: settled partitions that have a leader, and the nodes that
// may take something.
func (pic *picture) balanceable(followers bool) placement.Picture {
	out := placement.Picture{NoLeaders: map[int64]bool{}}
	for id, n := range pic.nodes {
		if n.State == catalog.NodeReplaced || !n.alive {
			continue
		}
		if followers || n.State == catalog.NodeActive && !n.quiet {
			out.Nodes = append(out.Nodes, n.asPlacement())
		}
		out.NoLeaders[id] = !n.leads()
	}
	for _, q := range pic.partitions {
		out.Partitions = append(out.Partitions, q.asPlacement(followers))
	}
	return out
}

// asPlacement describes a partition: with followers only those replicas that could lead now, else every settled one.
func (q *partitionView) asPlacement(followers bool) placement.Partition {
	out := placement.Partition{Table: q.table.ID, Index: q.index}
	if q.LeaderUp && q.table.Status == catalog.StatusAvailable {
		out.Leader = q.Leader.NodeID
	}
	for _, r := range q.Replicas {
		if r.Settled() && (!followers || r.Follows) {
			out.Nodes = append(out.Nodes, r.NodeID)
		}
	}
	return out
}
