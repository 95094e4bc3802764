package catalog

import (
	"slices"

	"github.com/arionkv/arion/idl/code"
)

// AddReplica gives a partition a further, non-voting replica on a node. Result.Value is its id.
type AddReplica struct {
	TableID, Partition int32
	NodeID             int64
}

func (*AddReplica) kind() kind { return kindAddReplica }

func (c *AddReplica) put(e *encoder) {
	e.int(int64(c.TableID))
	e.int(int64(c.Partition))
	e.int(c.NodeID)
}

func (c *AddReplica) get(d *decoder) {
	c.TableID, c.Partition, c.NodeID = d.int32(), d.int32(), d.int()
}

func (c *AddReplica) apply(s *State) Result {
	p := s.Partition(c.TableID, c.Partition)
	node := s.nodes[c.NodeID]
	if p == nil || node == nil {
		return refuse(code.ObjectNotFound, "no such partition or node")
	}
	if _, taken := p.On(c.NodeID); taken || node.State != NodeActive {
		return refuse(code.InvalidState, "the node has a replica of the partition already or takes none")
	}
	if len(p.Replicas) > MaxReplicas {
		return refuse(code.InvalidState, "the partition has %d replicas already", len(p.Replicas))
	}
	t := s.editTable(c.TableID)
	p = &t.Partitions[c.Partition]
	id := p.NextReplicaID
	p.NextReplicaID++
	p.Replicas = append(slices.Clone(p.Replicas), Replica{ID: id, NodeID: c.NodeID})
	s.changed(t)
	return Result{TableID: t.ID, Value: id}
}

// PromoteReplica makes a caught-up replica a voting one.
type PromoteReplica struct {
	TableID, Partition int32
	ReplicaID          int64
}

func (*PromoteReplica) kind() kind       { return kindPromoteReplica }
func (c *PromoteReplica) put(e *encoder) { putReplicaRef(e, c.TableID, c.Partition, c.ReplicaID) }
func (c *PromoteReplica) get(d *decoder) { c.TableID, c.Partition, c.ReplicaID = getReplicaRef(d) }
func (c *PromoteReplica) apply(s *State) Result {
	t, p, at, r := s.editReplica(c.TableID, c.Partition, c.ReplicaID)
	if r.Code != code.OK {
		return r
	}
	p.Replicas[at].Voting = true
	s.changed(t)
	return Result{TableID: t.ID}
}

// RemoveReplica takes a replica out of a partition. The last voting one stays: raft cannot live without it.
type RemoveReplica struct {
	TableID, Partition int32
	ReplicaID          int64
}

func (*RemoveReplica) kind() kind       { return kindRemoveReplica }
func (c *RemoveReplica) put(e *encoder) { putReplicaRef(e, c.TableID, c.Partition, c.ReplicaID) }
func (c *RemoveReplica) get(d *decoder) { c.TableID, c.Partition, c.ReplicaID = getReplicaRef(d) }
func (c *RemoveReplica) apply(s *State) Result {
	t, p, at, r := s.editReplica(c.TableID, c.Partition, c.ReplicaID)
	if r.Code != code.OK {
		return r
	}
	p.Replicas = slices.Delete(p.Replicas, at, at+1)
	if !slices.ContainsFunc(p.Replicas, func(r Replica) bool { return r.Voting }) {
		return refuse(code.NotEnoughMember, "the last voting replica cannot be removed")
	}
	s.changed(t)
	return Result{TableID: t.ID}
}

func (s *State) editReplica(tableID, index int32, replicaID int64) (*Table, *Partition, int, Result) {
	p := s.Partition(tableID, index)
	if p == nil {
		return nil, nil, 0, refuse(code.ObjectNotFound, "no partition %d.%d", tableID, index)
	}
	at := slices.IndexFunc(p.Replicas, func(r Replica) bool { return r.ID == replicaID })
	if at < 0 {
		return nil, nil, 0, refuse(code.ObjectNotFound, "partition %d.%d has no replica %d", tableID, index, replicaID)
	}
	t := s.editTable(tableID)
	p = &t.Partitions[index]
	p.Replicas = slices.Clone(p.Replicas)
	return t, p, at, Result{}
}

func putReplicaRef(e *encoder, tableID, index int32, replicaID int64) {
	e.int(int64(tableID))
	e.int(int64(index))
	e.int(replicaID)
}

func getReplicaRef(d *decoder) (int32, int32, int64) { return d.int32(), d.int32(), d.int() }
