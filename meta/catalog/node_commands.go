package catalog

import (
	"maps"

	"github.com/arionkv/arion/idl/code"
)

// SetLevel changes what the meta server may do by itself. Result.Value is the level before.
type SetLevel struct{ Level Level }

func (*SetLevel) kind() kind       { return kindSetLevel }
func (c *SetLevel) put(e *encoder) { e.int(int64(c.Level)) }
func (c *SetLevel) get(d *decoder) { c.Level = Level(d.int32()) }
func (c *SetLevel) apply(s *State) Result {
	old := s.Settings.Level
	if !c.Level.Valid() {
		return Result{Code: code.InvalidParameters, Value: int64(old), Hint: "unknown level"}
	}
	s.Settings.Level = c.Level
	return Result{Value: int64(old)}
}

// NameCluster records the cluster's name, once.
type NameCluster struct{ Name string }

func (*NameCluster) kind() kind       { return kindNameCluster }
func (c *NameCluster) put(e *encoder) { e.str(c.Name) }
func (c *NameCluster) get(d *decoder) { c.Name = d.str() }
func (c *NameCluster) apply(s *State) Result {
	if s.Settings.ClusterName != "" && s.Settings.ClusterName != c.Name {
		return refuse(code.InvalidState, "the cluster is called %q", s.Settings.ClusterName)
	}
	if !ValidName(c.Name) {
		return refuse(code.InvalidParameters, "not a cluster name: %q", c.Name)
	}
	s.Settings.ClusterName = c.Name
	s.Version = s.Index
	return Result{}
}

// RegisterNode records a replica server, or its new boot and addresses.
type RegisterNode struct{ Node Node }

func (*RegisterNode) kind() kind       { return kindRegisterNode }
func (c *RegisterNode) put(e *encoder) { putNode(e, &c.Node) }
func (c *RegisterNode) get(d *decoder) { c.Node = *getNode(d) }
func (c *RegisterNode) apply(s *State) Result {
	n := c.Node
	old := s.nodes[n.ID]
	switch {
	case n.ID == 0 || n.RPCAddress == "" || tooLong(&n):
		return refuse(code.InvalidParameters, "a node needs an id and addresses of at most %d bytes", MaxAddressLen)
	case old != nil && old.Boot > n.Boot:
		return refuse(code.InvalidState, "node %x is known from a later start (%d, this is %d)", n.ID, old.Boot, n.Boot)
	case old == nil && len(s.nodes) >= MaxNodes:
		return refuse(code.CapacityExceeded, "%d nodes are known: that is the limit", len(s.nodes))
	}
	n.State = NodeActive
	if old != nil && old.State != NodeReplaced {
		n.State = old.State // a drain outlasts restarts, until somebody resumes the node
	}
	s.supersede(&n)
	s.nodes[n.ID] = &n
	s.Version = s.Index
	return Result{}
}

func tooLong(n *Node) bool {
	for _, a := range []string{n.RPCAddress, n.RaftAddress, n.GossipAddress, n.Version, n.Zone} {
		if len(a) > MaxAddressLen {
			return true
		}
	}
	return false
}

// supersede marks other nodes that used n's address: two processes cannot listen there, so those are gone, disk included
// (a node that came back with its disk would have come back with its id).
func (s *State) supersede(n *Node) {
	for _, o := range s.Nodes() {
		if o.ID != n.ID && o.RPCAddress == n.RPCAddress && o.State != NodeReplaced {
			gone := *o
			gone.State = NodeReplaced
			s.nodes[o.ID] = &gone
		}
	}
}

// SetNodeState drains a node, relieves it of its leaders, or takes it back into service.
type SetNodeState struct {
	NodeID int64
	State  NodeState
}

func (*SetNodeState) kind() kind       { return kindSetNodeState }
func (c *SetNodeState) put(e *encoder) { e.int(c.NodeID); e.uint(uint64(c.State)) }
func (c *SetNodeState) get(d *decoder) { c.NodeID, c.State = d.Int(), NodeState(d.Uint()) }
func (c *SetNodeState) apply(s *State) Result {
	n := s.nodes[c.NodeID]
	switch {
	case n == nil:
		return refuse(code.ObjectNotFound, "no node %x", c.NodeID)
	case n.State == NodeReplaced:
		return refuse(code.InvalidState, "node %x is gone: another one has its address", c.NodeID)
	case c.State != NodeActive && c.State != NodeDraining && c.State != NodeRelieved:
		return refuse(code.InvalidParameters, "unknown state %d", c.State)
	}
	changed := *n
	changed.State = c.State
	s.nodes[n.ID] = &changed
	return Result{}
}

