package placement

import (
	"cmp"
	"maps"
	"slices"
)

// Partition is one partition as balancing sees it.
type Partition struct {
	Table, Index int32
	Nodes        []int64 // of its replicas
	Leader       int64   // one of Nodes; 0: nobody leads, and nobody is moved
}

// Move is one step of balancing: the leader, or a replica, goes from one node to another.
type Move struct {
	Table, Index int32
	From, To     int64
}

// Picture is a cluster to be balanced. Counts are derived from the partitions: Replicas and Leaders of the nodes are not
// read. Partitions with nodes that are not in Nodes are left alone where those are concerned.
type Picture struct {
	Nodes      []Node
	Partitions []Partition
	// NoLeaders are nodes that should lead nothing.
	NoLeaders map[int64]bool
}

// Leaders plans at most limit moves of leaders that even them out. Each step lowers the sum of squares of the leaders per
// node, or takes a leader from a node that should have none, so a cluster that carries out the steps comes to rest: then no
// node leads two more than another that could take one of its leaders, directly or by passing one on.
func Leaders(p Picture, limit int) []Move {
	b := newBalancer(p)
	var out []Move
	for len(out) < limit {
		path := b.evacuate()
		if path == nil {
			path = b.evenLeaders()
		}
		if path == nil {
			return out
		}
		for _, m := range path {
			b.lead(m)
		}
		out = append(out, path...)
	}
	return out
}

// Evacuation plans at most limit moves of leaders away from nodes that should lead nothing, and no others.
func Evacuation(p Picture, limit int) []Move {
	b := newBalancer(p)
	var out []Move
	for len(out) < limit {
		path := b.evacuate()
		if path == nil {
			return out
		}
		b.lead(path[0])
		out = append(out, path[0])
	}
	return out
}

// Replicas plans at most limit moves of replicas that spread partitions over zones and even replicas out over nodes. Each
// step lowers, in this order, the number of pairs of replicas that share a zone, and the sum of squares of the replicas
// per node; so a cluster that carries out the steps comes to rest.
func Replicas(p Picture, limit int) []Move {
	b := newBalancer(p)
	var out []Move
	for len(out) < limit {
		m, ok := b.spreadZones()
		if !ok {
			m, ok = b.evenReplicas()
		}
		if !ok {
			return out
		}
		b.move(m)
		out = append(out, m)
	}
	return out
}

// balancer is a picture that planned steps are carried out on.
type balancer struct {
	Picture
	nodes    map[int64]*Node
	ids      []int64 // of nodes, ascending
	perTable map[tableNode]int
}

type tableNode struct {
	table int32
	node  int64
}

func newBalancer(p Picture) *balancer {
	b := &balancer{Picture: p, nodes: map[int64]*Node{}, perTable: map[tableNode]int{}}
	for _, n := range p.Nodes {
		n.Replicas, n.Leaders = 0, 0
		b.nodes[n.ID] = &n
	}
	b.ids = slices.Sorted(maps.Keys(b.nodes))
	b.Partitions = slices.Clone(p.Partitions)
	for i := range b.Partitions {
		q := &b.Partitions[i]
		q.Nodes = slices.Clone(q.Nodes)
		for _, id := range q.Nodes {
			b.count(q, id, 1)
		}
		if n := b.nodes[q.Leader]; n != nil {
			n.Leaders++
		}
	}
	return b
}

func (b *balancer) count(q *Partition, node int64, by int) {
	if n := b.nodes[node]; n != nil {
		n.Replicas += by
		b.perTable[tableNode{q.Table, node}] += by
	}
}

func (b *balancer) find(table, index int32) *Partition {
	i := slices.IndexFunc(b.Partitions, func(q Partition) bool { return q.Table == table && q.Index == index })
	return &b.Partitions[i]
}

func (b *balancer) lead(m Move) {
	b.find(m.Table, m.Index).Leader = m.To
	if n := b.nodes[m.From]; n != nil {
		n.Leaders--
	}
	b.nodes[m.To].Leaders++
}

func (b *balancer) move(m Move) {
	q := b.find(m.Table, m.Index)
	q.Nodes[slices.Index(q.Nodes, m.From)] = m.To
	b.count(q, m.From, -1)
	b.count(q, m.To, 1)
	if q.Leader == m.From {
		q.Leader = m.To
		b.nodes[m.From].Leaders--
		b.nodes[m.To].Leaders++
	}
}

// mayLead: the node can take leaders.
func (b *balancer) mayLead(id int64) bool { return b.nodes[id] != nil && !b.NoLeaders[id] }

// evacuate finds a leader on a node that should have none, and the follower with the fewest leaders.
func (b *balancer) evacuate() []Move {
	for i := range b.Partitions {
		q := &b.Partitions[i]
		if !b.NoLeaders[q.Leader] {
			continue
		}
		to := int64(0)
		for _, id := range q.Nodes {
			if b.mayLead(id) && (to == 0 || b.nodes[id].Leaders < b.nodes[to].Leaders) {
				to = id
			}
		}
		if to != 0 {
			return []Move{{q.Table, q.Index, q.Leader, to}}
		}
	}
	return nil
}

