package catalog

import (
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/arionkv/arion/idl/code"
)

// CreateTable makes a table in state creating. Placement is decided by the proposer and travels in the command.
type CreateTable struct {
	Name           string
	PartitionCount int32
	ReplicaCount   int32
	SuccessIfExist bool
	Envs           map[string]string
	NowUnixSec     int64
	Placement      [][]int64 // node ids per partition; the first is where the leader is wanted
}

func (*CreateTable) kind() kind { return kindCreateTable }

func (c *CreateTable) put(e *encoder) {
	e.str(c.Name)
	e.int(int64(c.PartitionCount))
	e.int(int64(c.ReplicaCount))
	e.bool(c.SuccessIfExist)
	e.text(c.Envs)
	e.int(c.NowUnixSec)
	e.uint(uint64(len(c.Placement)))
	for _, nodes := range c.Placement {
		e.uint(uint64(len(nodes)))
		for _, n := range nodes {
			e.int(n)
		}
	}
}

func (c *CreateTable) get(d *decoder) {
	c.Name, c.PartitionCount, c.ReplicaCount = d.str(), d.int32(), d.int32()
	c.SuccessIfExist, c.Envs, c.NowUnixSec = d.bool(), d.text(), d.Int()
	for n := d.Count(1); n > 0 && d.OK(); n-- {
		var nodes []int64
		for m := d.Count(1); m > 0 && d.OK(); m-- {
			nodes = append(nodes, d.Int())
		}
		c.Placement = append(c.Placement, nodes)
	}
}

func (c *CreateTable) apply(s *State) Result {
	if r := c.Check(s); r.Code != code.OK || r.TableID != 0 {
		return r
	}
	if r := c.checkPlacement(s); r.Code != code.OK {
		return r
	}
	t := &Table{
		ID: s.Settings.NextTableID, Name: c.Name, Status: StatusCreating,
		PartitionCount: c.PartitionCount, InitPartitionCount: c.PartitionCount, ReplicaCount: c.ReplicaCount,
		Envs: maps.Clone(c.Envs), CreateUnixSec: c.NowUnixSec,
	}
	if t.Envs == nil {
		t.Envs = map[string]string{}
	}
	for _, nodes := range c.Placement {
		t.Partitions = append(t.Partitions, newPartition(nodes))
	}
	s.Settings.NextTableID++
	s.tables[t.ID] = t
	s.names[t.Name] = t.ID
	s.changed(t)
	return Result{TableID: t.ID}
}

func newPartition(nodes []int64) Partition {
	p := Partition{NextReplicaID: int64(len(nodes)) + 1}
	for i, n := range nodes {
		p.Initial = append(p.Initial, Replica{ID: int64(i) + 1, NodeID: n, Voting: true})
	}
	p.Replicas = slices.Clone(p.Initial)
	return p
}

// Check says what a create answers on state s before any placement: code OK with a table id means that the table is there
// already and that this is fine; OK without one means that it can be made.
func (c *CreateTable) Check(s *State) Result {
	switch {
	case s.Settings.Level <= LevelFreezed:
		return refuse(code.StateFreezed, "the meta level is %s: no table can be created", s.Settings.Level)
	case !ValidName(c.Name):
		return refuse(code.InvalidParameters, "a table name is 1 to %d bytes of text without control characters", MaxNameLen)
	case c.PartitionCount < 1 || c.PartitionCount > MaxPartitions || c.PartitionCount&(c.PartitionCount-1) != 0:
		return refuse(code.InvalidParameters, "partition count %d is not a power of two in 1..%d", c.PartitionCount, MaxPartitions)
	case c.ReplicaCount < 1 || c.ReplicaCount > MaxReplicas:
		return refuse(code.InvalidParameters, "replica count %d is not in 1..%d", c.ReplicaCount, MaxReplicas)
	}
	if r := checkEnvs(c.Envs); r.Code != code.OK {
		return r
	}
	if t := s.TableNamed(c.Name); t != nil {
		return c.onExisting(t)
	}
	if len(s.tables) >= MaxTables || s.Settings.NextTableID < 1 {
		return refuse(code.CapacityExceeded, "the cluster holds %d tables, dropped ones included: that is the limit", len(s.tables))
	}
	return Result{}
}

