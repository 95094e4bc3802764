package placement

import "cmp"

// Target picks the node for one more replica of a partition whose other replicas, those that stay, are on the nodes others:
// first a zone that the partition is not in, then the emptiest node. Ties go to the lower id, so that the same picture
// gives the same answer on every meta server. false: no candidate is left.
func Target(candidates, others []Node) (Node, bool) {
	zones, taken := map[string]int{}, map[int64]bool{}
	for _, o := range others {
		zones[o.zone()]++
		taken[o.ID] = true
	}
	best, found := Node{}, false
	for _, c := range candidates {
		if taken[c.ID] {
			continue
		}
		if !found || cmp.Or(
			cmp.Compare(zones[c.zone()], zones[best.zone()]),
			cmp.Compare(c.Replicas, best.Replicas),
			cmp.Compare(c.ID, best.ID)) < 0 {
			best, found = c, true
		}
	}
	return best, found
}
