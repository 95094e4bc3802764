package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/arionkv/arion/idl/code"
)

// State is the catalog after some command. It is immutable; the zero value is not usable, see New.
type State struct {
	// Index of the last applied command.
	Index uint64
	// Version is the index of the last command that changed what replica servers must know: assignments, table settings,
	// addresses. A node that knows this version has nothing to fetch.
	Version  uint64
	Settings Settings

	tables map[int32]*Table
	names  map[string]int32 // of live tables
	nodes  map[int64]*Node
	metas  map[uint64]Meta // by replica id in the metas' own group
	// base is added to the raft index, which began anew where the metas' group was formed anew: nodes compare Versions.
	base uint64
}

// New returns the state of a cluster that never saw a command.
func New() *State {
	return &State{
		Settings: Settings{Level: LevelSteady, NextTableID: 1, Options: map[string]int64{}},
		tables:   map[int32]*Table{},
		names:    map[string]int32{},
		nodes:    map[int64]*Node{},
		metas:    map[uint64]Meta{},
	}
}

// Apply runs the command with raft index index on s and returns the state after it. s stays as it is. A refused command
// changes nothing but the index.
func (s *State) Apply(index uint64, c Command) (*State, Result) {
	next := &State{
		Index: index + s.base, Version: s.Version, Settings: s.Settings,
		tables: maps.Clone(s.tables), names: maps.Clone(s.names), nodes: maps.Clone(s.nodes), metas: s.metas, base: s.base,
	}
	r := c.apply(next)
	if r.Code != code.OK {
		refused := *s
		refused.Index = index + s.base
		return &refused, r
	}
	return next, r
}

// Table returns the table with this id, dropped ones included, or nil.
func (s *State) Table(id int32) *Table { return s.tables[id] }

// TableNamed returns the live table of this name, or nil. Dropped tables gave their name away.
func (s *State) TableNamed(name string) *Table {
	id, ok := s.names[name]
	if !ok {
		return nil
	}
	return s.tables[id]
}

// Node returns the node with this id, or nil.
func (s *State) Node(id int64) *Node { return s.nodes[id] }

// Meta returns what is recorded of the meta server with this replica id in the metas' group; zero if nothing is.
func (s *State) Meta(replicaID uint64) Meta { return s.metas[replicaID] }

// Metas returns the recorded meta servers, removed ones included, by replica id. Do not change it.
func (s *State) Metas() map[uint64]Meta { return s.metas }

// Tables returns all tables in ascending id order.
func (s *State) Tables() []*Table {
	out := make([]*Table, 0, len(s.tables))
	for _, t := range s.tables {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *Table) int { return int(a.ID) - int(b.ID) })
	return out
}

// Nodes returns all nodes ordered by rpc address, then id.
func (s *State) Nodes() []*Node {
	out := make([]*Node, 0, len(s.nodes))
	for _, n := range s.nodes {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *Node) int {
		if c := strings.Compare(a.RPCAddress, b.RPCAddress); c != 0 {
			return c
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// Partition returns a partition of a table, dropped ones included, or nil. Do not change it.
func (s *State) Partition(tableID, index int32) *Partition {
	t := s.tables[tableID]
	if t == nil || index < 0 || int(index) >= len(t.Partitions) {
		return nil
	}
	return &t.Partitions[index]
}

// editTable puts a private copy of the table into s and returns it. Only Apply's commands call it, on the next state.
func (s *State) editTable(id int32) *Table {
	t := *s.tables[id]
	t.Envs = maps.Clone(t.Envs)
	t.Partitions = slices.Clone(t.Partitions)
	s.tables[id] = &t
	return &t
}

// changed notes that nodes must hear of t.
func (s *State) changed(t *Table) {
	t.Version = s.Index
	s.Version = s.Index
}
