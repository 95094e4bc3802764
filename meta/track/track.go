// Package track keeps what the nodes said last: who is alive, and which replica leads which partition in which term.
//
// All of it is hearsay from gossip and SYNC reports. The catalog decides what counts: a report is looked up only for the
// replicas that the catalog has on that node, and among the claims for a partition the newest term wins. A dead leader's
// claim therefore stands until somebody claims a newer term, which raft allows only once the old leader is deposed.
package track

import (
	"sync"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/notify"
)

// maxNodes bounds what strangers on the gossip network can make us remember. Twice the nodes that a catalog holds.
const maxNodes = 2 * catalog.MaxNodes

// hungFactor: a node whose gossip answers but which has not synced for this many suspect times is not alive: its gossip
// goroutines run, its server does not.
const hungFactor = 6

// Tracker is safe for concurrent use.
type Tracker struct {
	suspectAfter time.Duration
	now          func() time.Time
	changed      notify.Signal

	mu    sync.Mutex
	since time.Time // this server judges nodes by their syncs only from here on
	nodes map[int64]*node
}

type node struct {
	gossip   liveness
	boot     int64
	synced   time.Time // monotonic; zero: never
	version  int64     // of the desired state that it applied
	disk     arion.DiskStat
	draining bool
	replicas map[replicaKey]*arion.ReplicaReport
}

type liveness uint8

const (
	unheard liveness = iota
	alive
	dead
)

type replicaKey struct {
	table, partition int32
	replica          int64
}

// New makes a tracker that suspects a node after this long without a sync.
func New(suspectAfter time.Duration, now func() time.Time) *Tracker {
	return &Tracker{suspectAfter: suspectAfter, now: now, since: now(), nodes: map[int64]*node{}}
}

// Changed returns a channel that is closed when anything here changes next.
func (t *Tracker) Changed() <-chan struct{} { return t.changed.Wait() }

// Lead tells that this meta server begins to lead now. Nodes sync with the leader only, so their silence until now says
// nothing about them.
func (t *Tracker) Lead() {
	t.mu.Lock()
	t.since = t.now()
	t.mu.Unlock()
	t.changed.Fire()
}

// Young reports whether this server leads (or runs) for so short a time that a node it has not heard of may be well.
func (t *Tracker) Young() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now().Sub(t.since) < t.suspectAfter
}

func (t *Tracker) nodeLocked(id int64) *node {
	n := t.nodes[id]
	if n == nil {
		if len(t.nodes) >= maxNodes {
			return &node{} // counted by nobody; the catalog has no room for it either
		}
		n = &node{replicas: map[replicaKey]*arion.ReplicaReport{}}
		t.nodes[id] = n
	}
	return n
}

// Member takes what gossip says about a node.
func (t *Tracker) Member(id, boot int64, isAlive bool) {
	t.mu.Lock()
	n := t.nodeLocked(id)
	if boot >= n.boot {
		n.boot = boot
		n.gossip = dead
		if isAlive {
			n.gossip = alive
		}
	}
	t.mu.Unlock()
	t.changed.Fire()
}

// Heard takes reports that came by gossip. They may be older than what is known, so they never lower a term and never take
// a replica away.
func (t *Tracker) Heard(id int64, reports []*arion.ReplicaReport) {
	t.mu.Lock()
	n := t.nodeLocked(id)
	news := false
	for _, r := range reports {
		key := replicaKey{r.TableID, r.PartitionIndex, r.ReplicaID}
		old := n.replicas[key]
		if old != nil && (old.Term > r.Term || old.Term == r.Term && old.AppliedIndex > r.AppliedIndex) {
			continue
		}
		if n.replicas == nil || old == nil && len(n.replicas) >= maxReplicas {
			continue
		}
		news = news || old == nil || old.Term != r.Term || old.State != r.State || old.LeaderReplicaID != r.LeaderReplicaID
		n.replicas[key] = keepSplit(old, keepMembers(old, r))
	}
	t.mu.Unlock()
	if news {
		t.changed.Fire()
	}
}

