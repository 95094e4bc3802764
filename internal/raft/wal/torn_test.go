package wal

import (
	"math/rand"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/stretchr/testify/require"
)

// Of two records that were never synced the first is torn. The second was not
// there for who opened the log, and must never be again, not even behind a record
// as long as the torn one.
func TestTornTailDoesNotComeBack(t *testing.T) {
	d := newMemDisk()
	s, err := Open(Options{Dir: "test", disk: d, SyncInterval: never})
	require.NoError(t, err)
	require.NoError(t, s.SaveRaftState([]pb.Update{put(1, 100)}, 1))
	require.NoError(t, s.Sync())
	require.NoError(t, s.SaveRaftState([]pb.Update{put(2, 100)}, 1))
	require.NoError(t, s.SaveRaftState([]pb.Update{put(3, 100)}, 1))
	s.mu.Lock()
	second := s.replicas[key(1<<32|7, 2)].pages[0].offs[1]
	s.mu.Unlock()
	whole := d.clone()
	require.NoError(t, s.Close())

	whole.names[segmentName(1)].now[int(second)*8+itemLen+10] ^= 1
	s, err = Open(Options{Dir: "test", disk: whole, SyncInterval: never})
	require.NoError(t, err)
	end, _ := s.LastIndex(1<<32|7, 2)
	require.EqualValues(t, 1, end)
	require.NoError(t, s.SaveRaftState([]pb.Update{put(2, 100)}, 1))
	again := whole.clone() // the process was killed
	require.NoError(t, s.Close())
	s = testStore(t, again, true)
	end, _ = s.LastIndex(1<<32|7, 2)
	require.EqualValues(t, 2, end)
	require.NoError(t, s.Close())
}

// A segment is given up only when the truncation that made it dead is durable: or
// its entries would be missing after a crash.
func TestFreedBeforeCrash(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	for i := range uint64(1000) {
		require.NoError(t, s.SaveRaftState([]pb.Update{put(i+1, 1000)}, 1))
	}
	ss := pb.Snapshot{Index: 999, Term: 3, ShardID: 1<<32 | 7}
	require.NoError(t, s.SaveSnapshots([]pb.Update{{ShardID: ss.ShardID, ReplicaID: 2, Snapshot: ss}}))
	before := s.Stats().Segments
	require.NoError(t, s.RemoveEntriesTo(ss.ShardID, 2, 999))
	require.Eventually(t, func() bool { return s.Stats().Segments < before }, 10*time.Second, time.Millisecond)
	crashed := d.crash(rand.New(rand.NewSource(1)))
	require.NoError(t, s.Close())
	s = testStore(t, crashed, true)
	end, _ := s.LastIndex(ss.ShardID, 2)
	require.EqualValues(t, 1000, end)
	require.NoError(t, s.Close())
}