// NoteAway records since when a node is silent, so that the delay of repairs does not start over with each change of the
// meta leader. 0: it is back.
type NoteAway struct{ NodeID, UnixSec int64 }

func (*NoteAway) kind() kind       { return kindNoteAway }
func (c *NoteAway) put(e *encoder) { e.int(c.NodeID); e.int(c.UnixSec) }
func (c *NoteAway) get(d *decoder) { c.NodeID, c.UnixSec = d.Int(), d.Int() }
func (c *NoteAway) apply(s *State) Result {
	n := s.nodes[c.NodeID]
	if n == nil || c.UnixSec < 0 {
		return refuse(code.ObjectNotFound, "no node %x", c.NodeID)
	}
	changed := *n
	changed.AwaySinceUnixSec = c.UnixSec
	s.nodes[n.ID] = &changed
	return Result{}
}

// ForgetNode removes a node that holds nothing. Should it live and come back, it registers anew.
type ForgetNode struct{ NodeID int64 }

func (*ForgetNode) kind() kind       { return kindForgetNode }
func (c *ForgetNode) put(e *encoder) { e.int(c.NodeID) }
func (c *ForgetNode) get(d *decoder) { c.NodeID = d.Int() }
func (c *ForgetNode) apply(s *State) Result {
	if s.nodes[c.NodeID] == nil {
		return refuse(code.ObjectNotFound, "no node %x", c.NodeID)
	}
	for _, t := range s.Tables() {
		for i := range t.Partitions {
			if _, holds := t.Partitions[i].On(c.NodeID); holds {
				return refuse(code.InvalidState, "node %x holds a replica of %d.%d", c.NodeID, t.ID, i)
			}
		}
	}
	delete(s.nodes, c.NodeID)
	s.Version = s.Index
	return Result{}
}

// SetOption changes a cluster setting; a negative value takes the change back. Which names there are is the proposer's
// business: builds may differ in what they know.
type SetOption struct {
	Name  string
	Value int64
}

func (*SetOption) kind() kind       { return kindSetOption }
func (c *SetOption) put(e *encoder) { e.str(c.Name); e.int(c.Value) }
func (c *SetOption) get(d *decoder) { c.Name, c.Value = d.str(), d.Int() }
func (c *SetOption) apply(s *State) Result {
	if !ValidName(c.Name) || len(s.Settings.Options) >= MaxOptions {
		return refuse(code.InvalidParameters, "not the name of a setting: %q", c.Name)
	}
	options := maps.Clone(s.Settings.Options)
	options[c.Name] = c.Value
	if c.Value < 0 {
		delete(options, c.Name)
	}
	s.Settings.Options = options
	return Result{}
}

// LeaderEvent says that a replica led a partition in a term.
type LeaderEvent struct {
	TableID, Partition int32
	Term, ReplicaID    int64
}

// ConfirmLeaders records leaders that were seen at work. Older terms, and replicas that are not members, are passed over.
// Result.Value counts what was taken. It changes no ownership and wakes no node: the version stays.
type ConfirmLeaders struct{ Events []LeaderEvent }

func (*ConfirmLeaders) kind() kind { return kindConfirmLeaders }

func (c *ConfirmLeaders) put(e *encoder) {
	e.uint(uint64(len(c.Events)))
	for _, v := range c.Events {
		e.int(int64(v.TableID))
		e.int(int64(v.Partition))
		e.int(v.Term)
		e.int(v.ReplicaID)
	}
}

func (c *ConfirmLeaders) get(d *decoder) {
	for n := d.Count(4); n > 0 && d.OK(); n-- {
		c.Events = append(c.Events, LeaderEvent{d.int32(), d.int32(), d.Int(), d.Int()})
	}
}

func (c *ConfirmLeaders) apply(s *State) Result {
	if len(c.Events) > maxLeaderEvents {
		return refuse(code.InvalidParameters, "more than %d leaders at once", maxLeaderEvents)
	}
	edited := map[int32]*Table{} // a table is copied once per command, however many of its partitions moved
	var taken int64
	for _, v := range c.Events {
		p := s.Partition(v.TableID, v.Partition)
		if p == nil || v.Term <= p.Term {
			continue
		}
		if _, ok := p.Find(v.ReplicaID); !ok {
			continue
		}
		if edited[v.TableID] == nil {
			edited[v.TableID] = s.editTable(v.TableID)
		}
		p = &edited[v.TableID].Partitions[v.Partition]
		p.Term, p.Leader = v.Term, v.ReplicaID
		taken++
	}
	return Result{Value: taken}
}
