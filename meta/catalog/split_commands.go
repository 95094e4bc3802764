package catalog

import (
	"slices"

	"github.com/arionkv/arion/idl/code"
)

// A split doubles the partition count of a table: partition i of N, the parent, gives half of its hashes to partition i+N,
// its child. docs/design/0002 tells the whole. Here is decided, for each parent, when it may no longer be stopped (cut), with
// which replicas its child begins (spawned), and when it is done.

// SplitState is how far a parent is. The first five numbers are those of split_status.
type SplitState uint8

// The states of a parent. One that is done is SplitNone again.
const (
	SplitNone      SplitState = 0
	SplitWaiting   SplitState = 1 // its turn will come
	SplitPausing   SplitState = 2
	SplitPaused    SplitState = 3
	SplitCanceling SplitState = 4
	SplitCut       SplitState = 5 // decided: the split entry may be in its log
)

// SplitEnv makes servers check hashes, as the Pegasus tools know it.
const SplitEnv = "replica.split.validate_partition_hash"

// Splitting reports whether a split is under way.
func (t *Table) Splitting() bool { return t.SplitFrom > 0 }

// Unborn reports whether a partition is a child that does not serve yet: its parent serves in its place, or nobody.
func (t *Table) Unborn(index int32) bool {
	return t.Splitting() && index >= t.SplitFrom && t.Partitions[index-t.SplitFrom].Split != SplitNone
}

// BirthCount is the partition count after the split that made a partition; 0 if it was there from the creation on. Its
// parent is index - BirthCount/2.
func (t *Table) BirthCount(index int32) int32 {
	if index < t.InitPartitionCount {
		return 0
	}
	count := t.InitPartitionCount
	for index >= count {
		count *= 2
	}
	return count
}

// StartSplit doubles the partition count of a table. The new partitions come to life one by one.
type StartSplit struct {
	Name     string
	NewCount int32
}

func (*StartSplit) kind() kind       { return kindStartSplit }
func (c *StartSplit) put(e *encoder) { e.str(c.Name); e.int(int64(c.NewCount)) }
func (c *StartSplit) get(d *decoder) { c.Name, c.NewCount = d.str(), d.int32() }
func (c *StartSplit) apply(s *State) Result {
	t, r := s.splittable(c.Name)
	switch {
	case r.Code != code.OK:
		return r
	case c.NewCount != 2*t.PartitionCount:
		return refuse(code.InvalidParameters, "the new partition count must be twice the old one: %d", 2*t.PartitionCount)
	case t.Splitting():
		return refuse(code.Busy, "table %q is splitting already", t.Name)
	case c.NewCount > MaxPartitions:
		return refuse(code.InvalidParameters, "a table has at most %d partitions", MaxPartitions)
	}
	t = s.editTable(t.ID)
	t.SplitFrom, t.PartitionCount = t.PartitionCount, c.NewCount
	for i := range t.Partitions {
		t.Partitions[i].Split, t.Partitions[i].Attempt = SplitWaiting, 0
	}
	t.Partitions = append(t.Partitions, make([]Partition, t.SplitFrom)...)
	t.Envs[SplitEnv] = "true"
	s.changed(t)
	return Result{TableID: t.ID}
}

// splittable finds a table that split requests may be about.
func (s *State) splittable(name string) (*Table, Result) {
	t := s.TableNamed(name)
	switch {
	case t == nil:
		return nil, refuse(code.AppNotExist, "table %q does not exist", name)
	case t.Status != StatusAvailable:
		return nil, refuse(code.AppDropped, "table %q is not available", name)
	}
	return t, Result{}
}

// SplitControl is what ControlSplit does. The numbers are those of split_control_type.
type SplitControl uint8

// The ways to interfere with a split.
const (
	PauseSplit   SplitControl = 0
	RestartSplit SplitControl = 1
	CancelSplit  SplitControl = 2
)

// ControlSplit pauses, restarts or cancels a split.
type ControlSplit struct {
	Name     string
	Op       SplitControl
	Parent   int32 // -1: all
	OldCount int32 // for CancelSplit: the count to go back to
}

func (*ControlSplit) kind() kind { return kindControlSplit }

func (c *ControlSplit) put(e *encoder) {
	e.str(c.Name)
	e.uint(uint64(c.Op))
	e.int(int64(c.Parent))
	e.int(int64(c.OldCount))
}

func (c *ControlSplit) get(d *decoder) {
	c.Name, c.Op, c.Parent, c.OldCount = d.str(), SplitControl(d.Uint()), d.int32(), d.int32()
}

