package catalog

import "github.com/arionkv/arion/idl/code"

// ReformPartition forms a partition's group anew from one of its replicas, when the majority is lost for good. The new
// group has one member under a new id, on the node of the survivor; whoever belonged to the old group is a stranger to it.
// What the survivor had not applied is lost. Result.Value is the new replica id.
//
// Why there cannot be two groups at work: nodes open what the catalog gives them, and only after a meta server has told
// them so. Members of the old group that return find nothing to open.
type ReformPartition struct {
	TableID, Partition int32
	ReplicaID          int64 // the survivor
	Term               int64 // newest term heard of; the new group's terms count on from it
}

func (*ReformPartition) kind() kind { return kindReform }

func (c *ReformPartition) put(e *encoder) {
	putReplicaRef(e, c.TableID, c.Partition, c.ReplicaID)
	e.int(c.Term)
}

func (c *ReformPartition) get(d *decoder) {
	c.TableID, c.Partition, c.ReplicaID = getReplicaRef(d)
	c.Term = d.Int()
}

func (c *ReformPartition) apply(s *State) Result {
	p := s.Partition(c.TableID, c.Partition)
	if p == nil {
		return refuse(code.ObjectNotFound, "no partition %d.%d", c.TableID, c.Partition)
	}
	survivor, there := p.Find(c.ReplicaID)
	if !there || c.Term < 0 {
		return refuse(code.ObjectNotFound, "partition %d.%d has no replica %d", c.TableID, c.Partition, c.ReplicaID)
	}
	t := s.editTable(c.TableID)
	p = &t.Partitions[c.Partition]
	id := p.NextReplicaID
	p.NextReplicaID++
	p.Initial = []Replica{{ID: id, NodeID: survivor.NodeID, Voting: true}}
	p.Replicas = []Replica{{ID: id, NodeID: survivor.NodeID, Voting: true}}
	p.HeirOf = survivor.ID
	p.TermBase = max(p.Term, c.Term)
	p.Term, p.Leader = p.TermBase, 0
	s.changed(t)
	return Result{TableID: t.ID, Value: id}
}
