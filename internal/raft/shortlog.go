package raft

import (
	"sync"
	"time"

	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
)

// shortLogs finds local replicas whose log ends before what their leader knows
// them to have acknowledged. A part of such a log was lost: to a power failure
// between two syncs (Options.SyncInterval), or with a file.
//
// A leader says it with a heartbeat, whose commit index is never beyond what the
// replica has acknowledged. dragonboat would stop the process. A leader that has
// noticed that the replica was away asks it what it has and sends the rest. Any
// other takes the replica's refusals for old ones and sends what is missing never
// again: the replica is stuck under this leader, and should be replaced. The term
// and the vote are always synced, so it may take part in elections.
type shortLogs struct {
	// end is the index of the last entry in the log of a replica, if known; nil
	// accepts everything.
	end func(shardID, replicaID uint64) (uint64, bool)
	now func() time.Time

	mu    sync.Mutex
	since map[raftio.NodeInfo]time.Time // of replicas that are short
}

// shortPatience is how long a leader may take to send what is missing.
const shortPatience = 5 * time.Second

// accept reports whether a heartbeat may be given to the replica.
func (s *shortLogs) accept(m *raftpb.Message) bool {
	if s.end == nil {
		return true
	}
	id := raftio.GetNodeInfo(m.ShardID, m.To)
	end, known := s.end(id.ShardID, id.ReplicaID)
	lost := known && m.Commit > end
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case lost:
		if _, known := s.since[id]; !known {
			s.since[id] = s.now()
		}
	case len(s.since) > 0:
		delete(s.since, id)
	}
	return !lost
}

// stuck reports whether the replica has been short for too long.
func (s *shortLogs) stuck(shardID, replicaID uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, short := s.since[raftio.GetNodeInfo(shardID, replicaID)]
	return short && s.now().Sub(since) >= shortPatience
}
