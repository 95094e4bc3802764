package wal

import (
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/stretchr/testify/require"
)

// model is the dumb twin of a store: everything in maps.
type model map[raftio.NodeInfo]*modelReplica

type modelReplica struct {
	state     pb.State
	snapshot  pb.Snapshot
	bootstrap *pb.Bootstrap
	entries   map[uint64]pb.Entry
	// removed is the index up to which entries were removed.
	last, removed uint64
	// safeCommit is the least that a crash leaves of commit.
	safeCommit uint64
}

func (m model) at(id raftio.NodeInfo) *modelReplica {
	if m[id] == nil {
		m[id] = &modelReplica{entries: map[uint64]pb.Entry{}}
	}
	return m[id]
}

func (m model) clone() model {
	c := model{}
	for id, r := range m {
		n := *r
		n.entries = maps.Clone(r.entries)
		c[id] = &n
	}
	return c
}

func (r *modelReplica) apply(u pb.Update) {
	if u.Snapshot.Index > r.snapshot.Index {
		r.snapshot, r.last, r.removed = u.Snapshot, u.Snapshot.Index, u.Snapshot.Index
		clear(r.entries)
	}
	for _, e := range u.EntriesToSave {
		for i := range r.entries {
			if i >= e.Index {
				delete(r.entries, i)
			}
		}
		r.entries[e.Index], r.last = e, e.Index
	}
	if !pb.IsEmptyState(u.State) {
		r.state = u.State
	}
}

// check compares a store with the model. After a crash the commit index may be
// older, and removed entries may be back.
func (m model) check(s *Store, crashed bool) error {
	nodes, err := s.ListNodeInfo()
	if err != nil {
		return err
	}
	want := 0
	for id, r := range m {
		if r.bootstrap != nil {
			want++
		}
		if err := r.check(s, id, crashed); err != nil {
			return fmt.Errorf("%s: %w", name(id), err)
		}
	}
	if len(nodes) != want {
		return fmt.Errorf("%d nodes, want %d", len(nodes), want)
	}
	return s.verifyLive()
}

func (r *modelReplica) check(s *Store, id raftio.NodeInfo, crashed bool) error {
	boot, err := s.GetBootstrapInfo(id.ShardID, id.ReplicaID)
	if r.bootstrap == nil {
		if !errors.Is(err, raftio.ErrNoBootstrapInfo) {
			return fmt.Errorf("bootstrap %v, %w", boot, err)
		}
	} else if err != nil || !reflect.DeepEqual(boot, *r.bootstrap) {
		return fmt.Errorf("bootstrap %v, %w, want %v", boot, err, *r.bootstrap)
	}
	ss, err := s.GetSnapshot(id.ShardID, id.ReplicaID)
	if err != nil || ss.Index != r.snapshot.Index || ss.Term != r.snapshot.Term {
		return fmt.Errorf("snapshot %v, %w, want %v", ss, err, r.snapshot)
	}
	st, err := s.ReadRaftState(id.ShardID, id.ReplicaID, ss.Index)
	if pb.IsEmptyState(r.state) {
		if !errors.Is(err, raftio.ErrNoSavedLog) {
			return fmt.Errorf("state %v, %w, want none", st, err)
		}
		return nil
	}
	least := r.state.Commit
	if crashed {
		least = max(r.safeCommit, ss.Index)
	}
	if err != nil || st.State.Term != r.state.Term || st.State.Vote != r.state.Vote || st.State.Commit < least || st.State.Commit > r.state.Commit {
		return fmt.Errorf("state %v, %w, want %v and at least %d", st, err, r.state, least)
	}
	count := max(r.last, ss.Index) - ss.Index
	if st.EntryCount != count || count > 0 && st.FirstIndex != ss.Index+1 {
		return fmt.Errorf("%d entries from %d, want %d from %d", st.EntryCount, st.FirstIndex, count, ss.Index+1)
	}
	return r.checkEntries(s, id)
}

func (r *modelReplica) checkEntries(s *Store, id raftio.NodeInfo) error {
	ents, _, err := s.IterateEntries(nil, 0, id.ShardID, id.ReplicaID, r.removed+1, r.last+100, 1<<40)
	if err != nil || len(ents) != int(r.last-r.removed) {
		return fmt.Errorf("%d entries read from %d, %w, want %d", len(ents), r.removed+1, err, r.last-r.removed)
	}
	for i, e := range ents {
		if want := r.entries[r.removed+1+uint64(i)]; !reflect.DeepEqual(e, want) {
			return fmt.Errorf("entry %v, want %v", e, want)
		}
	}
	return nil
}