func (c *ControlSplit) apply(s *State) Result {
	t, r := s.splittable(c.Name)
	switch {
	case r.Code != code.OK:
		return r
	case !t.Splitting():
		return refuse(code.InvalidState, "table %q is not splitting", t.Name)
	}
	switch c.Op {
	case CancelSplit:
		return c.cancel(s, t)
	case PauseSplit:
		return c.move(s, t, SplitWaiting, SplitPausing, code.ChildRegistered)
	case RestartSplit:
		return c.move(s, t, SplitPaused, SplitWaiting, code.InvalidState)
	}
	return refuse(code.InvalidParameters, "unknown control %d of a split", c.Op)
}

func (c *ControlSplit) cancel(s *State, t *Table) Result {
	if c.OldCount != t.SplitFrom {
		return refuse(code.InvalidParameters, "the partition count before the split is %d", t.SplitFrom)
	}
	for i := range t.SplitFrom {
		if t.Partitions[i].decided() {
			return refuse(code.ChildRegistered, "partition %d has split or is about to: there is no way back", i)
		}
	}
	t = s.editTable(t.ID)
	for i := range t.SplitFrom {
		t.Partitions[i].Split = SplitCanceling
	}
	return Result{TableID: t.ID}
}

// decided: the parent is done or on its way there for good.
func (p *Partition) decided() bool { return p.Split == SplitNone || p.Split == SplitCut }

// move takes one parent, or all that are in it, from one state to another. late answers for one that is decided.
func (c *ControlSplit) move(s *State, t *Table, from, to SplitState, late code.Code) Result {
	if c.Parent < -1 || c.Parent >= t.SplitFrom {
		return refuse(code.InvalidParameters, "table %q had %d partitions before the split", t.Name, t.SplitFrom)
	}
	first, last := c.Parent, c.Parent+1
	if c.Parent == -1 {
		first, last = 0, t.SplitFrom
	} else if p := &t.Partitions[c.Parent]; p.decided() {
		return refuse(late, "partition %d has split or is about to", c.Parent)
	} else if p.Split != from {
		return refuse(code.InvalidState, "partition %d is in another state of its split", c.Parent)
	}
	t = s.editTable(t.ID)
	for i := first; i < last; i++ {
		if t.Partitions[i].Split == from {
			t.Partitions[i].Split = to
		}
	}
	return Result{TableID: t.ID}
}

// SettleSplit ends what takes no time: pausing parents are paused, and a split that is being cancelled is over.
type SettleSplit struct{ TableID int32 }

func (*SettleSplit) kind() kind       { return kindSettleSplit }
func (c *SettleSplit) put(e *encoder) { e.int(int64(c.TableID)) }
func (c *SettleSplit) get(d *decoder) { c.TableID = d.int32() }
func (c *SettleSplit) apply(s *State) Result {
	t := s.tables[c.TableID]
	if t == nil || !t.Splitting() {
		return refuse(code.InvalidState, "table %d is not splitting", c.TableID)
	}
	t = s.editTable(t.ID)
	if t.Partitions[0].Split == SplitCanceling { // then all are
		t.PartitionCount, t.SplitFrom = t.SplitFrom, 0
		t.Partitions = slices.Clone(t.Partitions[:t.PartitionCount])
		for i := range t.Partitions {
			t.Partitions[i].Split = SplitNone
		}
		s.changed(t)
		return Result{TableID: t.ID}
	}
	for i := range t.SplitFrom {
		if t.Partitions[i].Split == SplitPausing {
			t.Partitions[i].Split = SplitPaused
		}
	}
	return Result{TableID: t.ID}
}

// CutPartition decides that a parent splits now. From here on there is no way back for it.
type CutPartition struct{ TableID, Partition int32 }

func (*CutPartition) kind() kind       { return kindCutPartition }
func (c *CutPartition) put(e *encoder) { putParent(e, c.TableID, c.Partition) }
func (c *CutPartition) get(d *decoder) { c.TableID, c.Partition = d.int32(), d.int32() }
func (c *CutPartition) apply(s *State) Result {
	t, r := s.parent(c.TableID, c.Partition, SplitWaiting)
	if r.Code != code.OK {
		return r
	}
	if t.Partitions[c.Partition].Changing() {
		return refuse(code.InvalidState, "the membership of partition %d.%d is changing", t.ID, c.Partition)
	}
	t = s.editTable(t.ID)
	p := &t.Partitions[c.Partition]
	p.Split, p.Attempt = SplitCut, 1
	s.changed(t)
	return Result{TableID: t.ID}
}

// RetryCut asks for the split entry of a parent once more, since too few of its replicas have a base for the child.
type RetryCut struct {
	TableID, Partition int32
	Attempt            int32 // the one that did not work
}

