package raft

import (
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/stretchr/testify/require"
)

// TestShortLog has a leader count on entry 10 of a log that ends at 7, and a later
// leader that knows better.
func TestShortLog(t *testing.T) {
	c := &clock{t: time.Now()}
	s := &shortLogs{
		now: c.now, since: map[raftio.NodeInfo]time.Time{},
		end: func(shardID, replicaID uint64) (uint64, bool) {
			return 7, shardID == 9 && replicaID == 2
		},
	}
	beat := func(to, term, commit uint64) *raftpb.Message {
		m := message(raftpb.Heartbeat, 1, to, term)
		m.Commit = commit
		return m
	}
	require.True(t, s.accept(beat(2, 4, 7)))
	c.sleep(shortPatience)
	require.False(t, s.stuck(9, 2))
	require.False(t, s.accept(beat(2, 4, 10)))
	require.False(t, s.stuck(9, 2), "the leader may send what is missing")
	c.sleep(shortPatience)
	require.False(t, s.accept(beat(2, 4, 10)))
	require.True(t, s.stuck(9, 2))
	require.True(t, s.accept(beat(3, 4, 10)), "nothing is known of another replica's log")
	require.False(t, s.stuck(9, 3))
	require.True(t, s.stuck(9, 2))
	require.True(t, s.accept(beat(2, 5, 0)))
	require.False(t, s.stuck(9, 2))
}
