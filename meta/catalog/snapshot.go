package catalog

import (
	"fmt"
	"maps"
	"slices"
)

// snapshotFormat is the first byte of a snapshot. Raise it for a layout that older builds cannot read, and keep reading
// the older ones; one line per step:
//
//	1: settings, tables with partitions, nodes, metas
//	2: options; addresses and states of metas; groups formed anew; replicas that leave or replace others, and why; since when nodes are away
//	3: splits
//	4: the base of the index
const snapshotFormat = 4

// Snapshot renders the whole state. Equal states give equal bytes.
func (s *State) Snapshot() []byte {
	e := encoder{buf: []byte{snapshotFormat}}
	e.uint(s.Index)
	e.uint(s.Version)
	e.str(s.Settings.ClusterName)
	e.int(int64(s.Settings.Level))
	e.int(int64(s.Settings.NextTableID))
	e.numbers(s.Settings.Options)
	tables := s.Tables()
	e.uint(uint64(len(tables)))
	for _, t := range tables {
		putTable(&e, t)
	}
	nodes := s.Nodes()
	e.uint(uint64(len(nodes)))
	for _, n := range nodes {
		putNode(&e, n)
		e.int(n.AwaySinceUnixSec)
	}
	ids := slices.Sorted(maps.Keys(s.metas))
	e.uint(uint64(len(ids)))
	for _, id := range ids {
		e.uint(id)
		m := s.metas[id]
		e.int(m.NodeID)
		e.str(m.Address)
		e.uint(uint64(m.State))
	}
	e.uint(s.base)
	return e.buf
}

// Restore reads what Snapshot wrote. Bytes of a newer format, and damaged ones, give ErrMalformed.
func Restore(b []byte) (*State, error) {
	switch {
	case len(b) == 0 || b[0] < 1:
		return nil, fmt.Errorf("%w: not a snapshot of the catalog", ErrMalformed)
	case b[0] > snapshotFormat:
		return nil, fmt.Errorf("%w: snapshot of format %d, this build knows up to %d: start it with the newer release", ErrMalformed, b[0], snapshotFormat)
	}
	d := newDecoder(b[1:], b[0])
	s := New()
	s.Index, s.Version = d.Uint(), d.Uint()
	s.Settings = Settings{ClusterName: d.str(), Level: Level(d.int32()), NextTableID: d.int32(), Options: map[string]int64{}}
	if d.format > 1 {
		s.Settings.Options = d.numbers()
	}
	for n := d.Count(8); n > 0 && d.OK(); n-- {
		s.restoreTable(&d)
	}
	for n := d.Count(9); n > 0 && d.OK(); n-- {
		node := getNode(&d)
		if d.format > 1 {
			node.AwaySinceUnixSec = d.Int()
		}
		s.nodes[node.ID] = node
	}
	for n := d.Count(2); n > 0 && d.OK(); n-- {
		id := d.Uint()
		m := Meta{NodeID: d.Int()}
		if d.format > 1 {
			m.Address, m.State = d.str(), MetaState(d.Uint())
		}
		s.metas[id] = m
	}
	if d.format > 3 {
		s.base = d.Uint()
	}
	if err := d.Finish(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *State) restoreTable(d *decoder) {
	t := getTable(d)
	if !d.OK() {
		return
	}
	if t.SplitFrom != 0 && 2*t.SplitFrom != t.PartitionCount || !t.Status.valid() || int(t.PartitionCount) != len(t.Partitions) || s.tables[t.ID] != nil {
		d.Fail("table")
		return
	}
	s.tables[t.ID] = t
	if t.Live() {
		s.names[t.Name] = t.ID
	}
}

func putTable(e *encoder, t *Table) {
	e.int(int64(t.ID))
	e.str(t.Name)
	e.uint(uint64(t.Status))
	e.int(int64(t.PartitionCount))
	e.int(int64(t.InitPartitionCount))
	e.int(int64(t.ReplicaCount))
	e.text(t.Envs)
	e.int(t.CreateUnixSec)
	e.int(t.DropUnixSec)
	e.int(t.ExpireUnixSec)
	e.uint(t.Version)
	e.uint(uint64(len(t.Partitions)))
	for i := range t.Partitions {
		p := &t.Partitions[i]
		e.replicas(p.Initial)
		e.replicas(p.Replicas)
		e.int(p.NextReplicaID)
		e.int(p.Term)
		e.int(p.Leader)
		e.int(p.HeirOf)
		e.int(p.TermBase)
		e.uint(uint64(p.Split))
		e.int(int64(p.Attempt))
		e.int(int64(p.Base))
	}
	e.int(int64(t.SplitFrom))
}

func getTable(d *decoder) *Table {
	t := &Table{
		ID: d.int32(), Name: d.str(), Status: Status(d.Uint()),
		PartitionCount: d.int32(), InitPartitionCount: d.int32(), ReplicaCount: d.int32(),
		Envs: d.text(), CreateUnixSec: d.Int(), DropUnixSec: d.Int(), ExpireUnixSec: d.Int(), Version: d.Uint(),
	}
	for n := d.Count(5); n > 0 && d.OK(); n-- {
		p := Partition{Initial: d.replicas(), Replicas: d.replicas(), NextReplicaID: d.Int(), Term: d.Int(), Leader: d.Int()}
		if d.format > 1 {
			p.HeirOf, p.TermBase = d.Int(), d.Int()
		}
		if d.format > 2 {
			p.Split, p.Attempt, p.Base = d.splitState(), d.int32(), d.int32()
		}
		t.Partitions = append(t.Partitions, p)
	}
	if d.format > 2 {
		t.SplitFrom = d.int32()
	}
	return t
}

func putNode(e *encoder, n *Node) {
	e.int(n.ID)
	e.int(n.Boot)
	e.str(n.RPCAddress)
	e.str(n.RaftAddress)
	e.str(n.GossipAddress)
	e.str(n.Version)
	e.str(n.Zone)
	e.uint(uint64(n.State))
	e.int(n.RegisteredUnixSec)
}

func getNode(d *decoder) *Node {
	return &Node{
		ID: d.Int(), Boot: d.Int(), RPCAddress: d.str(), RaftAddress: d.str(), GossipAddress: d.str(),
		Version: d.str(), Zone: d.str(), State: NodeState(d.Uint()), RegisteredUnixSec: d.Int(),
	}
}