// maxReplicas of one node that are remembered.
const maxReplicas = 1 << 16

// keepMembers carries the newest membership over to a newer report: gossip leaves it out, and so does a replica that does
// not lead or is just asking raft. A membership with a higher index was committed later, so it is never given up for one
// with a lower index.
func keepMembers(old, r *arion.ReplicaReport) *arion.ReplicaReport {
	if old == nil {
		return r
	}
	members := len(old.Members) > 0 && (len(r.Members) == 0 || r.ConfigIndex < old.ConfigIndex)
	compaction := r.CompactionState == arion.CompactionState_UNKNOWN // gossip leaves it out too
	if !members && !compaction {
		return r
	}
	merged := *r
	if members {
		merged.Members, merged.ConfigIndex = old.Members, old.ConfigIndex
	}
	if compaction {
		merged.CompactionState, merged.CompactedUnixSec = old.CompactionState, old.CompactedUnixSec
	}
	return &merged
}

// keepSplit carries over what gossip leaves out. A replica that has applied a split has done so for good.
func keepSplit(old, r *arion.ReplicaReport) *arion.ReplicaReport {
	if old == nil || old.HashCount == 0 || r.HashCount != 0 {
		return r
	}
	merged := *r
	merged.HashCount, merged.SplitAttempt, merged.BaseReady = old.HashCount, old.SplitAttempt, old.BaseReady
	return &merged
}

// Synced takes a SYNC: it comes from the node itself, so it replaces everything.
func (t *Tracker) Synced(req *arion.SyncRequest) {
	replicas := make(map[replicaKey]*arion.ReplicaReport, len(req.Replicas))
	for _, r := range req.Replicas {
		if len(replicas) < maxReplicas {
			replicas[replicaKey{r.TableID, r.PartitionIndex, r.ReplicaID}] = r
		}
	}
	t.mu.Lock()
	n := t.nodeLocked(req.Node.NodeID)
	if req.Node.Boot > n.boot {
		n.boot, n.gossip = req.Node.Boot, unheard // what gossip said was about an earlier life
	}
	for key, r := range replicas {
		replicas[key] = keepMembers(n.replicas[key], r)
	}
	n.synced, n.version, n.draining, n.replicas = t.now(), req.KnownVersion, req.Draining, replicas
	if req.Disk != nil {
		n.disk = *req.Disk
	}
	t.mu.Unlock()
	t.changed.Fire()
}

// Alive reports whether the node seems to live. Gossip and syncs vote: a recent sync proves life whatever gossip says; without
// one, gossip is believed for a while.
func (t *Tracker) Alive(id int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.aliveLocked(t.nodes[id])
}

func (t *Tracker) aliveLocked(n *node) bool {
	if n == nil {
		return false
	}
	now := t.now()
	last := n.synced
	if last.Before(t.since) && n.gossip != dead {
		last = t.since
	}
	silence := now.Sub(last)
	switch n.gossip {
	case alive:
		return silence < hungFactor*t.suspectAfter
	case dead:
		return !n.synced.IsZero() && silence < t.suspectAfter/2
	}
	return silence < t.suspectAfter
}

// KnownVersion is the version of the desired state that the node says it has applied.
func (t *Tracker) KnownVersion(id int64) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes[id]; n != nil && n.version > 0 {
		return uint64(n.version)
	}
	return 0
}

// Report returns what the replica's node said of it last, or nil.
func (t *Tracker) Report(nodeID int64, table, partition int32, replica int64) *arion.ReplicaReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reportLocked(nodeID, table, partition, replica)
}

func (t *Tracker) reportLocked(nodeID int64, table, partition int32, replica int64) *arion.ReplicaReport {
	if n := t.nodes[nodeID]; n != nil {
		return n.replicas[replicaKey{table, partition, replica}]
	}
	return nil
}