func (*RetryCut) kind() kind       { return kindRetryCut }
func (c *RetryCut) put(e *encoder) { putParent(e, c.TableID, c.Partition); e.int(int64(c.Attempt)) }
func (c *RetryCut) get(d *decoder) {
	c.TableID, c.Partition, c.Attempt = d.int32(), d.int32(), d.int32()
}
func (c *RetryCut) apply(s *State) Result {
	t, r := s.uncut(c.TableID, c.Partition, c.Attempt)
	if r.Code != code.OK {
		return r
	}
	t = s.editTable(t.ID)
	t.Partitions[c.Partition].Attempt++
	s.changed(t)
	return Result{TableID: t.ID}
}

// SpawnChild gives a child its replicas: beside those of its parent that have a base for it, each on the same node. They
// must be a majority of the parent's, so that nothing acknowledged is missing from them for want of copies.
type SpawnChild struct {
	TableID, Partition int32   // of the parent
	Attempt            int32   // of the bases
	Replicas           []int64 // of the parent
}

func (*SpawnChild) kind() kind { return kindSpawnChild }

func (c *SpawnChild) put(e *encoder) {
	putParent(e, c.TableID, c.Partition)
	e.int(int64(c.Attempt))
	e.uint(uint64(len(c.Replicas)))
	for _, r := range c.Replicas {
		e.int(r)
	}
}

func (c *SpawnChild) get(d *decoder) {
	c.TableID, c.Partition, c.Attempt = d.int32(), d.int32(), d.int32()
	for n := d.Count(1); n > 0 && d.OK(); n-- {
		c.Replicas = append(c.Replicas, d.Int())
	}
}

func (c *SpawnChild) apply(s *State) Result {
	t, r := s.uncut(c.TableID, c.Partition, c.Attempt)
	if r.Code != code.OK {
		return r
	}
	parent := &t.Partitions[c.Partition]
	var nodes []int64
	for i, id := range c.Replicas {
		rep, ok := parent.Find(id)
		if !ok || !rep.Settled() || slices.Contains(c.Replicas[:i], id) {
			return refuse(code.InvalidState, "replica %d of %d.%d cannot have a child", id, t.ID, c.Partition)
		}
		nodes = append(nodes, rep.NodeID)
	}
	if voters := parent.voters(); 2*len(nodes) <= voters {
		return refuse(code.NotEnoughMember, "%d bases of %d replicas are no majority", len(nodes), voters)
	}
	// The leader is wanted elsewhere than the parent's.
	nodes = append(nodes[1:len(nodes):len(nodes)], nodes[0])
	t = s.editTable(t.ID)
	child := newPartition(nodes)
	child.Base = c.Attempt
	t.Partitions[t.SplitFrom+c.Partition] = child
	s.changed(t)
	return Result{TableID: t.ID}
}

func (p *Partition) voters() int {
	n := 0
	for _, r := range p.Replicas {
		if r.Voting {
			n++
		}
	}
	return n
}

// ChildReady records that a child has a leader: clients may use it, and its parent is done. The last one ends the split.
type ChildReady struct{ TableID, Partition int32 } // of the parent

func (*ChildReady) kind() kind       { return kindChildReady }
func (c *ChildReady) put(e *encoder) { putParent(e, c.TableID, c.Partition) }
func (c *ChildReady) get(d *decoder) { c.TableID, c.Partition = d.int32(), d.int32() }
func (c *ChildReady) apply(s *State) Result {
	t, r := s.parent(c.TableID, c.Partition, SplitCut)
	switch {
	case r.Code != code.OK:
		return r
	case len(t.Partitions[t.SplitFrom+c.Partition].Initial) == 0:
		return refuse(code.InvalidState, "partition %d.%d has no child", t.ID, c.Partition)
	}
	t = s.editTable(t.ID)
	t.Partitions[c.Partition].Split = SplitNone
	if !slices.ContainsFunc(t.Partitions, func(p Partition) bool { return p.Split != SplitNone }) {
		t.SplitFrom = 0
	}
	s.changed(t)
	return Result{TableID: t.ID}
}

// parent finds the table whose partition is a parent in the given state.
func (s *State) parent(tableID, index int32, state SplitState) (*Table, Result) {
	t := s.tables[tableID]
	if t == nil || !t.Splitting() || index < 0 || index >= t.SplitFrom || t.Partitions[index].Split != state {
		return nil, refuse(code.InvalidState, "partition %d.%d is not at this point of a split", tableID, index)
	}
	return t, Result{}
}

// uncut is parent for one that is cut and has no child yet.
func (s *State) uncut(tableID, index, attempt int32) (*Table, Result) {
	t, r := s.parent(tableID, index, SplitCut)
	if r.Code != code.OK {
		return nil, r
	}
	if t.Partitions[index].Attempt != attempt || len(t.Partitions[t.SplitFrom+index].Initial) > 0 {
		return nil, refuse(code.InvalidState, "partition %d.%d has a child or another attempt", tableID, index)
	}
	return t, Result{}
}

func putParent(e *encoder, tableID, index int32) {
	e.int(int64(tableID))
	e.int(int64(index))
}
