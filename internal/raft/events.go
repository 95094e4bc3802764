package raft

import (
	"sync"

	"github.com/lni/dragonboat/v4/raftio"
)

// Events of one replica. The functions run on dragonboat's only event
// goroutine, which raft itself waits for: they must return at once and must not
// call the Host. Nil ones are skipped.
type Events struct {
	// Leader tells who leads since which term; leader 0 = nobody known.
	Leader func(leader, term uint64)
	// Members tells that the membership has changed.
	Members func()
	// Removed tells that the replica has applied its own removal. It stops.
	Removed func()
}

// hub hands the events of all shards to those that asked for them.
type hub struct {
	mu   sync.RWMutex
	subs map[raftio.NodeInfo]Events
}

func newHub() *hub { return &hub{subs: map[raftio.NodeInfo]Events{}} }

func (h *hub) set(shardID, replicaID uint64, e Events) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs[raftio.GetNodeInfo(shardID, replicaID)] = e
}

func (h *hub) drop(shardID, replicaID uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, raftio.GetNodeInfo(shardID, replicaID))
}

func (h *hub) get(shardID, replicaID uint64) Events {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.subs[raftio.GetNodeInfo(shardID, replicaID)]
}

// LeaderUpdated implements raftio.IRaftEventListener.
func (h *hub) LeaderUpdated(i raftio.LeaderInfo) {
	if f := h.get(i.ShardID, i.ReplicaID).Leader; f != nil {
		f(i.LeaderID, i.Term)
	}
}

// The rest implements raftio.ISystemEventListener.

func (h *hub) MembershipChanged(i raftio.NodeInfo) {
	if f := h.get(i.ShardID, i.ReplicaID).Members; f != nil {
		f()
	}
}

func (h *hub) NodeDeleted(i raftio.NodeInfo) {
	if f := h.get(i.ShardID, i.ReplicaID).Removed; f != nil {
		f()
	}
}

func (h *hub) NodeHostShuttingDown()                       {}
func (h *hub) NodeUnloaded(raftio.NodeInfo)                {}
func (h *hub) NodeReady(raftio.NodeInfo)                   {}
func (h *hub) ConnectionEstablished(raftio.ConnectionInfo) {}
func (h *hub) ConnectionFailed(raftio.ConnectionInfo)      {}
func (h *hub) SendSnapshotStarted(raftio.SnapshotInfo)     {}
func (h *hub) SendSnapshotCompleted(raftio.SnapshotInfo)   {}
func (h *hub) SendSnapshotAborted(raftio.SnapshotInfo)     {}
func (h *hub) SnapshotReceived(raftio.SnapshotInfo)        {}
func (h *hub) SnapshotRecovered(raftio.SnapshotInfo)       {}
func (h *hub) SnapshotCreated(raftio.SnapshotInfo)         {}
func (h *hub) SnapshotCompacted(raftio.SnapshotInfo)       {}
func (h *hub) LogCompacted(raftio.EntryInfo)               {}
func (h *hub) LogDBCompacted(raftio.EntryInfo)             {}
