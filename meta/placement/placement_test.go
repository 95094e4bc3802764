package placement

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func nodes(n int, zones ...string) []Node {
	var out []Node
	for i := range n {
		node := Node{ID: int64(i + 1)}
		if len(zones) > 0 {
			node.Zone = zones[i%len(zones)]
		}
		out = append(out, node)
	}
	return out
}

func TestTooFewNodes(t *testing.T) {
	_, err := Table(nodes(2), 4, 3)
	require.ErrorIs(t, err, ErrNotEnoughNodes)
	_, err = Table(nil, 1, 1)
	require.ErrorIs(t, err, ErrNotEnoughNodes)
}

// TestProperties draws clusters and tables and checks what every plan owes.
func TestProperties(t *testing.T) {
	for seed := int64(0); seed < 300; seed++ {
		r := rand.New(rand.NewSource(seed))
		var zones []string
		for i := range r.Intn(4) {
			zones = append(zones, fmt.Sprintf("z%d", i))
		}
		in := nodes(1+r.Intn(9), zones...)
		for i := range in {
			in[i].Replicas, in[i].Leaders = r.Intn(20), r.Intn(8)
		}
		replicas, partitions := 1+r.Intn(min(5, len(in))), 1<<r.Intn(7)
		plan, err := Table(in, partitions, replicas)
		require.NoError(t, err)
		check(t, seed, in, plan, partitions, replicas)

		shuffled := slices.Clone(in)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, err := Table(shuffled, partitions, replicas)
		require.NoError(t, err)
		require.Equal(t, plan, again, "seed %d: the order of the nodes matters", seed)
	}
}

func check(t *testing.T, seed int64, in []Node, plan [][]int64, partitions, replicas int) {
	t.Helper()
	require.Len(t, plan, partitions)
	zone := map[int64]string{}
	for _, n := range in {
		zone[n.ID] = n.Zone
	}
	zoneCount := map[string]bool{}
	for _, z := range zone {
		zoneCount[z] = true
	}
	held, leads := map[int64]int{}, map[int64]int{}
	for _, p := range plan {
		require.Len(t, p, replicas)
		used := map[string]bool{}
		for i, n := range p {
			require.NotContains(t, p[:i], n, "seed %d: two replicas on a node", seed)
			held[n]++
			used[zone[n]] = true
		}
		leads[p[0]]++
		if zone[p[0]] != "" {
			require.Len(t, used, min(replicas, len(zoneCount)), "seed %d: zones not used", seed)
		}
	}
	if len(zoneCount) == 1 { // without zones, or with one, evenness is exact
		requireEven(t, seed, in, held, 1)
		requireEven(t, seed, in, leads, 1+replicas/2)
	}
}

func requireEven(t *testing.T, seed int64, in []Node, count map[int64]int, slack int) {
	t.Helper()
	lo, hi := 1<<30, 0
	for _, n := range in {
		lo, hi = min(lo, count[n.ID]), max(hi, count[n.ID])
	}
	require.LessOrEqual(t, hi-lo, slack, "seed %d: uneven %v", seed, count)
}

// TestOnebox pins the plan that everybody starts with.
func TestOnebox(t *testing.T) {
	plan, err := Table(nodes(3), 8, 3)
	require.NoError(t, err)
	leads := map[int64]int{}
	for _, p := range plan {
		leads[p[0]]++
	}
	require.Equal(t, map[int64]int{1: 3, 2: 2, 3: 3}, leads)
}
