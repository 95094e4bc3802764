package placement

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// draw makes a cluster whose partitions lie anywhere, as after years of repairs.
func draw(r *rand.Rand) Picture {
	var zones []string
	for i := range r.Intn(4) {
		zones = append(zones, fmt.Sprintf("z%d", i))
	}
	p := Picture{Nodes: nodes(2+r.Intn(6), zones...), NoLeaders: map[int64]bool{}}
	for _, n := range p.Nodes {
		if r.Intn(6) == 0 {
			p.NoLeaders[n.ID] = true
		}
	}
	for table := range int32(1 + r.Intn(3)) {
		for i := range int32(1 << r.Intn(6)) {
			perm := r.Perm(len(p.Nodes))[:1+r.Intn(min(3, len(p.Nodes)))]
			q := Partition{Table: table, Index: i}
			for _, at := range perm {
				q.Nodes = append(q.Nodes, p.Nodes[at].ID)
			}
			if r.Intn(10) > 0 {
				q.Leader = q.Nodes[0]
			}
			p.Partitions = append(p.Partitions, q)
		}
	}
	return p
}

// carryOut does on a picture what a cluster would do.
func carryOut(t *testing.T, p Picture, m Move, leader bool) {
	i := slices.IndexFunc(p.Partitions, func(q Partition) bool { return q.Table == m.Table && q.Index == m.Index })
	q := &p.Partitions[i]
	require.Contains(t, q.Nodes, m.From)
	if leader {
		require.Equal(t, m.From, q.Leader)
		require.Contains(t, q.Nodes, m.To)
		require.False(t, p.NoLeaders[m.To])
		q.Leader = m.To
		return
	}
	require.NotContains(t, q.Nodes, m.To)
	q.Nodes = slices.Clone(q.Nodes)
	q.Nodes[slices.Index(q.Nodes, m.From)] = m.To
	if q.Leader == m.From {
		q.Leader = m.To
	}
}

// potential is what every round of moves must lower: leaders where none should be, pairs in one zone, squares of replicas,
// squares of leaders.
func potential(p Picture) (unwanted, pairs, replicas, leaders int) {
	b := newBalancer(p)
	for _, n := range b.nodes {
		replicas += n.Replicas * n.Replicas
		if p.NoLeaders[n.ID] {
			unwanted += n.Leaders
		} else {
			leaders += n.Leaders * n.Leaders
		}
	}
	for i := range b.Partitions {
		q := &b.Partitions[i]
		for _, id := range q.Nodes {
			pairs += b.inZone(q, b.nodes[id].zone(), id)
		}
	}
	return unwanted, pairs, replicas, leaders
}

// TestBalanceTerminates: from any cluster, carrying out plan after plan comes to rest, each plan makes things better by the
// same measure, so there is no ping-pong; and at rest nothing that could be better is left.
func TestBalanceTerminates(t *testing.T) {
	for seed := int64(0); seed < 400; seed++ {
		r := rand.New(rand.NewSource(seed))
		p := draw(r)
		limit := 1 + r.Intn(5)
		for round := 0; ; round++ {
			require.Less(t, round, 5000, "seed %d does not come to rest", seed)
			u0, z0, r0, l0 := potential(p)
			moves, leader := Replicas(p, limit), false
			if len(moves) == 0 {
				moves, leader = Leaders(p, limit), true
			}
			if len(moves) == 0 {
				break
			}
			for _, m := range moves {
				carryOut(t, p, m, leader)
			}
			u1, z1, r1, l1 := potential(p)
			if leader {
				require.True(t, u1 < u0 || u1 == u0 && l1 < l0, "seed %d: leaders got no better", seed)
				require.Equal(t, [2]int{z0, r0}, [2]int{z1, r1})
			} else {
				require.True(t, z1 < z0 || z1 == z0 && r1 < r0, "seed %d: replicas got no better", seed)
			}
		}
		restful(t, seed, p)
	}
}

func restful(t *testing.T, seed int64, p Picture) {
	b := newBalancer(p)
	for _, q := range p.Partitions {
		if p.NoLeaders[q.Leader] {
			for _, id := range q.Nodes {
				require.True(t, p.NoLeaders[id], "seed %d: a leader stays on a drained node although %d could take it", seed, id)
			}
		}
		for _, id := range q.Nodes {
			if q.Leader != 0 && !p.NoLeaders[q.Leader] && !p.NoLeaders[id] {
				require.Less(t, b.nodes[q.Leader].Leaders-b.nodes[id].Leaders, 2, "seed %d: leaders are uneven", seed)
			}
		}
	}
	require.Empty(t, Replicas(p, 1))
	require.Empty(t, Leaders(p, 1))
}

// TestNewNode: an empty node gets its share, and the leaders follow.
func TestNewNode(t *testing.T) {
	plan, err := Table(nodes(3), 32, 3)
	require.NoError(t, err)
	p := Picture{Nodes: nodes(4)}
	for i, ids := range plan {
		p.Partitions = append(p.Partitions, Partition{Table: 1, Index: int32(i), Nodes: ids, Leader: ids[0]})
	}
	moves := Replicas(p, 1000)
	require.Len(t, moves, 24, "no more than needed: 96 replicas, 24 for each of four nodes")
	for _, m := range moves {
		carryOut(t, p, m, false)
	}
	for _, m := range Leaders(p, 1000) {
		carryOut(t, p, m, true)
	}
	for _, n := range newBalancer(p).nodes {
		require.Equal(t, 24, n.Replicas)
		require.Equal(t, 8, n.Leaders)
	}
}

func TestLeadersPassOn(t *testing.T) {
	p := Picture{Nodes: nodes(3), Partitions: []Partition{
		{Index: 0, Nodes: []int64{1, 2}, Leader: 1}, {Index: 1, Nodes: []int64{1, 2}, Leader: 1}, {Index: 2, Nodes: []int64{1, 2}, Leader: 1},
		{Index: 3, Nodes: []int64{2, 3}, Leader: 2}, {Index: 4, Nodes: []int64{2, 3}, Leader: 2}, {Index: 5, Nodes: []int64{2, 3}, Leader: 3},
	}}
	require.Len(t, Leaders(p, 10), 2, "node 1 cannot give to node 3, so node 2 takes one and passes one on")
}

func TestTarget(t *testing.T) {
	n := nodes(4, "a", "b")
	n[0].Replicas, n[1].Replicas, n[2].Replicas, n[3].Replicas = 5, 5, 1, 7
	got, ok := Target(n, n[:1])
	require.True(t, ok)
	require.Equal(t, int64(2), got.ID, "another zone goes before an emptier node")
	got, _ = Target(n, n[:2])
	require.Equal(t, int64(3), got.ID)
	_, ok = Target(n[:2], n[:2])
	require.False(t, ok)
}
