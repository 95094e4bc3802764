package catalog

// Limits of the catalog. A command beyond one is refused, so a lie or a typing slip cannot grow the replicated state.
const (
	MaxNameLen      = 255     // bytes of a table name: a file name's limit, since names end up in paths and labels
	MaxPartitions   = 4096    // per table; each is a raft group on every one of its nodes
	MaxReplicas     = 5       // per partition; what the Pegasus admin protocol allows
	MaxTables       = 4096    // dropped ones included
	MaxNodes        = 1024    // replica servers ever registered and not forgotten
	MaxMetas        = 9       // meta servers ever configured; 5 is the most that makes sense
	MaxEnvs         = 256     // per table
	MaxEnvKeyLen    = 255     // bytes
	MaxEnvValueLen  = 1 << 16 // bytes; user_specified_compaction is a JSON text of some KiB
	MaxAddressLen   = 255     // bytes of one address of a node
	MaxOptions      = 64      // cluster settings changed at run time
	DefaultReserve  = 604800  // seconds that a dropped table can be recalled (7 days) when the operator names no time
	maxReserve      = 100 * 365 * 24 * 3600
	maxLeaderEvents = 1 << 16
)

// Status of a table. The numbers are those of app_status in the Pegasus protocol.
type Status uint8

// The states of a table's life. CreateFailed and DropFailed (3, 5) of the protocol are historic and never used.
const (
	StatusInvalid   Status = 0
	StatusAvailable Status = 1
	StatusCreating  Status = 2
	StatusDropping  Status = 4
	StatusDropped   Status = 6
	StatusRecalling Status = 7
)

func (s Status) valid() bool {
	switch s {
	case StatusAvailable, StatusCreating, StatusDropping, StatusDropped, StatusRecalling:
		return true
	}
	return false
}

// Level is how much the meta server may do by itself. The numbers are those of meta_function_level.
type Level int32

// The levels, from nothing to everything. Creating tables needs more than LevelFreezed, balancing needs LevelLively.
const (
	LevelStopped Level = 100
	LevelBlind   Level = 200
	LevelFreezed Level = 300
	LevelSteady  Level = 400
	LevelLively  Level = 500
)

// String gives the word operators know.
func (l Level) String() string {
	switch l {
	case LevelStopped:
		return "stopped"
	case LevelBlind:
		return "blind"
	case LevelFreezed:
		return "freezed"
	case LevelSteady:
		return "steady"
	case LevelLively:
		return "lively"
	}
	return "unknown"
}

// Valid reports whether l is one of the five levels.
func (l Level) Valid() bool { return l.String() != "unknown" }

// Settings are the cluster-wide facts.
type Settings struct {
	ClusterName string
	Level       Level
	NextTableID int32            // ids grow from 1 and are never reused
	Options     map[string]int64 // what operators changed at run time; absent: the default of the build or its configuration
}

// Table is one table. Shared with readers, never changed in place.
type Table struct {
	ID                 int32
	Name               string
	Status             Status
	PartitionCount     int32
	InitPartitionCount int32 // the count the table was created with
	SplitFrom          int32 // the count before the split under way; 0: none
	ReplicaCount       int32 // wanted replicas of each partition
	Envs               map[string]string
	CreateUnixSec      int64
	DropUnixSec        int64  // of the last drop; 0 if never dropped
	ExpireUnixSec      int64  // a dropped table is purged from then on
	Version            uint64 // index of the command that last changed what nodes see of the table
	Partitions         []Partition
}

// Live reports whether the table holds its name: everything that is not dropped does.
func (t *Table) Live() bool { return t.Status != StatusDropped }

