// Package placement plans where replicas go. It looks at a picture of the cluster and returns decisions; it reads no
// clock, sends nothing and changes nothing.
package placement

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Node is a replica server that can take replicas, with what it carries already.
type Node struct {
	ID       int64
	Zone     string // nodes of one zone fail together; empty: unknown, each such node counts as a zone of its own
	Replicas int    // replicas assigned, dropped tables excluded
	Leaders  int    // partitions whose leader is wanted there
}

// zone is the node's zone, or one of its own.
func (n Node) zone() string {
	if n.Zone == "" {
		return fmt.Sprintf("\x00%x", n.ID)
	}
	return n.Zone
}

// ErrNotEnoughNodes means that a partition would need two replicas on one node.
var ErrNotEnoughNodes = errors.New("not enough nodes")

// Table places a new table: for each partition the nodes of its replicas, the wanted leader first. It keeps replicas and
// leaders even over nodes (counting what they carry already, ties broken by what this table put there), never puts two
// replicas of a partition on a node, and spreads a partition over as many zones as there are.
//
// The same input gives the same plan, in whatever order the nodes come.
func Table(nodes []Node, partitions, replicas int) ([][]int64, error) {
	if replicas < 1 || partitions < 1 {
		return nil, fmt.Errorf("placement of %d partitions with %d replicas", partitions, replicas)
	}
	if len(nodes) < replicas {
		return nil, fmt.Errorf("%w: %d for %d replicas", ErrNotEnoughNodes, len(nodes), replicas)
	}
	p := newPlanner(nodes)
	plan := make([][]int64, partitions)
	for i := range plan {
		chosen := p.spread(i, replicas)
		p.lead(chosen)
		for _, c := range chosen {
			plan[i] = append(plan[i], c.ID)
		}
	}
	return plan, nil
}

// candidate is a node under planning: its totals, and what this plan added.
type candidate struct {
	Node
	zone       string // computed once
	addedHere  int
	leadsHere  int
	tiebreaker int
}

type planner struct{ nodes []*candidate }

func newPlanner(nodes []Node) *planner {
	p := &planner{}
	for _, n := range nodes {
		p.nodes = append(p.nodes, &candidate{Node: n, zone: n.zone()})
	}
	slices.SortFunc(p.nodes, func(a, b *candidate) int { return cmp.Compare(a.ID, b.ID) })
	return p
}

// spread picks the nodes of partition i. The rotation by i breaks ties differently for each partition, so that equal
// nodes do not always appear in the same groups: when one dies, its load falls on all the others.
func (p *planner) spread(i, replicas int) []*candidate {
	for j, c := range p.nodes {
		c.tiebreaker = (j + i) % len(p.nodes)
	}
	zones := map[string]int{}
	var chosen []*candidate
	for len(chosen) < replicas {
		best := p.emptiest(zones, chosen)
		best.Replicas++
		best.addedHere++
		zones[best.zone]++
		chosen = append(chosen, best)
	}
	return chosen
}

func (p *planner) emptiest(zones map[string]int, chosen []*candidate) *candidate {
	var best *candidate
	for _, c := range p.nodes {
		if !slices.Contains(chosen, c) && (best == nil || lighter(c, best, zones) < 0) {
			best = c
		}
	}
	return best
}

func lighter(a, b *candidate, zones map[string]int) int {
	return cmp.Or(
		cmp.Compare(zones[a.zone], zones[b.zone]),
		cmp.Compare(a.addedHere, b.addedHere),
		cmp.Compare(a.Replicas, b.Replicas),
		cmp.Compare(a.tiebreaker, b.tiebreaker),
	)
}

// lead puts the node that leads least first and counts it.
func (p *planner) lead(chosen []*candidate) {
	at := 0
	for i, c := range chosen {
		if cmp.Or(cmp.Compare(c.leadsHere, chosen[at].leadsHere), cmp.Compare(c.Leaders, chosen[at].Leaders)) < 0 {
			at = i
		}
	}
	chosen[0], chosen[at] = chosen[at], chosen[0]
	chosen[0].Leaders++
	chosen[0].leadsHere++
}