func (c *CreateTable) onExisting(t *Table) Result {
	switch t.Status {
	case StatusCreating, StatusRecalling:
		return refuse(code.BusyCreating, "table %q is being created", t.Name)
	case StatusDropping:
		return refuse(code.BusyDropping, "table %q is being dropped", t.Name)
	}
	if !c.SuccessIfExist {
		return refuse(code.AppExist, "table %q exists", t.Name)
	}
	if t.PartitionCount != c.PartitionCount || t.ReplicaCount != c.ReplicaCount || !sameEnvs(t.Envs, c.Envs) {
		return refuse(code.InvalidParameters, "table %q exists with other options", t.Name)
	}
	return Result{TableID: t.ID}
}

func sameEnvs(a, b map[string]string) bool { return maps.Equal(a, b) }

// checkPlacement guards the invariant that no two replicas of a partition share a node, and that nodes exist.
func (c *CreateTable) checkPlacement(s *State) Result {
	if len(c.Placement) != int(c.PartitionCount) {
		return refuse(code.InvalidParameters, "placement of %d partitions for %d", len(c.Placement), c.PartitionCount)
	}
	for i, nodes := range c.Placement {
		if len(nodes) != int(c.ReplicaCount) {
			return refuse(code.InvalidParameters, "placement of partition %d has %d replicas", i, len(nodes))
		}
		for j, n := range nodes {
			node := s.nodes[n]
			if node == nil || node.State != NodeActive || slices.Contains(nodes[:j], n) {
				return refuse(code.InvalidState, "placement of partition %d names an unusable node", i)
			}
		}
	}
	return Result{}
}

// ValidName reports whether a table may be called so: any text but the empty one, too long, not UTF-8, or with control
// characters. Upstream takes anything; blanks and signs are in use by somebody, so they stay allowed.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxNameLen || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return false
		}
	}
	return true
}

// TableReady ends the creation or recall of a table: every partition serves.
type TableReady struct{ TableID int32 }

func (*TableReady) kind() kind       { return kindTableReady }
func (c *TableReady) put(e *encoder) { e.int(int64(c.TableID)) }
func (c *TableReady) get(d *decoder) { c.TableID = d.int32() }
func (c *TableReady) apply(s *State) Result {
	t := s.tables[c.TableID]
	if t == nil || (t.Status != StatusCreating && t.Status != StatusRecalling) {
		return refuse(code.InvalidState, "table %d is not being made ready", c.TableID)
	}
	t = s.editTable(t.ID)
	t.Status, t.DropUnixSec, t.ExpireUnixSec = StatusAvailable, 0, 0
	s.changed(t)
	return Result{TableID: t.ID}
}

// AbandonTable takes a table away that could not be created. Nobody was told that it exists, so nothing is lost.
type AbandonTable struct{ TableID int32 }

func (*AbandonTable) kind() kind       { return kindAbandonTable }
func (c *AbandonTable) put(e *encoder) { e.int(int64(c.TableID)) }
func (c *AbandonTable) get(d *decoder) { c.TableID = d.int32() }
func (c *AbandonTable) apply(s *State) Result {
	t := s.tables[c.TableID]
	if t == nil || t.Status != StatusCreating {
		return refuse(code.InvalidState, "table %d is not being created", c.TableID)
	}
	delete(s.tables, t.ID)
	delete(s.names, t.Name)
	s.Version = s.Index
	return Result{TableID: t.ID}
}

// DropTable drops a table; its data stays recallable for a while.
type DropTable struct {
	Name              string
	SuccessIfNotExist bool
	NowUnixSec        int64
	ReserveSec        int64 // <= 0: DefaultReserve
}

func (*DropTable) kind() kind { return kindDropTable }

func (c *DropTable) put(e *encoder) {
	e.str(c.Name)
	e.bool(c.SuccessIfNotExist)
	e.int(c.NowUnixSec)
	e.int(c.ReserveSec)
}

func (c *DropTable) get(d *decoder) {
	c.Name, c.SuccessIfNotExist, c.NowUnixSec, c.ReserveSec = d.str(), d.bool(), d.Int(), d.Int()
}