// verifyLive compares the counters of live bytes with the indexes.
func (s *Store) verifyLive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := map[*segment]int64{}
	for _, r := range s.replicas {
		next := uint64(0)
		for i := range r.pages {
			p := &r.pages[i]
			live[p.seg] += p.bytes
			if p.first < next || p.next <= p.first || len(p.offs) != len(p.starts) || len(p.offs) == 0 {
				return fmt.Errorf("%v: pages out of order", r.id)
			}
			if !slices.Contains(s.segs, p.seg) {
				return fmt.Errorf("%v: page in a freed segment", r.id)
			}
			next = p.next
		}
	}
	for _, g := range s.segs {
		if g.live != live[g] {
			return fmt.Errorf("segment %x: %d bytes live, counted %d", g.seq, live[g], g.live)
		}
	}
	return nil
}

// actor makes random changes that raft could make, to a store and the model.
type actor struct {
	rnd   *rand.Rand
	m     model
	ids   []raftio.NodeInfo
	large bool // entries
}

func newActor(seed int64, replicas int) *actor {
	a := &actor{rnd: rand.New(rand.NewSource(seed)), m: model{}}
	for i := range replicas {
		a.ids = append(a.ids, key(uint64(1)<<32|uint64(i), uint64(i%3+1)))
	}
	return a
}

func (a *actor) id() raftio.NodeInfo { return a.ids[a.rnd.Intn(len(a.ids))] }

func (a *actor) entries(first, term uint64, n int) (ents []pb.Entry) {
	for i := range n {
		size := a.rnd.Intn(300)
		if a.rnd.Intn(50) == 0 {
			size = a.rnd.Intn(20000)
		}
		if a.large && a.rnd.Intn(100) == 0 {
			size = a.rnd.Intn(300000)
		}
		e := pb.Entry{
			Term: term, Index: first + uint64(i), Type: pb.EncodedEntry, Key: a.rnd.Uint64(),
			ClientID: a.rnd.Uint64() >> a.rnd.Intn(64), SeriesID: uint64(a.rnd.Intn(3)),
		}
		if size > 0 {
			e.Cmd = make([]byte, size)
			a.rnd.Read(e.Cmd)
		}
		ents = append(ents, e)
	}
	return ents
}

// update makes one for a replica.
func (a *actor) update(id raftio.NodeInfo) pb.Update {
	r := a.m.at(id)
	u := pb.Update{ShardID: id.ShardID, ReplicaID: id.ReplicaID, State: r.state}
	if u.Term == 0 {
		u.Term = 1
	}
	last := r.last
	switch k := a.rnd.Intn(20); {
	case k == 0: // election
		u.Term += uint64(a.rnd.Intn(3) + 1)
		u.Vote = uint64(a.rnd.Intn(3) + 1)
	case k == 1 && last > 0: // a snapshot from the leader
		u.Snapshot = pb.Snapshot{Index: max(last, r.snapshot.Index) + uint64(a.rnd.Intn(100)+1), Term: u.Term, ShardID: id.ShardID, Type: pb.OnDiskStateMachine}
		last = u.Snapshot.Index
		u.Commit = last
	case k < 4: // commit only
	default:
		first := last + 1
		if a.rnd.Intn(6) == 0 && last > u.Commit { // a new leader overwrites
			first = u.Commit + 1 + uint64(a.rnd.Int63n(int64(last-u.Commit)))
			u.Term++
		}
		u.EntriesToSave = a.entries(first, u.Term, a.rnd.Intn(30)+1)
		last = first + uint64(len(u.EntriesToSave)) - 1
	}
	if u.Commit < last && a.rnd.Intn(3) > 0 {
		u.Commit += uint64(a.rnd.Int63n(int64(last-u.Commit) + 1))
	}
	return u
}

