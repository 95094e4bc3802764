package reconcile

import (
	"cmp"
	"slices"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// Change is one step that the leader of a partition is asked to take in raft. Done, if set, is recorded once the leader has
// confirmed it.
type Change struct {
	TableID, Partition int32
	On                 *catalog.Node // of the leader
	Op                 arion.MemberOp
	Replica            catalog.Replica
	ConfigIndex        int64 // of the membership that the step was planned on; raft refuses it on another
	Done               catalog.Command
}

// members plans the next step of every partition whose membership is not what it should be.
//
// A membership changes by one replica at a time, in the catalog and in raft, and each step starts from what the catalog and
// the reports say now; no plan outlives its round.
//
//	add:     AddReplica → its node opens it → raft: non-voting → it catches up → raft: voting → PromoteReplica
//	remove:  RetireReplica → leadership goes elsewhere → raft: removed → RemoveReplica → its node puts it aside
//	replace: add, then remove, for the place of a replica that may still come back or is still useful
//	         remove, then add, for one that cannot: it only weakens the quorum, and its node may be the only place
func (p *Plan) members(pic *picture, in Input) {
	for _, q := range pic.partitions {
		if q.table.Status == catalog.StatusAvailable && q.LeaderUp && pic.nodes[q.Leader.NodeID] != nil && len(q.Members) > 0 && !q.held() {
			p.membersOf(pic, q, in)
		}
	}
}

func (p *Plan) membersOf(pic *picture, q *partitionView, in Input) {
	if stray := q.stray(); stray != nil {
		p.removeStray(pic, q, stray)
		return
	}
	for _, r := range q.Replicas {
		switch {
		case r.Leaving:
			p.remove(pic, q, r)
			return
		case !r.Voting:
			p.add(pic, q, r, in)
			return
		}
	}
	p.next(pic, q, in)
}

func (p *Plan) change(pic *picture, q *partitionView, op arion.MemberOp, r catalog.Replica, done catalog.Command) {
	p.Changes = append(p.Changes, Change{TableID: q.table.ID, Partition: q.index, On: pic.nodes[q.Leader.NodeID].Node,
		Op: op, Replica: r, ConfigIndex: q.ConfigIndex, Done: done})
}

func (p *Plan) command(c catalog.Command) { p.Commands = append(p.Commands, c) }

// stray is a member that raft has and the catalog does not, or nil. It is left over from a step that was called off while
// on its way.
func (q *partitionView) stray() *arion.ReplicaMember {
	for _, m := range q.Members {
		if _, known := q.p.Find(m.ReplicaID); !known && m.ReplicaID < q.p.NextReplicaID {
			return m
		}
	}
	return nil
}

func (p *Plan) removeStray(pic *picture, q *partitionView, m *arion.ReplicaMember) {
	if !m.Voting || pic.quorumWithout(q, m.ReplicaID) {
		p.change(pic, q, arion.MemberOp_REMOVE, catalog.Replica{ID: m.ReplicaID, NodeID: m.NodeID}, nil)
	}
}

// remove takes a retired replica out of raft. The leader says so itself when the replica is no member any more: what was
// reported may be older than the last step.
func (p *Plan) remove(pic *picture, q *partitionView, r track.Replica) {
	if r.ID == q.Leader.ID {
		p.leadElsewhere(pic, q, r.ID)
		return
	}
	if m := q.Member(r.ID); m != nil && m.Voting && !pic.quorumWithout(q, r.ID) {
		// Too few of the others are left to go on without it, and nothing else can happen while it is leaving.
		p.command(&catalog.RestoreReplica{TableID: q.table.ID, Partition: q.index, ReplicaID: r.ID})
		return
	}
	p.change(pic, q, arion.MemberOp_REMOVE, r.Replica, &catalog.RemoveReplica{TableID: q.table.ID, Partition: q.index, ReplicaID: r.ID})
}

// quorumWithout reports whether the members but for one have a majority that is at work.
func (pic *picture) quorumWithout(q *partitionView, replicaID int64) bool {
	voters, working := 0, 0
	for _, m := range q.Members {
		if !m.Voting || m.ReplicaID == replicaID {
			continue
		}
		voters++
		if at := slices.IndexFunc(q.Replicas, func(r track.Replica) bool { return r.ID == m.ReplicaID }); at >= 0 && q.Replicas[at].Follows {
			working++
		}
	}
	return 2*working > voters
}

// leadElsewhere asks the leader to hand over: to the replica that takes its place if there is one, else to the node that
// leads least.
func (p *Plan) leadElsewhere(pic *picture, q *partitionView, leaving int64) {
	best, found := track.Replica{}, false
	for _, r := range q.Replicas {
		if !r.Settled() || !r.Follows || r.ID == q.Leader.ID {
			continue
		}
		if !found || pic.rankLeader(r, leaving) < pic.rankLeader(best, leaving) {
			best, found = r, true
		}
	}
	if found {
		p.Moves = append(p.Moves, Move{TableID: q.table.ID, Partition: q.index, From: pic.nodes[q.Leader.NodeID].Node, To: best.Replica})
		pic.nodes[best.NodeID].leaders++
	}
}

func (pic *picture) rankLeader(r track.Replica, leaving int64) int {
	n := pic.nodes[r.NodeID]
	rank := n.leaders
	if r.Replaces == leaving {
		rank -= 1 << 20
	}
	if !n.leads() {
		rank += 1 << 21
	}
	return rank
}

// add brings a new replica on, or calls it off.
func (p *Plan) add(pic *picture, q *partitionView, r track.Replica, in Input) {
	m := q.Member(r.ID)
	switch {
	case m != nil && m.Voting:
		p.command(&catalog.PromoteReplica{TableID: q.table.ID, Partition: q.index, ReplicaID: r.ID})
	case pic.calledOff(q, r, in):
		p.command(&catalog.RetireReplica{TableID: q.table.ID, Partition: q.index, ReplicaID: r.ID})
	case m == nil && r.Heard && r.NodeUp:
		p.change(pic, q, arion.MemberOp_ADD_NONVOTING, r.Replica, nil)
	case m != nil && r.Follows && in.CaughtUp(q, r):
		p.change(pic, q, arion.MemberOp_PROMOTE, r.Replica, nil)
	}
}

// absentAfter is how long the node of a new replica may be away before another node is tried. It has nothing yet that would
// be worth waiting for.
const absentAfter = 30 * time.Second

// calledOff: the new replica is not wanted any more, and has no vote yet.
func (pic *picture) calledOff(q *partitionView, r track.Replica, in Input) bool {
	n := pic.nodes[r.NodeID]
	if pic.gone(r) || n.State == catalog.NodeDraining || !n.alive && away(n.Node, in.NowUnixSec) > absentAfter {
		return true // somewhere else, then
	}
	at := slices.IndexFunc(q.Replicas, func(o track.Replica) bool { return o.ID == r.Replaces })
	if at < 0 {
		return q.voters() >= int(q.table.ReplicaCount)
	}
	old := q.Replicas[at]
	switch r.Why {
	case catalog.ForRepair:
		return old.Follows // it came back, with its data
	case catalog.ForDrain:
		return pic.nodes[old.NodeID].State == catalog.NodeActive
	}
	return false
}

// voters counts the settled replicas.
func (q *partitionView) voters() int {
	n := 0
	for _, r := range q.Replicas {
		if r.Settled() {
			n++
		}
	}
	return n
}

// next decides what a settled partition needs.
func (p *Plan) next(pic *picture, q *partitionView, in Input) {
	voters, want := q.voters(), int(q.table.ReplicaCount)
	if victim, ok := pic.victim(q, voters > want); ok {
		if pic.quorumWithout(q, victim.ID) && (pic.gone(victim) || q.othersWork(victim.ID)) {
			p.command(&catalog.RetireReplica{TableID: q.table.ID, Partition: q.index, ReplicaID: victim.ID})
			if n := pic.nodes[victim.NodeID]; n != nil {
				n.replicas-- // the next partition sees it, so that they do not all go from one node
			}
		}
		return
	}
	if voters < want {
		p.place(pic, q, 0, catalog.ForRepair, in)
		return
	}
	for _, r := range q.Replicas {
		switch n := pic.nodes[r.NodeID]; {
		case pic.gone(r):
			p.place(pic, q, r.ID, catalog.ForRepair, in)
			return
		case n.State == catalog.NodeDraining && q.othersWork(r.ID):
			p.place(pic, q, r.ID, catalog.ForDrain, in)
			return
		}
	}
}

func (p *Plan) place(pic *picture, q *partitionView, replaces int64, why catalog.Reason, in Input) {
	to, ok := pic.target(q, replaces, in.Knobs)
	if !ok {
		return
	}
	p.command(&catalog.AddReplica{TableID: q.table.ID, Partition: q.index, NodeID: to, Replaces: replaces, Why: why})
	pic.copying(q, pic.nodes[to], why)
	pic.nodes[to].replicas++
}

// victim picks the replica that should go before anything else happens: one that can never come back, or the least useful
// one of too many. A last replica never goes.
func (pic *picture) victim(q *partitionView, tooMany bool) (track.Replica, bool) {
	best, rank := track.Replica{}, 0
	for _, r := range q.Replicas {
		score := pic.uselessness(q, r)
		if best.ID == 0 || score > rank {
			best, rank = r, score
		}
	}
	if len(q.Replicas) < 2 || !tooMany && !pic.lost(best) {
		return track.Replica{}, false
	}
	return best, true
}

// uselessness ranks the replicas of a partition for removal.
func (pic *picture) uselessness(q *partitionView, r track.Replica) int {
	n, score := pic.nodes[r.NodeID], 0
	replaced := slices.ContainsFunc(q.Replicas, func(o track.Replica) bool { return o.Replaces == r.ID })
	for i, is := range []bool{r.ID != q.Leader.ID, pic.crowded(q, r), n != nil && n.State != catalog.NodeActive, !r.Follows, replaced, pic.gone(r), pic.lost(r)} {
		if is {
			score |= 1 << (i + 20)
		}
	}
	if n != nil {
		score += min(n.replicas, 1<<19) // among equals, the one on the fullest node
	}
	return score
}

// crowded: another replica of the partition is in the same zone.
func (pic *picture) crowded(q *partitionView, r track.Replica) bool {
	n := pic.nodes[r.NodeID]
	return n != nil && n.Zone != "" && slices.ContainsFunc(q.Replicas, func(o track.Replica) bool {
		other := pic.nodes[o.NodeID]
		return o.ID != r.ID && other != nil && other.Zone == n.Zone
	})
}

// othersWork: every other replica is at work, so that one may go without need.
func (q *partitionView) othersWork(replicaID int64) bool {
	return !slices.ContainsFunc(q.Replicas, func(r track.Replica) bool { return r.ID != replicaID && !r.Follows })
}

// counted ends changes of replica counts that all partitions have followed.
func (p *Plan) counted(pic *picture) {
	pending := map[int32]bool{}
	for _, q := range pic.partitions {
		if q.table.Envs[catalog.CountEnv] != "" {
			pending[q.table.ID] = pending[q.table.ID] || len(q.p.Replicas) != int(q.table.ReplicaCount) || q.p.Changing()
		}
	}
	for _, t := range pic.state.Tables() {
		if more, found := pending[t.ID]; found && !more {
			p.command(&catalog.ReplicaCountDone{TableID: t.ID})
		}
	}
}

// silence records which nodes fell silent, and which are back.
func (p *Plan) silence(pic *picture, in Input) {
	for _, n := range pic.state.Nodes() {
		v := pic.nodes[n.ID]
		switch {
		case n.State == catalog.NodeReplaced || in.Young:
		case v.alive && n.AwaySinceUnixSec != 0:
			p.command(&catalog.NoteAway{NodeID: n.ID})
		case !v.alive && n.AwaySinceUnixSec == 0:
			p.command(&catalog.NoteAway{NodeID: n.ID, UnixSec: in.NowUnixSec})
		case !v.alive && away(n, in.NowUnixSec) >= in.Knobs.RepairDelay && holds(pic.state, n.ID):
			p.Ask = append(p.Ask, n)
		}
	}
}

// holds reports whether the node has replicas of live tables.
func holds(s *catalog.State, nodeID int64) bool {
	for _, t := range s.Tables() {
		if t.Live() && slices.ContainsFunc(t.Partitions, func(p catalog.Partition) bool { _, on := p.On(nodeID); return on }) {
			return true
		}
	}
	return false
}

// sortChanges puts removals first: they end what was begun.
func sortChanges(list []Change) {
	slices.SortStableFunc(list, func(a, b Change) int {
		return -cmp.Compare(b2i(a.Op == arion.MemberOp_REMOVE), b2i(b.Op == arion.MemberOp_REMOVE))
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
