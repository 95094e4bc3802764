package raft

import (
	"sync"

	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
)

// shortLogs finds local replicas whose log ends before what their leader knows
// them to have acknowledged. A part of such a log was lost: to a power failure
// between two syncs (Options.SyncInterval), or with a file.
//
// A leader says it with a heartbeat, whose commit index is never beyond what the
// replica has acknowledged. dragonboat would stop the process. The leader, for its
// part, takes the replica's refusals for old ones and sends what is missing never
// again, so the replica is stuck until another leader asks it what it has, and
// should be replaced. The term and the vote are always synced, so it may take part
// in elections.
type shortLogs struct {
	// end is the index of the last entry in the log of a replica, if known; nil
	// accepts everything.
	end func(shardID, replicaID uint64) (uint64, bool)

	mu    sync.Mutex
	short map[raftio.NodeInfo]bool
}

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
		s.short[id] = true
	case len(s.short) > 0:
		delete(s.short, id)
	}
	return !lost
}

func (s *shortLogs) has(shardID, replicaID uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.short[raftio.GetNodeInfo(shardID, replicaID)]
}
