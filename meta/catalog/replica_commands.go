package catalog

import (
	"slices"
	"strconv"

	"github.com/arionkv/arion/idl/code"
)

// The life of a replica that is added to a running partition: AddReplica (it opens and copies, without a vote),
// PromoteReplica (raft has given it a vote), RetireReplica (it is to go), RemoveReplica (raft has let go of it). A partition
// has at most one replica between two of these steps: two changes at once could leave no quorum that both agree with.

// AddReplica gives a partition a further, non-voting replica on a node. Result.Value is its id.
type AddReplica struct {
	TableID, Partition int32
	NodeID             int64
	Replaces           int64 // replica to retire once the new one votes; 0: none
	Why                Reason
}

func (*AddReplica) kind() kind { return kindAddReplica }

func (c *AddReplica) put(e *encoder) {
	e.int(int64(c.TableID))
	e.int(int64(c.Partition))
	e.int(c.NodeID)
	e.int(c.Replaces)
	e.uint(uint64(c.Why))
}

func (c *AddReplica) get(d *decoder) {
	c.TableID, c.Partition, c.NodeID, c.Replaces, c.Why = d.int32(), d.int32(), d.Int(), d.Int(), d.reason()
}

func (c *AddReplica) apply(s *State) Result {
	p := s.Partition(c.TableID, c.Partition)
	node := s.nodes[c.NodeID]
	if p == nil || node == nil {
		return refuse(code.ObjectNotFound, "no such partition or node")
	}
	if len(p.Initial) == 0 {
		return refuse(code.InvalidState, "partition %d.%d has not begun yet", c.TableID, c.Partition)
	}
	if _, taken := p.On(c.NodeID); taken || node.State != NodeActive {
		return refuse(code.InvalidState, "the node has a replica of the partition already or takes none")
	}
	if _, there := p.Find(c.Replaces); c.Replaces != 0 && !there {
		return refuse(code.ObjectNotFound, "partition %d.%d has no replica %d", c.TableID, c.Partition, c.Replaces)
	}
	if len(p.Replicas) > MaxReplicas || p.Changing() {
		return refuse(code.InvalidState, "the membership of partition %d.%d is changing already", c.TableID, c.Partition)
	}
	t := s.editTable(c.TableID)
	p = &t.Partitions[c.Partition]
	id := p.NextReplicaID
	p.NextReplicaID++
	p.Replicas = append(slices.Clone(p.Replicas), Replica{ID: id, NodeID: c.NodeID, Replaces: c.Replaces, Why: c.Why})
	s.changed(t)
	return Result{TableID: t.ID, Value: id}
}

// PromoteReplica records that a replica votes. Nodes need not know: they hear it from raft.
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
	return Result{TableID: t.ID}
}

// RetireReplica decides that a replica is to go.
type RetireReplica struct {
	TableID, Partition int32
	ReplicaID          int64
}

func (*RetireReplica) kind() kind       { return kindRetireReplica }
func (c *RetireReplica) put(e *encoder) { putReplicaRef(e, c.TableID, c.Partition, c.ReplicaID) }
func (c *RetireReplica) get(d *decoder) { c.TableID, c.Partition, c.ReplicaID = getReplicaRef(d) }
func (c *RetireReplica) apply(s *State) Result {
	t, p, at, r := s.editReplica(c.TableID, c.Partition, c.ReplicaID)
	if r.Code != code.OK {
		return r
	}
	for i, o := range p.Replicas {
		if i != at && !o.Settled() {
			return refuse(code.InvalidState, "the membership of partition %d.%d is changing already", c.TableID, c.Partition)
		}
	}
	p.Replicas[at].Leaving = true
	if !slices.ContainsFunc(p.Replicas, Replica.Settled) {
		return refuse(code.NotEnoughMember, "the last voting replica cannot be removed")
	}
	return Result{TableID: t.ID}
}

// RestoreReplica takes a retirement back, before raft has carried it out.
type RestoreReplica struct {
	TableID, Partition int32
	ReplicaID          int64
}

func (*RestoreReplica) kind() kind       { return kindRestoreReplica }
func (c *RestoreReplica) put(e *encoder) { putReplicaRef(e, c.TableID, c.Partition, c.ReplicaID) }
func (c *RestoreReplica) get(d *decoder) { c.TableID, c.Partition, c.ReplicaID = getReplicaRef(d) }
func (c *RestoreReplica) apply(s *State) Result {
	t, p, at, r := s.editReplica(c.TableID, c.Partition, c.ReplicaID)
	if r.Code != code.OK {
		return r
	}
	p.Replicas[at].Leaving = false
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

func getReplicaRef(d *decoder) (int32, int32, int64) { return d.int32(), d.int32(), d.Int() }

// CountEnv is the setting that shows a change of the replica count under way, as the Pegasus tools know it.
const CountEnv = "max_replica_count.update"

// SetReplicaCount changes how many replicas each partition of a table should have. Result.Value is the count before.
// The partitions follow one by one; CountEnv is set meanwhile.
type SetReplicaCount struct {
	Name  string
	Count int32
}

func (*SetReplicaCount) kind() kind       { return kindSetCount }
func (c *SetReplicaCount) put(e *encoder) { e.str(c.Name); e.int(int64(c.Count)) }
func (c *SetReplicaCount) get(d *decoder) { c.Name, c.Count = d.str(), d.int32() }
func (c *SetReplicaCount) apply(s *State) Result {
	t := s.TableNamed(c.Name)
	switch {
	case t == nil:
		return refuse(code.AppNotExist, "table %q does not exist", c.Name)
	case t.Status != StatusAvailable:
		return refuse(code.InvalidState, "table %q is not available", c.Name)
	case s.Settings.Level <= LevelFreezed:
		return refuse(code.StateFreezed, "the meta level is %s", s.Settings.Level)
	case c.Count < 1 || c.Count > MaxReplicas:
		return refuse(code.InvalidParameters, "replica count %d is not in 1..%d", c.Count, MaxReplicas)
	case t.Envs[CountEnv] != "":
		return refuse(code.OperationDisabled, "the replica count of %q is being changed already (%s)", c.Name, t.Envs[CountEnv])
	}
	old := int64(t.ReplicaCount)
	if t.ReplicaCount == c.Count {
		return Result{TableID: t.ID, Value: old, Hint: "the replica count is that already: nothing to do"}
	}
	t = s.editTable(t.ID)
	t.ReplicaCount = c.Count
	t.Envs[CountEnv] = "updating;" + strconv.Itoa(int(c.Count))
	s.changed(t)
	return Result{TableID: t.ID, Value: old}
}

// ReplicaCountDone records that every partition of a table has as many replicas as wanted.
type ReplicaCountDone struct{ TableID int32 }

func (*ReplicaCountDone) kind() kind       { return kindCountDone }
func (c *ReplicaCountDone) put(e *encoder) { e.int(int64(c.TableID)) }
func (c *ReplicaCountDone) get(d *decoder) { c.TableID = d.int32() }
func (c *ReplicaCountDone) apply(s *State) Result {
	t := s.tables[c.TableID]
	if t == nil || t.Envs[CountEnv] == "" {
		return refuse(code.InvalidState, "no change of the replica count of table %d is under way", c.TableID)
	}
	t = s.editTable(t.ID)
	delete(t.Envs, CountEnv)
	s.changed(t)
	return Result{TableID: t.ID}
}
