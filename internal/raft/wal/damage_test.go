package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/stretchr/testify/require"
)

// smallLog makes a log of a few segments that was closed properly.
func smallLog(t *testing.T) (*memDisk, model) {
	a := newActor(7, 3)
	d := newMemDisk()
	s, err := Open(Options{Dir: "test", disk: d, maxSegment: 64 << 10})
	require.NoError(t, err)
	for range 60 {
		require.NoError(t, a.step(s))
	}
	require.NoError(t, s.Close())
	return d, a.m
}

// openAny opens a log that may be damaged: it is whole, or refused as damaged.
func openAny(d *memDisk, m model) error {
	s, err := Open(Options{Dir: "test", MustExist: true, disk: d, maxSegment: 64 << 10})
	if err != nil {
		var newer newerFormatError
		if !errors.Is(err, ErrDamaged) && !errors.As(err, &newer) {
			return fmt.Errorf("refused as if it were no damage: %w", err)
		}
		return nil
	}
	return errors.Join(m.check(s, false), s.Close())
}

// Of a log that was closed, a changed byte is harmless or noticed, and so is
// a file that is cut. Bytes of all kinds are tried.
func TestChangedBytes(t *testing.T) {
	d, m := smallLog(t)
	require.NoError(t, openAny(d.clone(), m))
	refused := 0
	for n, f := range d.names {
		stride := 1 + len(f.now)/150
		for off := 0; off < len(f.now); off++ {
			if off%stride != 0 && (off > 40 && off < headerLen || off > headerLen+recordLen+itemLen) {
				continue
			}
			c := d.clone()
			c.names[n].now[off] ^= 1 << (off % 8)
			require.NoError(t, openAny(c, m), "%s byte %d", n, off)
		}
		for size := 0; size < len(f.now); size += 1 + size/5 {
			c := d.clone()
			c.put(n, c.names[n].now[:size])
			_, err := Open(Options{Dir: "test", MustExist: true, disk: c, maxSegment: 64 << 10})
			require.ErrorIs(t, err, ErrDamaged, "%s cut to %d", n, size)
			refused++
		}
		c := d.clone()
		delete(c.names, n)
		_, err := Open(Options{Dir: "test", MustExist: true, disk: c})
		require.ErrorIs(t, err, ErrDamaged, "without %s", n)
	}
	require.Positive(t, refused)
}

// The message says where, what is lost, and what to do.
func TestDamageIsDescribed(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	for i := range uint64(20) {
		require.NoError(t, s.SaveRaftState([]pb.Update{put(i+1, 100)}, 1))
	}
	s.mu.Lock()
	at := int64(s.replicas[key(1<<32|7, 2)].pages[0].offs[9]) * 8
	s.mu.Unlock()
	require.NoError(t, s.Close())
	d.names[segmentName(1)].now[at+itemLen+20] ^= 0x40
	_, err := Open(Options{Dir: "/data/log", MustExist: true, disk: d, maxSegment: 256 << 10})
	var e *DamageError
	require.ErrorAs(t, err, &e)
	require.Equal(t, []Loss{{1<<32 | 7, 2, 10, 10}}, e.Lost)
	require.Less(t, e.Offset, at)
	for _, part := range []string{"/data/log/" + segmentName(1), fmt.Sprintf("at byte %d", e.Offset), "entries 10 to 10 of partition 1.7 replica 2", "start it with an empty one"} {
		require.ErrorContains(t, err, part)
	}
}

// put is an update with one entry.
func put(index uint64, size int) pb.Update {
	return pb.Update{
		ShardID: 1<<32 | 7, ReplicaID: 2, State: pb.State{Term: 3, Vote: 1, Commit: index - 1},
		EntriesToSave: []pb.Entry{{Term: 3, Index: index, Type: pb.EncodedEntry, Cmd: bytes.Repeat([]byte{byte(index)}, size)}},
	}
}

// An old list of segments would bring back an old end of the log.
func TestOldManifest(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	old, err := d.ReadFile(manifestFile)
	require.NoError(t, err)
	for i := range uint64(200) {
		require.NoError(t, s.SaveRaftState([]pb.Update{put(i+1, 1000)}, 1))
	}
	require.NoError(t, s.Close())
	d.put(manifestFile, old)
	_, err = Open(Options{Dir: "test", MustExist: true, disk: d, maxSegment: 256 << 10})
	require.ErrorIs(t, err, ErrDamaged)
}

func TestNewerFormatIsRefused(t *testing.T) {
	d, _ := smallLog(t)
	m, err := decodeManifest(d.names[manifestFile].now)
	require.NoError(t, err)
	m.Format = format + 1
	d.put(manifestFile, m.encode())
	_, err = Open(Options{Dir: "test", disk: d})
	require.ErrorContains(t, err, "start the newer build")
	require.NotErrorIs(t, err, ErrDamaged)
}