func (c *DropTable) apply(s *State) Result {
	t := s.TableNamed(c.Name)
	if t == nil && c.SuccessIfNotExist {
		return Result{}
	}
	if t == nil {
		return refuse(code.AppNotExist, "no table %q", c.Name)
	}
	if r := busy(t); r.Code != code.OK {
		return r
	}
	if t.Splitting() {
		return refuse(code.Splitting, "table %q is splitting", t.Name)
	}
	reserve := min(c.ReserveSec, maxReserve)
	if reserve <= 0 {
		reserve = DefaultReserve
	}
	t = s.editTable(t.ID)
	t.Status, t.DropUnixSec, t.ExpireUnixSec = StatusDropped, c.NowUnixSec, c.NowUnixSec+reserve
	delete(s.names, t.Name)
	s.changed(t)
	return Result{TableID: t.ID}
}

// busy refuses on a table that is on its way into or out of existence.
func busy(t *Table) Result {
	switch t.Status {
	case StatusCreating, StatusRecalling:
		return refuse(code.BusyCreating, "table %q is being created", t.Name)
	case StatusDropping:
		return refuse(code.BusyDropping, "table %q is being dropped", t.Name)
	}
	return Result{}
}

// RecallTable brings a dropped table back.
type RecallTable struct {
	TableID    int32
	NewName    string // empty: the old one
	NowUnixSec int64
}

func (*RecallTable) kind() kind { return kindRecallTable }

func (c *RecallTable) put(e *encoder) {
	e.int(int64(c.TableID))
	e.str(c.NewName)
	e.int(c.NowUnixSec)
}

func (c *RecallTable) get(d *decoder) {
	c.TableID, c.NewName, c.NowUnixSec = d.int32(), d.str(), d.Int()
}

func (c *RecallTable) apply(s *State) Result {
	t := s.tables[c.TableID]
	if t == nil || (t.Status == StatusDropped && t.ExpireUnixSec <= c.NowUnixSec) {
		return refuse(code.AppNotExist, "no dropped table with id %d", c.TableID)
	}
	if r := busy(t); r.Code != code.OK {
		return r
	}
	name := c.NewName
	if name == "" {
		name = t.Name
	}
	switch {
	case t.Status == StatusAvailable:
		return refuse(code.AppExist, "table %d (%q) is not dropped", t.ID, t.Name)
	case !ValidName(name) || s.TableNamed(name) != nil:
		return refuse(code.InvalidParameters, "the name %q is in use or not allowed", name)
	}
	t = s.editTable(t.ID)
	t.Name, t.Status = name, StatusRecalling
	s.names[name] = t.ID
	s.changed(t)
	return Result{TableID: t.ID}
}

// RenameTable gives a table another name; id and data stay.
type RenameTable struct{ OldName, NewName string }

func (*RenameTable) kind() kind { return kindRenameTable }

func (c *RenameTable) put(e *encoder) { e.str(c.OldName); e.str(c.NewName) }
func (c *RenameTable) get(d *decoder) { c.OldName, c.NewName = d.str(), d.str() }

func (c *RenameTable) apply(s *State) Result {
	t := s.TableNamed(c.OldName)
	if t == nil {
		return refuse(code.AppNotExist, "table %q does not exist", c.OldName)
	}
	if r := busy(t); r.Code != code.OK {
		return r
	}
	if s.TableNamed(c.NewName) != nil {
		return refuse(code.InvalidParameters, "table %q already exists", c.NewName)
	}
	if !ValidName(c.NewName) {
		return refuse(code.InvalidParameters, "a table name is 1 to %d bytes of text without control characters", MaxNameLen)
	}
	t = s.editTable(t.ID)
	delete(s.names, t.Name)
	t.Name = c.NewName
	s.names[t.Name] = t.ID
	s.changed(t)
	return Result{TableID: t.ID}
}

// PurgeTables forgets dropped tables whose time to be recalled is over. Result.Value counts them.
type PurgeTables struct{ NowUnixSec int64 }

func (*PurgeTables) kind() kind       { return kindPurgeTables }
func (c *PurgeTables) put(e *encoder) { e.int(c.NowUnixSec) }
func (c *PurgeTables) get(d *decoder) { c.NowUnixSec = d.Int() }
func (c *PurgeTables) apply(s *State) Result {
	var purged int64
	for _, t := range s.Tables() {
		if t.Expired(c.NowUnixSec) {
			delete(s.tables, t.ID)
			purged++
		}
	}
	if purged > 0 {
		s.Version = s.Index
	}
	return Result{Value: purged}
}

// Expired reports whether the table is dropped and can no longer be recalled.
func (t *Table) Expired(nowUnixSec int64) bool {
	return t.Status == StatusDropped && t.ExpireUnixSec <= nowUnixSec
}
