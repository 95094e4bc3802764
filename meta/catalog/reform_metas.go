package catalog

import "github.com/arionkv/arion/idl/code"

// ReformMetas is the first command of a group of metas that is formed anew by one of them, when the majority is lost for
// good: the catalog as the survivor had applied it. All former members are removed, the survivor has a new place. It is
// refused by a catalog that is in use.
type ReformMetas struct {
	Catalog   string // snapshot
	ReplicaID uint64 // of the survivor from now on
	NodeID    int64
	Address   string
}

// reformGap is how far the index goes up at once: above what the lost members may have told nodes that the survivor had not
// heard of. A node that knows a later version than its metas is not served.
const reformGap = 1 << 20

func (*ReformMetas) kind() kind { return kindReformMetas }

func (c *ReformMetas) put(e *encoder) {
	e.str(c.Catalog)
	e.uint(c.ReplicaID)
	e.int(c.NodeID)
	e.str(c.Address)
}

func (c *ReformMetas) get(d *decoder) {
	c.Catalog, c.ReplicaID, c.NodeID, c.Address = d.str(), d.Uint(), d.Int(), d.str()
}

func (c *ReformMetas) apply(s *State) Result {
	old, err := Restore([]byte(c.Catalog))
	if err != nil {
		return refuse(code.InvalidParameters, "the catalog to begin with: %v", err)
	}
	_, taken := old.metas[c.ReplicaID]
	switch {
	case len(s.metas) > 0 || len(s.nodes) > 0 || len(s.tables) > 0:
		return refuse(code.InvalidState, "a catalog that is in use is not replaced")
	case taken || c.ReplicaID == 0 || c.ReplicaID > maxMetaID || c.NodeID <= 0 || c.Address == "" || len(c.Address) > MaxAddressLen:
		return refuse(code.InvalidParameters, "replica id %d at %q on node %d cannot be the survivor", c.ReplicaID, c.Address, c.NodeID)
	}
	base := old.Index + reformGap
	index := s.Index + base
	*s = *old
	s.base, s.Index, s.Version = base, index, index
	for id, m := range s.metas {
		m.State = MetaRemoved
		s.metas[id] = m
	}
	s.metas[c.ReplicaID] = Meta{NodeID: c.NodeID, Address: c.Address}
	return Result{}
}
