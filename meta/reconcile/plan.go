package reconcile

import (
	"slices"
	"time"

	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// View is what a plan asks about the present. track.Tracker is one.
type View interface {
	Alive(nodeID int64) bool
	KnownVersion(nodeID int64) uint64
	Partition(t *catalog.Table, index int32) track.View
}

// abandonAfter is how long a table may be in creation, as seen by one meta leader, before it is given up. Long enough for a
// node to restart meanwhile; a client that asked has had its answer before.
const abandonAfter = 60 * time.Second

// maxConfirmed leaders go into one command; the rest follow with the next.
const maxConfirmed = 4096

// Plan is what should happen next.
type Plan struct {
	Commands []catalog.Command
	Poke     []*catalog.Node // live nodes that do not have the current version
}

// Input of Make besides the catalog and the view.
type Input struct {
	NowUnixSec int64
	Cluster    string                            // name to record if there is none
	Confirm    bool                              // leaders may be recorded now
	Age        func(tableID int32) time.Duration // how long this leader has seen the table in creation
}

// Make plans.
func Make(s *catalog.State, v View, in Input) Plan {
	var p Plan
	if s.Settings.ClusterName == "" && in.Cluster != "" {
		p.Commands = append(p.Commands, &catalog.NameCluster{Name: in.Cluster})
	}
	purge := false
	for _, t := range s.Tables() {
		switch t.Status {
		case catalog.StatusCreating, catalog.StatusRecalling:
			p.ready(t, v, in)
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
	p.poke(s, v)
	return p
}

func (p *Plan) ready(t *catalog.Table, v View, in Input) {
	switch {
	case Serving(t, v):
		p.Commands = append(p.Commands, &catalog.TableReady{TableID: t.ID})
	case t.Status == catalog.StatusCreating && in.Age(t.ID) > abandonAfter:
		p.Commands = append(p.Commands, &catalog.AbandonTable{TableID: t.ID})
	}
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
	p.Poke = slices.Clip(p.Poke)
}