// A log that was there and is gone is not made anew.
func TestMissingLogIsRefused(t *testing.T) {
	_, err := Open(Options{Dir: "test", MustExist: true, disk: newMemDisk()})
	require.ErrorIs(t, err, ErrDamaged)
}

// After a failed sync nothing is acknowledged any more, even if a later sync would
// say that all is well.
func TestFailedSync(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	require.NoError(t, s.SaveRaftState([]pb.Update{put(1, 10)}, 1))
	d.mu.Lock()
	d.sync = errDisk
	d.mu.Unlock()
	require.ErrorIs(t, s.SaveRaftState([]pb.Update{put(2, 10)}, 1), errDisk)
	d.mu.Lock()
	d.sync = nil
	d.mu.Unlock()
	err := s.SaveRaftState([]pb.Update{put(3, 10)}, 1)
	require.ErrorIs(t, err, errDisk)
	require.ErrorContains(t, err, "the process must stop")
	require.NoError(t, s.Close())
}

// A full disk holds writers up, and they go on when there is space.
func TestFullDisk(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	d.mu.Lock()
	d.space = 0
	d.mu.Unlock()
	saved, done := make(chan uint64, 1000), make(chan error, 1)
	go func() {
		for i := range uint64(300) {
			if err := s.SaveRaftState([]pb.Update{put(i+1, 1000)}, 1); err != nil {
				done <- err
				return
			}
			saved <- i + 1
		}
		done <- nil
	}()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.want > 0
	}, 10*time.Second, time.Millisecond)
	require.Less(t, len(saved), 100)
	d.mu.Lock()
	d.space = -1
	d.mu.Unlock()
	s.kick()
	require.NoError(t, <-done)
	require.NoError(t, s.Close())
	s = testStore(t, d, true)
	end, known := s.LastIndex(1<<32|7, 2)
	require.True(t, known)
	require.EqualValues(t, 300, end)
	require.NoError(t, s.Close())
}

// An update larger than any segment gets one of its own size.
func TestLargeUpdate(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	for i := range uint64(5) {
		require.NoError(t, s.SaveRaftState([]pb.Update{put(i+1, 3<<20)}, 1))
	}
	require.NoError(t, s.Close())
	s = testStore(t, d, true)
	ents, _, err := s.IterateEntries(nil, 0, 1<<32|7, 2, 1, 6, 1<<40)
	require.NoError(t, err)
	require.Len(t, ents, 5)
	ents, size, err := s.IterateEntries(nil, 0, 1<<32|7, 2, 1, 6, 4<<20)
	require.NoError(t, err)
	require.Len(t, ents, 2, "up to and with the one that is too much")
	require.Greater(t, size, uint64(4<<20))
	require.NoError(t, s.Close())
}

// Where large writes come, the disk is not given zeros as well; what it holds is
// found again after a crash all the same.
func TestBulkyLogIsNotFilled(t *testing.T) {
	for name, size := range map[string]int{"small": 16 << 10, "large": 2 * bulkyWrite} {
		t.Run(name, func(t *testing.T) {
			d := newMemDisk()
			s, err := Open(Options{disk: d, maxSegment: 2 << 20})
			require.NoError(t, err)
			segment := func() uint64 { s.mu.Lock(); defer s.mu.Unlock(); return s.cur.seq }
			last := uint64(0)
			for end := segment() + 8; segment() < end; last++ {
				require.NoError(t, s.SaveRaftState([]pb.Update{put(last+1, size)}, 1))
			}
			d.mu.Lock()
			require.Equal(t, size >= bulkyWrite, d.reserved > 0)
			d.mu.Unlock()
			crashed := d.crash(rand.New(rand.NewSource(1)))
			require.NoError(t, s.Close())
			s, err = Open(Options{disk: crashed, maxSegment: 2 << 20, MustExist: true})
			require.NoError(t, err)
			end, known := s.LastIndex(1<<32|7, 2)
			require.True(t, known)
			require.Equal(t, last, end)
			require.NoError(t, s.verifyLive())
			require.NoError(t, s.Close())
		})
	}
}