// Partition is one partition of a table.
type Partition struct {
	Initial       []Replica // bootstrap membership of the raft group; fixed for ever, a replica outside it joins
	Replicas      []Replica // desired membership; the first is where the leader is wanted
	NextReplicaID int64     // replica ids are never reused within a partition
	Term          int64     // newest term that a leader was confirmed in; 0 before the first
	Leader        int64     // replica id of that leader; 0 before the first
	HeirOf        int64     // replica whose data Initial began with when the group was formed anew; 0: it never was
	TermBase      int64     // terms of the groups before, which count on so that what is routed never goes back

	Split   SplitState // of a parent, while the table splits
	Attempt int32      // of a parent that is cut: the split entry wanted in its log
	Base    int32      // of a child: the attempt whose bases its initial replicas begin with
}

// Find returns the replica with this id.
func (p *Partition) Find(replicaID int64) (Replica, bool) {
	for _, r := range p.Replicas {
		if r.ID == replicaID {
			return r, true
		}
	}
	return Replica{}, false
}

// On returns the replica that lives on the node.
func (p *Partition) On(nodeID int64) (Replica, bool) {
	for _, r := range p.Replicas {
		if r.NodeID == nodeID {
			return r, true
		}
	}
	return Replica{}, false
}

// Initially reports whether the replica is part of the bootstrap membership.
func (p *Partition) Initially(replicaID int64) bool {
	for _, r := range p.Initial {
		if r.ID == replicaID {
			return true
		}
	}
	return false
}

// Replica is one copy of a partition on a node.
type Replica struct {
	ID       int64
	NodeID   int64
	Voting   bool
	Leaving  bool   // on its way out: raft is told to remove it, then it is forgotten
	Replaces int64  // replica that leaves once this one votes; 0: none
	Why      Reason // why it was added; decides whether the addition is called off
}

// Settled reports whether no change of the replica is under way.
func (r Replica) Settled() bool { return r.Voting && !r.Leaving }

// Changing reports whether a change of the partition's membership is under way. There is never more than one.
func (p *Partition) Changing() bool {
	for _, r := range p.Replicas {
		if !r.Settled() {
			return true
		}
	}
	return false
}

// Reason says why a replica was added.
type Reason uint8

// The reasons. Never renumber.
const (
	ForCreation Reason = 0
	ForRepair   Reason = 1 // a replica is gone, or there are too few
	ForDrain    Reason = 2 // its node is being emptied
	ForBalance  Reason = 3
	ForOperator Reason = 4 // somebody asked for it
)

// String gives the word shown to operators.
func (r Reason) String() string {
	return [...]string{"creation", "repair", "drain", "balance", "operator"}[min(r, ForOperator)]
}

// NodeState says whether new replicas may go to a node.
type NodeState uint8

// A replaced node is one whose address was taken over by another node id: its disk is gone. A relieved one keeps its
// replicas and leads nothing, as before a restart.
const (
	NodeActive   NodeState = 1
	NodeDraining NodeState = 2
	NodeReplaced NodeState = 3
	NodeRelieved NodeState = 4
)

// String gives the word shown to operators.
func (s NodeState) String() string {
	switch s {
	case NodeActive:
		return "active"
	case NodeDraining:
		return "draining"
	case NodeReplaced:
		return "replaced"
	case NodeRelieved:
		return "relieved"
	}
	return "unknown"
}

// Node is one replica server as it last registered.
type Node struct {
	ID                int64
	Boot              int64 // grows with each start of the process; an older one is a ghost
	RPCAddress        string
	RaftAddress       string
	GossipAddress     string
	Version           string
	Zone              string
	State             NodeState
	RegisteredUnixSec int64
	AwaySinceUnixSec  int64 // when it fell silent, as the meta leader of that time saw it; 0: it is not away
}

// Same reports whether b carries the same registration facts as n, whatever their state and time.
func (n *Node) Same(b *Node) bool {
	return n.ID == b.ID && n.Boot == b.Boot && n.RPCAddress == b.RPCAddress && n.RaftAddress == b.RaftAddress &&
		n.GossipAddress == b.GossipAddress && n.Version == b.Version && n.Zone == b.Zone
}