// View is one partition as it stands.
type View struct {
	Term      int64             // newest term with a known leader; 0: none yet
	Leader    catalog.Replica   // zero ID: unknown
	LeaderUp  bool              // the leader itself says that it leads and serves, and its node is alive
	Followers []catalog.Replica // other replicas that exist and serve on live nodes
	Applied   int64             // highest applied index heard of
	SizeBytes int64             // of the leader, or of the largest replica

	Replicas    []Replica              // what is known of each of the partition's replicas, in the catalog's order
	Members     []*arion.ReplicaMember // the newest membership that raft has committed, as far as heard; empty: unknown
	ConfigIndex int64                  // of Members
}

// LeaderApplied is the applied index of the leader, as last heard.
func (v *View) LeaderApplied() int64 {
	for _, r := range v.Replicas {
		if r.ID == v.Leader.ID {
			return r.Applied
		}
	}
	return 0
}

// Replica is one replica as it stands.
type Replica struct {
	catalog.Replica
	Heard   bool // its node has reported it
	NodeUp  bool // its node is alive
	State   arion.ReplicaState
	Applied int64
	Follows bool // it serves, and knows the leader and the term of the view

	// Of the splits that it has applied; see arion.ReplicaReport.
	HashCount, SplitAttempt int32
	BaseReady               bool
}

// Member returns what raft says of a replica, or nil.
func (v *View) Member(replicaID int64) *arion.ReplicaMember {
	for _, m := range v.Members {
		if m.ReplicaID == replicaID {
			return m
		}
	}
	return nil
}

// Partition puts together what is known of partition index of table t.
func (t *Tracker) Partition(table *catalog.Table, index int32) View {
	p := &table.Partitions[index]
	v := View{Term: p.Term}
	v.Leader, _ = p.Find(p.Leader)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range p.Replicas {
		report := t.reportLocked(r.NodeID, table.ID, index, r.ID)
		if report == nil {
			continue
		}
		if len(report.Members) > 0 && (report.ConfigIndex > v.ConfigIndex || v.Members == nil) {
			v.Members, v.ConfigIndex = report.Members, report.ConfigIndex
		}
		v.Applied, v.SizeBytes = max(v.Applied, report.AppliedIndex), max(v.SizeBytes, report.SizeBytes)
		leader, member := p.Find(report.LeaderReplicaID)
		if term := report.Term + p.TermBase; member && report.Term > 0 && (term > v.Term || v.Leader.ID == 0) {
			v.Term, v.Leader = term, leader
		}
	}
	t.livingLocked(&v, table.ID, index, p)
	return v
}

func (t *Tracker) livingLocked(v *View, table, index int32, p *catalog.Partition) {
	for _, r := range p.Replicas {
		report := t.reportLocked(r.NodeID, table, index, r.ID)
		one := Replica{Replica: r, Heard: report != nil, NodeUp: t.aliveLocked(t.nodes[r.NodeID])}
		up := report != nil && report.State == arion.ReplicaState_SERVING && one.NodeUp
		if report != nil {
			one.State, one.Applied = report.State, report.AppliedIndex
			one.HashCount, one.SplitAttempt, one.BaseReady = report.HashCount, report.SplitAttempt, report.BaseReady
			one.Follows = up && report.Term+p.TermBase == v.Term && report.LeaderReplicaID == v.Leader.ID && v.Leader.ID != 0
		}
		v.Replicas = append(v.Replicas, one)
		switch {
		case r.ID == v.Leader.ID:
			v.LeaderUp = up && report.LeaderReplicaID == r.ID && report.Term+p.TermBase == v.Term
		case up:
			v.Followers = append(v.Followers, r)
		}
	}
}

// Draining reports whether the node asked to be relieved of its leaders.
func (t *Tracker) Draining(id int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[id]
	return n != nil && n.draining
}

// Disk returns the node's disk as it reported last; zero if never.
func (t *Tracker) Disk(id int64) arion.DiskStat {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes[id]; n != nil {
		return n.disk
	}
	return arion.DiskStat{}
}