// step does one thing to both. It returns what saved it, for a crash in between.
func (a *actor) step(s *Store) error {
	id := a.id()
	r := a.m.at(id)
	switch a.rnd.Intn(16) {
	case 0:
		b := pb.Bootstrap{Addresses: map[uint64]string{1: fmt.Sprint("n", a.rnd.Intn(100))}, Type: pb.OnDiskStateMachine}
		r.bootstrap = &b
		return s.SaveBootstrapInfo(id.ShardID, id.ReplicaID, b)
	case 1: // a snapshot of its own
		if r.state.Commit <= r.snapshot.Index || r.state.Commit > r.last {
			return nil
		}
		r.snapshot = pb.Snapshot{Index: r.state.Commit, Term: r.state.Term, ShardID: id.ShardID, Type: pb.OnDiskStateMachine, Membership: pb.Membership{Addresses: map[uint64]string{1: "n1", 2: "n2"}}}
		a.synced(id)
		return s.SaveSnapshots([]pb.Update{{ShardID: id.ShardID, ReplicaID: id.ReplicaID, Snapshot: r.snapshot}})
	case 2, 3:
		if r.snapshot.Index <= r.removed {
			return nil
		}
		r.removed = min(r.last, r.removed+1+uint64(a.rnd.Int63n(int64(r.snapshot.Index-r.removed))))
		for i := range r.entries {
			if i <= r.removed {
				delete(r.entries, i)
			}
		}
		return s.RemoveEntriesTo(id.ShardID, id.ReplicaID, r.removed)
	case 4:
		if a.rnd.Intn(20) > 0 {
			return nil
		}
		delete(a.m, id)
		return s.RemoveNodeData(id.ShardID, id.ReplicaID)
	case 5:
		if a.rnd.Intn(20) > 0 {
			return nil
		}
		ss := pb.Snapshot{Index: r.last + 10, Term: r.state.Term + 1, ShardID: id.ShardID, Type: pb.OnDiskStateMachine}
		delete(a.m, id)
		r = a.m.at(id)
		r.bootstrap = &pb.Bootstrap{Join: true, Type: ss.Type}
		r.snapshot, r.state = ss, pb.State{Term: ss.Term, Commit: ss.Index}
		r.last, r.removed = ss.Index, ss.Index
		a.synced(id)
		return s.ImportSnapshot(ss, id.ReplicaID)
	}
	ids := map[raftio.NodeInfo]bool{id: true}
	for range a.rnd.Intn(4) {
		ids[a.id()] = true
	}
	var updates []pb.Update
	for _, id := range a.ids { // in an order that the seed decides
		if ids[id] {
			updates = append(updates, a.update(id))
		}
	}
	for _, u := range updates {
		r := a.m.at(key(u.ShardID, u.ReplicaID))
		must := len(u.EntriesToSave) > 0 || u.Term != r.state.Term || u.Vote != r.state.Vote || u.Snapshot.Index > 0
		r.apply(u)
		if must {
			a.synced(key(u.ShardID, u.ReplicaID))
		}
	}
	return s.SaveRaftState(updates, 1)
}

func (a *actor) synced(id raftio.NodeInfo) {
	r := a.m.at(id)
	r.safeCommit = r.state.Commit
}

func testStore(t testing.TB, d disk, mustExist bool) *Store {
	t.Helper()
	s, err := Open(Options{Dir: "test", MustExist: mustExist, disk: d, maxSegment: 256 << 10})
	require.NoError(t, err)
	return s
}

// What is saved is found, before and after a restart.
func TestModel(t *testing.T) {
	for seed := range int64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			a := newActor(seed, 1+int(seed)*2)
			a.large = seed%2 == 1
			d := newMemDisk()
			s := testStore(t, d, false)
			for range 800 {
				require.NoError(t, a.step(s))
				switch a.rnd.Intn(100) {
				case 0:
					require.NoError(t, s.Close())
					s = testStore(t, d, true)
					require.NoError(t, a.m.check(s, false))
				case 1, 2, 3:
					require.NoError(t, a.m.check(s, false))
				}
			}
			require.NoError(t, s.Close())
			require.NoError(t, s.Close(), "twice")
		})
	}
}

// What was acknowledged survives a loss of power, whatever the disk had written
// of the rest. What was being saved is there or not, never a part of it.
func TestCrash(t *testing.T) {
	for seed := range int64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			a := newActor(1000+seed, 1+2*int(seed))
			d := newMemDisk()
			s := testStore(t, d, false)
			for range 40 {
				var crashed atomic.Pointer[memDisk]
				var before, after model
				rnd, d0 := rand.New(rand.NewSource(a.rnd.Int63())), d
				d.armed(a.rnd.Intn(40), func() { crashed.Store(d0.crashLocked(rnd)) })
				for n := a.rnd.Intn(60) + 1; n > 0 && crashed.Load() == nil; n-- {
					before = a.m.clone()
					require.NoError(t, a.step(s))
					after = a.m
				}
				d.disarmed()
				image := crashed.Load()
				if image == nil {
					image, before = d.crash(a.rnd), after
				}
				require.NoError(t, s.Close())
				d = image
				s = testStore(t, d, true)
				if err := after.check(s, true); err == nil {
					a.m = after
				} else {
					require.NoError(t, before.check(s, true), "nor is it as after: %v", err)
					a.m = before
				}
				a.adopt(s)
			}
			require.NoError(t, s.Close())
		})
	}
}

// adopt makes the model what the store has found again.
func (a *actor) adopt(s *Store) {
	for id, r := range a.m {
		st, err := s.ReadRaftState(id.ShardID, id.ReplicaID, r.snapshot.Index)
		if err == nil {
			r.state.Commit = st.State.Commit
			r.safeCommit = r.state.Commit
		}
	}
}