// evenLeaders finds the shortest way from the node with the most leaders to one with at least two fewer, over nodes that
// take a leader and pass another one on.
func (b *balancer) evenLeaders() []Move {
	edges := b.leaderEdges()
	for _, from := range b.byLeaders() {
		if path := b.walk(edges, from); path != nil {
			return path
		}
	}
	return nil
}

// leaderEdges holds for each pair of nodes one partition that the first leads and the second follows.
func (b *balancer) leaderEdges() map[int64]map[int64]Move {
	edges := map[int64]map[int64]Move{}
	for _, q := range b.Partitions {
		if !b.mayLead(q.Leader) {
			continue
		}
		for _, id := range q.Nodes {
			if id == q.Leader || !b.mayLead(id) {
				continue
			}
			if edges[q.Leader] == nil {
				edges[q.Leader] = map[int64]Move{}
			}
			if _, have := edges[q.Leader][id]; !have {
				edges[q.Leader][id] = Move{q.Table, q.Index, q.Leader, id}
			}
		}
	}
	return edges
}

// byLeaders lists the nodes that may lead, those with the most leaders first.
func (b *balancer) byLeaders() []int64 {
	ids := slices.DeleteFunc(slices.Clone(b.ids), func(id int64) bool { return !b.mayLead(id) })
	slices.SortStableFunc(ids, func(x, y int64) int { return cmp.Compare(b.nodes[y].Leaders, b.nodes[x].Leaders) })
	return ids
}

// walk goes breadth first from a node until it meets one with two leaders fewer.
func (b *balancer) walk(edges map[int64]map[int64]Move, from int64) []Move {
	came := map[int64]Move{}
	seen := map[int64]bool{from: true}
	for queue := []int64{from}; len(queue) > 0; queue = queue[1:] {
		for _, to := range slices.Sorted(maps.Keys(edges[queue[0]])) {
			if seen[to] {
				continue
			}
			seen[to], came[to] = true, edges[queue[0]][to]
			if b.nodes[from].Leaders-b.nodes[to].Leaders >= 2 {
				return trace(came, from, to)
			}
			queue = append(queue, to)
		}
	}
	return nil
}

func trace(came map[int64]Move, from, to int64) []Move {
	var path []Move
	for at := to; at != from; at = came[at].From {
		path = append(path, came[at])
	}
	return path
}

// spreadZones finds a replica that shares its zone with another of its partition, and a node in a zone with fewer of them.
func (b *balancer) spreadZones() (Move, bool) {
	for i := range b.Partitions {
		q := &b.Partitions[i]
		for _, from := range q.Nodes {
			n := b.nodes[from]
			if n == nil || b.inZone(q, n.zone(), 0) < 2 {
				continue
			}
			if to, ok := b.roomFor(q, n, func(c Node) bool { return b.inZone(q, c.zone(), from) < b.inZone(q, n.zone(), from) }); ok {
				return Move{q.Table, q.Index, from, to}, true
			}
		}
	}
	return Move{}, false
}

// inZone counts the replicas of a partition in a zone, but for the one on node except.
func (b *balancer) inZone(q *Partition, zone string, except int64) int {
	n := 0
	for _, id := range q.Nodes {
		if o := b.nodes[id]; id != except && o != nil && o.zone() == zone {
			n++
		}
	}
	return n
}

// roomFor picks the emptiest acceptable node without a replica of q.
func (b *balancer) roomFor(q *Partition, from *Node, accept func(Node) bool) (int64, bool) {
	best := int64(0)
	for _, id := range b.ids {
		c := b.nodes[id]
		if id != from.ID && !slices.Contains(q.Nodes, id) && accept(*c) && (best == 0 || c.Replicas < b.nodes[best].Replicas) {
			best = id
		}
	}
	return best, best != 0
}

// evenReplicas finds a replica on a full node and a place on one with at least two replicas fewer, without making any
// zone worse. Among the candidates it takes the table that is most uneven between the two.
func (b *balancer) evenReplicas() (Move, bool) {
	full := slices.Clone(b.ids)
	slices.SortStableFunc(full, func(x, y int64) int { return cmp.Compare(b.nodes[y].Replicas, b.nodes[x].Replicas) })
	for _, from := range full {
		for _, to := range slices.Backward(full) {
			if b.nodes[from].Replicas-b.nodes[to].Replicas < 2 {
				break
			}
			if m, ok := b.between(from, to); ok {
				return m, true
			}
		}
	}
	return Move{}, false
}

func (b *balancer) between(from, to int64) (Move, bool) {
	best, most := Move{}, 0
	for i := range b.Partitions {
		q := &b.Partitions[i]
		if !slices.Contains(q.Nodes, from) || slices.Contains(q.Nodes, to) {
			continue
		}
		if b.inZone(q, b.nodes[to].zone(), from) > b.inZone(q, b.nodes[from].zone(), from) {
			continue
		}
		uneven := b.perTable[tableNode{q.Table, from}] - b.perTable[tableNode{q.Table, to}]
		if best.From == 0 || uneven > most {
			best, most = Move{q.Table, q.Index, from, to}, uneven
		}
	}
	return best, best.From != 0
}
