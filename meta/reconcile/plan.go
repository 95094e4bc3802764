package reconcile

import (
	"maps"
	"slices"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// View is what a plan asks about the present. track.Tracker is one.
type View interface {
	Alive(nodeID int64) bool
	KnownVersion(nodeID int64) uint64
	Partition(t *catalog.Table, index int32) track.View
	Draining(nodeID int64) bool // the node asks to be relieved of its leaders
	Disk(nodeID int64) arion.DiskStat
}

// abandonAfter is how long a table may be in creation, as seen by one meta leader, before it is given up. Long enough for a
// node to restart meanwhile; a client that asked has had its answer before.
const abandonAfter = 60 * time.Second

// settleAfter bounds the wait for the leaders of a new table to go where they are wanted. A transfer that has not happened
// within two elections is not under way any more, so nothing moves under the first clients.
const settleAfter = 1500 * time.Millisecond

// maxMoves leaders are asked to move per round.
const maxMoves = 256

// maxConfirmed leaders go into one command; the rest follow with the next.
const maxConfirmed = 4096

// Plan is what should happen next.
type Plan struct {
	Commands []catalog.Command
	Poke     []*catalog.Node // live nodes that do not have the current version
	Moves    []Move          // of leaders
	Changes  []Change        // of memberships
	Ask      []*catalog.Node // whose death has to be confirmed
}

// Move asks the node of a partition's leader to hand over to another replica.
type Move struct {
	TableID, Partition int32
	From               *catalog.Node
	To                 catalog.Replica
	Soon               bool // to be asked again soon if it does not happen
}

// Input of Make besides the catalog and the view.
type Input struct {
	NowUnixSec int64
	Cluster    string                            // name to record if there is none
	Confirm    bool                              // leaders may be recorded now
	Age        func(tableID int32) time.Duration // how long this leader has seen the table in creation
	Metas      map[uint64]catalog.Meta           // meta servers heard of, by replica id
	Served     func(tableID int32) time.Duration // how long all partitions of a table in creation have had leaders

	Young    bool                                         // this leader has not had time to hear from all nodes
	Knobs    Knobs                                        // in force
	Dead     map[int64]bool                               // nodes whose death was confirmed a moment ago
	CaughtUp func(q *partitionView, r track.Replica) bool // the new replica is close enough to vote
	Broken   func(table, index int32, replica int64) bool // it has failed for longer than the repair delay
	Resting  func() bool                                  // no leader is on its way

	// Waited is how long this leader has seen a parent at a stage of its split.
	Waited func(table, parent int32, stage splitStage) time.Duration
}

// Make plans.
func Make(s *catalog.State, v View, in Input) Plan {
	var p Plan
	if s.Settings.ClusterName == "" && in.Cluster != "" {
		p.Commands = append(p.Commands, &catalog.NameCluster{Name: in.Cluster})
	}
	for _, id := range slices.Sorted(maps.Keys(in.Metas)) {
		if m := s.Meta(id); m.NodeID == 0 || m.Address == "" {
			p.Commands = append(p.Commands, &catalog.RecordMeta{ReplicaID: id, NodeID: in.Metas[id].NodeID, Address: in.Metas[id].Address})
		}
	}
	purge := false
	for _, t := range s.Tables() {
		switch t.Status {
		case catalog.StatusCreating, catalog.StatusRecalling:
			p.ready(s, t, v, in)
		case catalog.StatusDropped:
			purge = purge || t.Expired(in.NowUnixSec)
		}
	}
	if purge {
		p.Commands = append(p.Commands, &catalog.PurgeTables{NowUnixSec: in.NowUnixSec})
	}
	if in.Confirm {
		p.confirm(s, v)
	}
	p.split(s, v, in)
	p.arrange(s, v, in)
	p.poke(s, v)
	return p
}

func (p *Plan) ready(s *catalog.State, t *catalog.Table, v View, in Input) {
	creating := t.Status == catalog.StatusCreating
	switch {
	case Serving(t, v):
		moves := misplaced(s, t, v)
		if creating && len(moves) > 0 && in.Served(t.ID) < settleAfter {
			p.Moves = append(p.Moves, moves...)
			return
		}
		p.Commands = append(p.Commands, &catalog.TableReady{TableID: t.ID})
	case creating && in.Age(t.ID) > abandonAfter:
		p.Commands = append(p.Commands, &catalog.AbandonTable{TableID: t.ID})
	}
}

// misplaced lists the leaders of a new table that are not where placement wants them. Raft elects whoever asks first, often
// the same node for many partitions; before anybody uses the table, evening that out costs nothing.
func misplaced(s *catalog.State, t *catalog.Table, v View) []Move {
	var out []Move
	for i := range t.Partitions {
		w, wanted := v.Partition(t, int32(i)), t.Partitions[i].Replicas[0]
		from := s.Node(w.Leader.NodeID)
		if w.Leader.ID == wanted.ID || from == nil || !slices.Contains(w.Followers, wanted) {
			continue
		}
		if len(out) < maxMoves {
			out = append(out, Move{TableID: t.ID, Partition: int32(i), From: from, To: wanted})
		}
	}
	return out
}

// Serving reports whether every partition has a leader at work.
func Serving(t *catalog.Table, v View) bool {
	for i := range t.Partitions {
		if !v.Partition(t, int32(i)).LeaderUp {
			return false
		}
	}
	return true
}

// confirm records terms that are newer than the recorded ones, so that what routing shows never goes back, not even over a
// restart of all metas.
func (p *Plan) confirm(s *catalog.State, v View) {
	var events []catalog.LeaderEvent
	for _, t := range s.Tables() {
		if !t.Live() {
			continue
		}
		for i := range t.Partitions {
			w := v.Partition(t, int32(i))
			if w.LeaderUp && w.Term > t.Partitions[i].Term && len(events) < maxConfirmed {
				events = append(events, catalog.LeaderEvent{TableID: t.ID, Partition: int32(i), Term: w.Term, ReplicaID: w.Leader.ID})
			}
		}
	}
	if len(events) > 0 {
		p.Commands = append(p.Commands, &catalog.ConfirmLeaders{Events: events})
	}
}

func (p *Plan) poke(s *catalog.State, v View) {
	for _, n := range s.Nodes() {
		if n.State != catalog.NodeReplaced && v.KnownVersion(n.ID) < s.Version && v.Alive(n.ID) {
			p.Poke = append(p.Poke, n)
		}
	}
}
