package catalog

import (
	"maps"
	"slices"

	"github.com/arionkv/arion/idl/code"
)

// Meta is one place in the metas' own raft group. Its number, the replica id, is never used again.
type Meta struct {
	NodeID  int64  // 0: never heard of
	Address string // rpc; empty: recorded by a build that did not, the configuration has it
	State   MetaState
}

// MetaState is how far a meta server is in or out of the group.
type MetaState uint8

// The states. Never renumber.
const (
	MetaVoting  MetaState = 0
	MetaJoining MetaState = 1 // to be added
	MetaLeaving MetaState = 2 // to be removed
	MetaRemoved MetaState = 3 // kept, so that its place is not taken again
)

// String gives the word shown to operators.
func (m MetaState) String() string {
	return [...]string{"voting", "joining", "leaving", "removed"}[min(m, MetaRemoved)]
}

// LiveMetas are the meta servers that are not removed: replica id to place.
func (s *State) LiveMetas() map[uint64]Meta {
	out := map[uint64]Meta{}
	for id, m := range s.metas {
		if m.State != MetaRemoved {
			out[id] = m
		}
	}
	return out
}

// MetaChanging reports whether a meta server is on its way in or out.
func (s *State) MetaChanging() bool {
	for _, m := range s.metas {
		if m.State == MetaJoining || m.State == MetaLeaving {
			return true
		}
	}
	return false
}

func (s *State) editMeta(id uint64, m Meta) {
	s.metas = maps.Clone(s.metas)
	s.metas[id] = m
}

// RecordMeta notes which node holds a place in the metas' own raft group. A place belongs to one node for ever: another node
// there would be the same one without its log, which must not vote under the old replica id.
type RecordMeta struct {
	ReplicaID uint64
	NodeID    int64
	Address   string
}

func (*RecordMeta) kind() kind { return kindRecordMeta }

func (c *RecordMeta) put(e *encoder) { e.uint(c.ReplicaID); e.int(c.NodeID); e.str(c.Address) }

func (c *RecordMeta) get(d *decoder) {
	c.ReplicaID, c.NodeID = d.Uint(), d.Int()
	if d.Len() > 0 { // the first builds did not record addresses
		c.Address = d.str()
	}
}

func (c *RecordMeta) apply(s *State) Result {
	old, known := s.metas[c.ReplicaID]
	switch {
	case c.ReplicaID == 0 || c.NodeID <= 0 || len(c.Address) > MaxAddressLen:
		return refuse(code.InvalidParameters, "a meta server has a replica id, a node id and an address")
	case known && old.NodeID != 0 && (old.NodeID != c.NodeID || old.Address != ""):
		return refuse(code.InvalidState, "place %d of the metas belongs to node %x", c.ReplicaID, old.NodeID)
	case !known && len(s.LiveMetas()) >= MaxMetas:
		return refuse(code.CapacityExceeded, "%d meta servers are recorded: that is the limit", MaxMetas)
	case !known && c.ReplicaID > maxMetaID:
		return refuse(code.InvalidParameters, "replica id %d of a meta server", c.ReplicaID)
	}
	s.editMeta(c.ReplicaID, Meta{NodeID: c.NodeID, Address: c.Address, State: old.State})
	return Result{}
}

// maxMetaID bounds how often meta servers can be replaced.
const maxMetaID = 1 << 16

// AddMeta makes a place for a new meta server. Result.Value is its replica id.
type AddMeta struct{ Address string }

func (*AddMeta) kind() kind       { return kindAddMeta }
func (c *AddMeta) put(e *encoder) { e.str(c.Address) }
func (c *AddMeta) get(d *decoder) { c.Address = d.str() }
func (c *AddMeta) apply(s *State) Result {
	next := uint64(1)
	for _, id := range slices.Sorted(maps.Keys(s.metas)) {
		m := s.metas[id]
		next = max(next, id+1)
		if m.State != MetaRemoved && m.Address == c.Address {
			return refuse(code.InvalidState, "%s is a meta server already (%s)", c.Address, m.State)
		}
	}
	switch {
	case c.Address == "" || len(c.Address) > MaxAddressLen || next > maxMetaID:
		return refuse(code.InvalidParameters, "not an address: %q", c.Address)
	case len(s.metas) == 0 || s.MetaChanging():
		return refuse(code.InvalidState, "the metas are changing already")
	case len(s.LiveMetas()) >= MaxMetas:
		return refuse(code.CapacityExceeded, "%d meta servers are recorded: that is the limit", MaxMetas)
	}
	s.editMeta(next, Meta{Address: c.Address, State: MetaJoining})
	return Result{Value: int64(next)}
}

// SetMeta moves a meta server on: from joining to voting, from there to leaving, from there to removed. One that has not
// got a vote yet may leave as well.
type SetMeta struct {
	ReplicaID uint64
	State     MetaState
}

func (*SetMeta) kind() kind       { return kindSetMeta }
func (c *SetMeta) put(e *encoder) { e.uint(c.ReplicaID); e.uint(uint64(c.State)) }
func (c *SetMeta) get(d *decoder) { c.ReplicaID, c.State = d.Uint(), MetaState(d.Uint()) }
func (c *SetMeta) apply(s *State) Result {
	m, known := s.metas[c.ReplicaID]
	if !known {
		return refuse(code.ObjectNotFound, "no meta server has the replica id %d", c.ReplicaID)
	}
	from := m.State
	legal := from == MetaJoining && (c.State == MetaVoting || c.State == MetaLeaving) ||
		from == MetaVoting && c.State == MetaLeaving && !s.MetaChanging() || from == MetaLeaving && c.State == MetaRemoved
	voters := 0
	m.State = c.State
	s.editMeta(c.ReplicaID, m)
	for _, o := range s.metas {
		if o.State == MetaVoting {
			voters++
		}
	}
	if !legal || voters == 0 {
		return refuse(code.InvalidState, "meta server %d cannot go from %s to %s now", c.ReplicaID, from, c.State)
	}
	return Result{}
}
