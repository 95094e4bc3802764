package wal

import (
	"math/rand"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/raftio"
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

// A replica that was removed and made again has nothing of its former life, even
// when the segment that says so is gone and one from before is not.
func TestRemovedAndMadeAgain(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	keep, again := put(1, 10), put(1, 10)
	keep.ShardID, again.ShardID = 5, 6
	require.NoError(t, s.SaveRaftState([]pb.Update{keep, again}, 1))
	require.NoError(t, s.SaveBootstrapInfo(6, 2, pb.Bootstrap{Join: true, Type: pb.OnDiskStateMachine}))
	fill := func(to uint64) { // the segments between hold nothing that is needed
		for s.Stats().WrittenBytes < to {
			u := put(1, 1000)
			require.NoError(t, s.SaveRaftState([]pb.Update{u}, 1))
			require.NoError(t, s.RemoveNodeData(u.ShardID, u.ReplicaID))
		}
	}
	fill(100 << 10)
	require.NoError(t, s.RemoveNodeData(6, 2))
	require.NoError(t, s.SaveRaftState([]pb.Update{{ShardID: 6, ReplicaID: 2, State: pb.State{Term: 1}}}, 1))
	fill(400 << 10)
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.segs[0].seq == 1 && len(s.segs) == 2
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
	s = testStore(t, d, true)
	_, err := s.GetBootstrapInfo(6, 2)
	require.ErrorIs(t, err, raftio.ErrNoBootstrapInfo)
	require.NoError(t, s.Close())
}
