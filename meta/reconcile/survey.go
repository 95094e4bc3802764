package reconcile

import (
	"fmt"
	"strings"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// NodeStatus is a replica server with what it carries.
type NodeStatus struct {
	*catalog.Node
	Alive    bool
	Replicas int
	Leaders  int
	Copies   int // replicas being copied to or from it
	Stuck    int // while drained: of its replicas, how many have no other node to go to
	Rooted   int // of its leaders, how many no other replica can take over from
}

// Nodes surveys the replica servers that were not replaced, by address.
func Nodes(s *catalog.State, v View) []NodeStatus {
	pic := newPicture(s, v, Input{})
	stuck, rooted := map[int64]int{}, map[int64]int{}
	for _, q := range pic.partitions {
		for _, r := range q.p.Replicas {
			if n := pic.nodes[r.NodeID]; n != nil && n.State == catalog.NodeDraining && !pic.hasRoom(q, r.ID) {
				stuck[r.NodeID]++
			}
		}
		if q.LeaderUp && !pic.hasSuccessor(q) {
			rooted[q.Leader.NodeID]++
		}
	}
	var out []NodeStatus
	for _, n := range s.Nodes() {
		if n.State == catalog.NodeReplaced {
			continue
		}
		v := pic.nodes[n.ID]
		out = append(out, NodeStatus{Node: n, Alive: v.alive, Replicas: v.replicas, Leaders: v.leaders, Copies: v.copies,
			Stuck: stuck[n.ID], Rooted: rooted[n.ID]})
	}
	return out
}

// hasSuccessor: another replica could lead the partition.
func (pic *picture) hasSuccessor(q *partitionView) bool {
	for _, r := range q.Replicas {
		if n := pic.nodes[r.NodeID]; r.ID != q.Leader.ID && r.Settled() && n != nil && n.leads() {
			return true
		}
	}
	return false
}

// hasRoom: some node could take the place of the replica, were it not busy.
func (pic *picture) hasRoom(q *partitionView, replaced int64) bool {
	_, ok := pic.anyTarget(q, replaced, func(n *nodeView) bool { return n.leads() && !n.full })
	return ok || q.p.Changing()
}

// Trouble is a partition that is not as it should be, with what is done about it or what it waits for.
type Trouble struct {
	TableID, Partition int32
	NoLeader           bool
	Text               string
}

// Troubles surveys the available tables.
func Troubles(s *catalog.State, v View, k Knobs, nowUnixSec int64) []Trouble {
	pic := newPicture(s, v, Input{})
	var out []Trouble
	for _, q := range pic.partitions {
		if q.table.Status != catalog.StatusAvailable {
			continue
		}
		if text := pic.trouble(q, k, nowUnixSec); text != "" {
			out = append(out, Trouble{TableID: q.table.ID, Partition: q.index, NoLeader: !q.LeaderUp, Text: text})
		}
	}
	return out
}

func (pic *picture) trouble(q *partitionView, k Knobs, now int64) string {
	if !q.LeaderUp {
		return pic.leaderless(q)
	}
	for _, r := range q.Replicas {
		switch {
		case r.Leaving:
			return fmt.Sprintf("replica %d on %s is being removed", r.ID, pic.name(r.NodeID))
		case !r.Voting:
			return fmt.Sprintf("replica %d is being added on %s (%s): %s, index %d of %d",
				r.ID, pic.name(r.NodeID), r.Why, strings.ToLower(r.State.String()), r.Applied, q.LeaderApplied())
		}
	}
	for _, r := range q.Replicas {
		if !r.Follows {
			return pic.missing(q, r, k, now)
		}
	}
	if voters, want := q.voters(), int(q.table.ReplicaCount); voters != want {
		text := fmt.Sprintf("%d replicas, %d wanted", voters, want)
		if voters < want && !pic.hasRoom(q, 0) {
			text += ": no node can take another one"
		}
		return text
	}
	return ""
}

// missing says what becomes of a replica that does not follow the leader.
func (pic *picture) missing(q *partitionView, r track.Replica, k Knobs, now int64) string {
	n := pic.nodes[r.NodeID]
	text := fmt.Sprintf("replica %d on %s is %s", r.ID, pic.name(r.NodeID), pic.condition(r))
	switch {
	case n == nil || n.State == catalog.NodeReplaced || r.NodeUp:
	case away(n.Node, now) < k.RepairDelay:
		return text + fmt.Sprintf(", replaced after %s (%s to go)", k.RepairDelay, (k.RepairDelay-away(n.Node, now)).Round(time.Second))
	case !pic.hasRoom(q, r.ID):
		return text + ", and no other node can take its place"
	}
	return text
}

// condition is how a replica that should be at work is not.
func (pic *picture) condition(r track.Replica) string {
	n := pic.nodes[r.NodeID]
	switch {
	case n == nil || n.State == catalog.NodeReplaced:
		return "gone: its node's disk is"
	case !r.NodeUp:
		return "away with its node"
	case !r.Heard:
		return "not reported yet"
	case r.State == arion.ReplicaState_SERVING:
		return "catching up"
	}
	return strings.ToLower(r.State.String())
}

// leaderless says why a partition has no leader, which is a matter of counting who could vote.
func (pic *picture) leaderless(q *partitionView) string {
	voters, there := 0, 0
	var absent []string
	for _, r := range q.Replicas {
		if !r.Voting {
			continue
		}
		voters++
		if r.NodeUp && r.State == arion.ReplicaState_SERVING {
			there++
			continue
		}
		absent = append(absent, fmt.Sprintf("replica %d on %s is %s", r.ID, pic.name(r.NodeID), pic.condition(r)))
	}
	text := fmt.Sprintf("no leader: %d of %d voting replicas are at work", there, voters)
	if len(absent) > 0 {
		text += "; " + strings.Join(absent, "; ")
	}
	if 2*there > voters {
		return text + "; that is a majority, an election is under way"
	}
	return text + fmt.Sprintf("; it serves again when %d are back, or by `partition.recover`, which may lose writes", voters/2+1)
}

func (pic *picture) name(nodeID int64) string {
	if n := pic.nodes[nodeID]; n != nil {
		return n.RPCAddress
	}
	return nodeText(nodeID)
}