// Idle replicas do not keep the whole log: their entries are moved, and disk use
// stays within twice the live bytes and a few segments.
func TestIdleReplicasAreMoved(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	var idle []pb.Update
	for i := range uint64(5000) {
		require.NoError(t, s.SaveRaftState([]pb.Update{put(i+1, 1000)}, 1))
		if i%100 == 99 {
			ss := pb.Snapshot{Index: i, Term: 3, ShardID: 1<<32 | 7}
			require.NoError(t, s.SaveSnapshots([]pb.Update{{ShardID: ss.ShardID, ReplicaID: 2, Snapshot: ss}}))
			require.NoError(t, s.RemoveEntriesTo(ss.ShardID, 2, i))
			u := put(1, 500)
			u.ShardID = i
			idle = append(idle, u)
			require.NoError(t, s.SaveRaftState([]pb.Update{u}, 1))
		}
	}
	const seg = 256 << 10
	require.Eventually(t, func() bool {
		st := s.Stats()
		return st.Bytes <= 2*st.LiveBytes+(deadSegments+3)*seg
	}, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, s.Close())
	s = testStore(t, d, true)
	for _, u := range idle {
		ents, _, err := s.IterateEntries(nil, 0, u.ShardID, 2, 1, 2, 0)
		require.NoError(t, err)
		require.Equal(t, u.EntriesToSave, ents)
	}
	require.NoError(t, s.Close())
}

// Workers, snapshots, readers and the keeper at once.
func TestConcurrentUse(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	var wg sync.WaitGroup
	for w := range uint64(4) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range uint64(400) {
				u := put(i+1, 700)
				u.ShardID = w + 1
				if !assertNoError(t, s.SaveRaftState([]pb.Update{u}, w+1)) {
					return
				}
				if i%50 == 49 {
					ss := pb.Snapshot{Index: i, Term: 3, ShardID: u.ShardID}
					assertNoError(t, s.SaveSnapshots([]pb.Update{{ShardID: u.ShardID, ReplicaID: 2, Snapshot: ss}}))
					assertNoError(t, s.RemoveEntriesTo(u.ShardID, 2, i-20))
				}
				low := i + 1 - min(i, 10)
				ents, _, err := s.IterateEntries(nil, 0, u.ShardID, 2, low, i+2, 1<<30)
				if !assertNoError(t, err) || len(ents) != int(i+2-low) {
					t.Errorf("%d entries from %d, want %d", len(ents), low, i+2-low)
					return
				}
			}
		}()
	}
	wg.Wait()
	d.mu.Lock()
	syncs := d.syncs
	d.mu.Unlock()
	t.Logf("%d syncs for 1600 saves", syncs)
	require.NoError(t, s.Close())
	s = testStore(t, d, true)
	for w := range uint64(4) {
		end, _ := s.LastIndex(w+1, 2)
		require.EqualValues(t, 400, end)
	}
	require.NoError(t, s.Close())
}

func assertNoError(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

// A commit index alone is not waited for, a member change is.
func TestWhatIsSynced(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	save := func(u pb.Update) int { return syncsOf(t, d, s, u) }
	u := put(1, 10)
	require.Equal(t, 1, save(u), "an entry")
	u.EntriesToSave, u.Commit = nil, 1
	require.Equal(t, 0, save(u), "a commit index")
	u.Vote = 2
	require.Equal(t, 1, save(u), "a vote")
	u.Term++
	require.Equal(t, 1, save(u), "a term")
	require.Equal(t, 0, save(u), "nothing new")
	u2 := put(2, 10)
	u2.State = u.State
	require.Equal(t, 1, save(u2))
	u.Commit, u.CommittedEntries = 2, []pb.Entry{{Index: 2, Type: pb.ConfigChangeEntry}}
	require.Equal(t, 1, save(u), "a member change")
	require.NoError(t, s.Close())
}

// The commit index may be lost with the power. It is never below a snapshot's:
// dragonboat does not start then.
func TestLostCommitIndex(t *testing.T) {
	d := newMemDisk()
	s := testStore(t, d, false)
	u := put(1, 10)
	u.EntriesToSave = append(u.EntriesToSave, put(2, 10).EntriesToSave...)
	require.NoError(t, s.SaveRaftState([]pb.Update{u}, 1))
	u.EntriesToSave, u.Commit = nil, 2
	require.NoError(t, s.SaveRaftState([]pb.Update{u}, 1))
	lost := d.crash(rand.New(rand.NewSource(1)))
	ss := pb.Snapshot{Index: 2, Term: 3, ShardID: u.ShardID}
	require.NoError(t, s.SaveSnapshots([]pb.Update{{ShardID: u.ShardID, ReplicaID: 2, Snapshot: ss}}))
	kept := d.crash(rand.New(rand.NewSource(1)))
	require.NoError(t, s.Close())
	for want, d := range map[uint64]*memDisk{0: lost, 2: kept} {
		s := testStore(t, d, true)
		st, err := s.ReadRaftState(u.ShardID, 2, want)
		require.NoError(t, err)
		require.Equal(t, want, st.State.Commit)
		require.Equal(t, 2-want, st.EntryCount)
		require.NoError(t, s.Close())
	}
}
