package wal_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/internal/raft/wal"
)

// updates are those of one step: an entry and a commit index per replica.
func updates(n int, value int) []pb.Update {
	u := make([]pb.Update, n)
	cmd := make([]byte, value)
	for i := range u {
		u[i] = pb.Update{
			ShardID: uint64(i + 1), ReplicaID: 1, State: pb.State{Term: 1, Vote: 1},
			EntriesToSave: []pb.Entry{{Term: 1, Type: pb.EncodedEntry, Cmd: cmd}},
		}
	}
	return u
}

func advance(u []pb.Update, index uint64) {
	for i := range u {
		u[i].Commit = index - 1
		u[i].EntriesToSave[0].Index = index
	}
}

func open(tb testing.TB, syncs *int) raftio.ILogDB {
	s, err := wal.Open(wal.Options{Dir: filepath.Join(tb.TempDir(), "log"), OnSync: func(time.Duration) { *syncs++ }})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

// BenchmarkSave is one step of n replicas, with the truncation that keeps the log
// at 50000 entries.
func BenchmarkSave(b *testing.B) {
	for _, n := range []int{1, 8, 256} {
		b.Run(fmt.Sprintf("replicas=%d", n), func(b *testing.B) {
			syncs := 0
			s := open(b, &syncs)
			u := updates(n, 130)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				advance(u, uint64(i+1))
				if err := s.SaveRaftState(u, 1); err != nil {
					b.Fatal(err)
				}
				if i%50000 == 49999 {
					for j := range u {
						if err := s.RemoveEntriesTo(u[j].ShardID, 1, uint64(i)); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.ReportMetric(float64(syncs)/float64(b.N), "syncs/op")
		})
	}
}

// Saving allocates nothing but, now and then, a page of the index.
func TestSaveDoesNotAllocate(t *testing.T) {
	syncs := 0
	s := open(t, &syncs)
	u := updates(8, 100)
	index := uint64(0)
	n := testing.AllocsPerRun(2000, func() {
		index++
		advance(u, index)
		if err := s.SaveRaftState(u, 1); err != nil {
			t.Fatal(err)
		}
	})
	require.Less(t, n, 1.0)
}
