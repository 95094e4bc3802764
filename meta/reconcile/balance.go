package reconcile

import (
	"slices"

	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/placement"
)

// maxShifts leaders are asked to move at once. Each is without a leader for some milliseconds, and the others on the node
// feel the elections.
const maxShifts = 16

// arrange plans everything that concerns who holds and who leads what, as far as the level allows.
func (p *Plan) arrange(s *catalog.State, v View, in Input) {
	pic := newPicture(s, v, in)
	p.silence(pic, in)
	if s.Settings.Level <= catalog.LevelFreezed || in.Young {
		return
	}
	p.members(pic, in)
	p.counted(pic)
	sortChanges(p.Changes)
	p.shift(pic, placement.Evacuation(pic.balanceable(true), maxShifts))
	if s.Settings.Level >= catalog.LevelLively && pic.calm() {
		p.balance(pic, in)
	}
}

// calm: every node is there and nothing but balancing goes on. Evening out a cluster that is short of a node would be undone
// when the node comes back.
func (pic *picture) calm() bool {
	for _, n := range pic.nodes {
		if n.State != catalog.NodeReplaced && !n.alive {
			return false
		}
	}
	return pic.copies == pic.balancing
}

// balance moves replicas first: it changes where leaders can be.
func (p *Plan) balance(pic *picture, in Input) {
	moves := placement.Replicas(pic.balanceable(false), in.Knobs.BalanceMoves)
	for _, m := range moves {
		if q := pic.find(m); pic.balancing < in.Knobs.BalanceMoves && q != nil && q.movable() {
			p.moveReplica(pic, q, m, in)
		}
	}
	if len(moves) == 0 && pic.copies == 0 && in.Resting() {
		p.shift(pic, placement.Leaders(pic.balanceable(true), maxShifts))
	}
}

func (pic *picture) find(m placement.Move) *partitionView {
	at := slices.IndexFunc(pic.partitions, func(q *partitionView) bool { return q.table.ID == m.Table && q.index == m.Index })
	if at < 0 {
		return nil
	}
	return pic.partitions[at]
}

// movable: nothing happens to the partition, and all of its replicas are at work.
func (q *partitionView) movable() bool {
	return q.table.Status == catalog.StatusAvailable && q.LeaderUp && !q.held() && !q.p.Changing() && q.stray() == nil &&
		len(q.p.Replicas) == int(q.table.ReplicaCount) && q.othersWork(0)
}

func (p *Plan) moveReplica(pic *picture, q *partitionView, m placement.Move, in Input) {
	r, held := q.p.On(m.From)
	to, source := pic.nodes[m.To], pic.nodes[q.Leader.NodeID]
	if !held || !to.takes(in.Knobs) || source == nil || source.copies >= in.Knobs.CopiesPerNode || pic.copies >= in.Knobs.Copies {
		return
	}
	p.command(&catalog.AddReplica{TableID: q.table.ID, Partition: q.index, NodeID: m.To, Replaces: r.ID, Why: catalog.ForBalance})
	pic.copying(q, to, catalog.ForBalance)
}

// shift turns planned moves of leaders into requests.
func (p *Plan) shift(pic *picture, moves []placement.Move) {
	for _, m := range moves {
		q := pic.find(m)
		to, ok := q.p.On(m.To)
		from := pic.nodes[m.From]
		if ok && from != nil && q.Leader.NodeID == m.From {
			p.Moves = append(p.Moves, Move{TableID: q.table.ID, Partition: q.index, From: from.Node, To: to, Soon: true})
		}
	}
}

// Balance plans everything that balancing would do, carried through in thought, whatever the level: for operators who want
// to know before.
func Balance(s *catalog.State, v View) (replicas, leaders []placement.Move) {
	pic := newPicture(s, v, Input{})
	p := pic.balanceable(false)
	replicas = placement.Replicas(p, maxPlanned)
	p = pic.balanceable(true)
	for _, m := range replicas {
		carryOut(&p, m)
	}
	return replicas, placement.Leaders(p, maxPlanned)
}

// maxPlanned bounds a plan that is only shown.
const maxPlanned = 10000

func carryOut(p *placement.Picture, m placement.Move) {
	for i := range p.Partitions {
		q := &p.Partitions[i]
		if q.Table != m.Table || q.Index != m.Index {
			continue
		}
		if at := slices.Index(q.Nodes, m.From); at >= 0 {
			q.Nodes[at] = m.To
		}
		if q.Leader == m.From {
			q.Leader = m.To
		}
	}
}
