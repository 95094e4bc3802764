package wal

import (
	"fmt"
	"math/rand"
	"reflect"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/stretchr/testify/require"
)

// never is an interval after which the tests sync by themselves.
const never = time.Hour

func openInterval(t *testing.T, d *memDisk) *Store {
	t.Helper()
	s, err := Open(Options{disk: d, maxSegment: 64 << 10, SyncInterval: never})
	require.NoError(t, err)
	return s
}

// TestIntervalCrash crashes a machine whose log syncs at intervals, again and
// again: what was synced is there, of the rest the begin, and nothing that a
// former crash took comes back. A crash of the process alone takes nothing.
func TestIntervalCrash(t *testing.T) {
	for seed := range int64(40) {
		rnd := rand.New(rand.NewSource(seed))
		a := &actor{rnd: rnd}
		id := key(1, 2)
		d := newMemDisk()
		var log []pb.Entry // entry i+1
		st := pb.State{}
		for life := range 6 {
			s := openInterval(t, d)
			synced := 0
			st.Term++
			require.NoError(t, s.SaveRaftState([]pb.Update{{ShardID: 1, ReplicaID: 2, State: st}}, 1))
			for range 1 + rnd.Intn(60) {
				ents := a.entries(uint64(len(log)+1), st.Term, 1+rnd.Intn(4))
				require.NoError(t, s.SaveRaftState([]pb.Update{{ShardID: 1, ReplicaID: 2, State: st, EntriesToSave: ents}}, 1))
				log = append(log, ents...)
				st.Commit = uint64(len(log))
				if rnd.Intn(20) == 0 {
					require.NoError(t, s.Sync())
					synced = len(log)
				}
			}
			requireLog(t, d.clone(), log, len(log)) // the process is killed
			after := d.crash(rnd)
			require.NoError(t, s.Close())
			d = after
			end := requireLog(t, d, log, synced)
			t.Logf("seed %d life %d: %d entries synced, %d of %d kept", seed, life, synced, end, len(log))
			log = log[:end]
			s = openInterval(t, d)
			rs, err := s.ReadRaftState(id.ShardID, id.ReplicaID, 0)
			require.NoError(t, err)
			require.Equal(t, st.Term, rs.State.Term, "a term is synced at once")
			require.LessOrEqual(t, rs.State.Commit, uint64(end))
			st.Commit = rs.State.Commit
			require.NoError(t, s.Close())
		}
	}
}

// requireLog opens a copy of the disk, on which the begin of log must be, at least
// min entries, and returns how many are.
func requireLog(t *testing.T, d *memDisk, log []pb.Entry, min int) int {
	t.Helper()
	s := openInterval(t, d.clone())
	defer func() { require.NoError(t, s.Close()) }()
	last, known := s.LastIndex(1, 2)
	require.True(t, known)
	require.GreaterOrEqual(t, int(last), min)
	require.LessOrEqual(t, int(last), len(log))
	got, _, err := s.IterateEntries(nil, 0, 1, 2, 1, last+1, 1<<40)
	require.NoError(t, err)
	require.Len(t, got, int(last))
	for i := range got {
		if !reflect.DeepEqual(got[i], log[i]) {
			require.Fail(t, fmt.Sprintf("entry %d is %v, was %v", i+1, got[i], log[i]))
		}
	}
	return int(last)
}

// TestIntervalSyncs counts syncs: none for entries, one for each of the rest.
func TestIntervalSyncs(t *testing.T) {
	d := newMemDisk()
	s := openInterval(t, d)
	syncs := func(u pb.Update) int {
		u.ShardID, u.ReplicaID = 1, 2
		return syncsOf(t, d, s, u)
	}
	entry := func(index uint64, kind pb.EntryType) []pb.Entry {
		return []pb.Entry{{Term: 1, Index: index, Type: kind}}
	}
	require.Equal(t, 1, syncs(pb.Update{State: pb.State{Term: 1, Vote: 2}}))
	require.Equal(t, 0, syncs(pb.Update{State: pb.State{Term: 1, Vote: 2, Commit: 0}, EntriesToSave: entry(1, pb.EncodedEntry)}))
	require.Equal(t, 0, syncs(pb.Update{State: pb.State{Term: 1, Vote: 2, Commit: 1}}))
	require.Equal(t, 1, syncs(pb.Update{EntriesToSave: entry(2, pb.ConfigChangeEntry)}))
	require.Equal(t, 1, syncs(pb.Update{State: pb.State{Term: 2, Vote: 2, Commit: 1}, EntriesToSave: entry(3, pb.EncodedEntry)}))
	require.NoError(t, s.Close())
}
