package wal

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/sirupsen/logrus"
)

// Name is the type of the store in dragonboat's own records.
const Name = "arion-log"

// Options of a Store. Dir is needed.
type Options struct {
	Dir string
	// MustExist refuses an empty directory: there was a log.
	MustExist bool
	// SyncInterval, if not 0, lets entries be acknowledged once they are written
	// and syncs them so often: a crash of the machine may lose those younger than
	// that, a crash of the process none. Terms, votes, members and snapshots are
	// synced before they are acknowledged, as ever.
	SyncInterval time.Duration
	// OnSync is told how long each sync took; may be nil.
	OnSync func(time.Duration)
	Log    *logrus.Entry // may be nil

	// disk is for tests. maxSegment too; 0 = maxSegmentBytes.
	disk       disk
	maxSegment int64
}

// Store is the raft log of a node. All methods are safe for concurrent use.
type Store struct {
	o    Options
	disk disk

	mu       sync.Mutex
	cond     *sync.Cond // synced, written, next, err or flushing changed
	replicas map[raftio.NodeInfo]*replica
	segs     []*segment // in use, oldest first; the last is cur
	cur      *segment
	next     *segment // ready for use, or nil

	buf, idle []byte // records from written to end; a spare buffer
	start     int    // of the record being made, in buf
	// Positions: of the end of all records, of what is in the file, of what is
	// durable. written ≤ end, synced ≤ written; all in cur.
	end, written, synced uint64
	flushing             bool
	torn                 uint64 // behind what a crash left there, at open
	// dirty are replicas whose commit or compacted index is in memory only. Both
	// may be lost: the commit index is found again by raft, and entries come back
	// that nobody asks for.
	dirty []*replica
	// attested is up to where a record says that the log was durable, dataEnd is
	// behind the last record that says anything else. See keeper.attest.
	attested, dataEnd uint64
	want              int64 // bytes the next segment must take
	meanWrite         int   // bytes, over the last writes
	bursts            bool  // large writes since the last tick
	err               error // the first failed write or sync

	// Of the keeper alone.
	scratch  window
	moveNeed int // bytes the next record of moved entries must take, 0 = as usual

	wake    chan struct{}
	stop    chan struct{}
	stopped sync.WaitGroup
	close   sync.Once
	stats   struct{ written, segments, bytes, live atomic.Uint64 }
}

var _ raftio.ILogDB = (*Store)(nil)

// Stats are numbers for metrics.
type Stats struct {
	WrittenBytes uint64 // to segments, since open
	Segments     uint64 // files, prepared ones included
	Bytes        uint64 // of those files
	LiveBytes    uint64 // of entries that are needed, as of the last second
}

// Stats does not block.
func (s *Store) Stats() Stats {
	return Stats{s.stats.written.Load(), s.stats.segments.Load(), s.stats.bytes.Load(), s.stats.live.Load()}
}

// Name implements raftio.ILogDB.
func (s *Store) Name() string { return Name }

// BinaryFormat implements raftio.ILogDB. The version of the format is in the
// files, see format.
func (s *Store) BinaryFormat() uint32 { return raftio.PlainLogDBBinVersion }

// name is a replica in messages. The shard of a partition has the table in its
// upper half (partition.ShardID), that of the meta servers has nothing there.
func name(id raftio.NodeInfo) string {
	if table := id.ShardID >> 32; table != 0 {
		return fmt.Sprintf("partition %d.%d replica %d", table, uint32(id.ShardID), id.ReplicaID)
	}
	return fmt.Sprintf("shard %d replica %d", id.ShardID, id.ReplicaID)
}

func key(shard, replica uint64) raftio.NodeInfo {
	return raftio.NodeInfo{ShardID: shard, ReplicaID: replica}
}

func (s *Store) replicaLocked(id raftio.NodeInfo) *replica {
	r := s.replicas[id]
	if r == nil {
		r = &replica{id: id}
		s.replicas[id] = r
	}
	return r
}

// ListNodeInfo implements raftio.ILogDB.
func (s *Store) ListNodeInfo() ([]raftio.NodeInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]raftio.NodeInfo, 0, len(s.replicas))
	for id, r := range s.replicas {
		if r.bootstrap != nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// SaveBootstrapInfo implements raftio.ILogDB.
func (s *Store) SaveBootstrapInfo(shard, id uint64, b pb.Bootstrap) error {
	blob := pb.MustMarshal(&b)
	return s.save(itemLen+8+len(blob), func() {
		s.bootstrapLocked(s.replicaLocked(key(shard, id)), blob)
	})
}

func (s *Store) bootstrapLocked(r *replica, blob []byte) {
	r.bootstrap = blob
	s.buf = appendBlob(s.buf, itemBootstrap, 0, r.id.ShardID, r.id.ReplicaID, 0, blob)
}

// save writes one record of up to n bytes, made by encode, and syncs it.
func (s *Store) save(n int, encode func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reserveLocked(n); err != nil {
		return err
	}
	s.beginLocked()
	encode()
	s.endLocked()
	return s.syncLocked(s.end)
}

// GetBootstrapInfo implements raftio.ILogDB.
func (s *Store) GetBootstrapInfo(shard, id uint64) (b pb.Bootstrap, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[key(shard, id)]
	if r == nil || r.bootstrap == nil {
		return b, raftio.ErrNoBootstrapInfo
	}
	return b, b.Unmarshal(r.bootstrap)
}

// SaveRaftState implements raftio.ILogDB. It does not wait for the disk when
// nothing changed but commit indexes.
func (s *Store) SaveRaftState(updates []pb.Update, _ uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := inMemory
	for len(updates) > 0 {
		n, bytes := 0, 0
		for n < len(updates) && (n == 0 || bytes < maxRecordBytes) {
			bytes += updateBound(&updates[n])
			n++
		}
		if err := s.reserveLocked(bytes); err != nil {
			return err
		}
		s.buf = slices.Grow(s.buf, bytes+recordLen+len(s.dirty)*(itemLen+stateLen))
		need, err := s.recordLocked(updates[:n])
		if err != nil {
			return s.fail(err)
		}
		most = max(most, need)
		updates = updates[n:]
	}
	switch most {
	case onDisk:
		return s.syncLocked(s.end)
	case inFile:
		return s.writeLocked(s.end)
	}
	return s.err
}

// need is what must have happened to an update before it is acknowledged.
type need int

const (
	inMemory need = iota // it may be lost
	inFile               // it must outlive the process
	onDisk               // it must outlive the machine's crash
)

// recordLocked saves updates in one record, if there is something to be saved.
func (s *Store) recordLocked(updates []pb.Update) (need, error) {
	s.beginLocked()
	most := inMemory
	for i := range updates {
		n, err := s.updateLocked(&updates[i])
		if err != nil {
			return 0, err
		}
		most = max(most, n)
	}
	if most != inMemory {
		s.endLocked()
	} else { // nothing but dirty replicas
		s.buf = s.buf[:s.start]
	}
	return most, nil
}

// updateLocked encodes an update and tells what it needs.
func (s *Store) updateLocked(u *pb.Update) (n need, err error) {
	fresh := !pb.IsEmptySnapshot(u.Snapshot)
	if len(u.EntriesToSave) == 0 && !fresh && pb.IsEmptyState(u.State) {
		return inMemory, nil
	}
	r := s.replicaLocked(key(u.ShardID, u.ReplicaID))
	fresh = fresh && u.Snapshot.Index > r.snapIndex
	n = s.needOf(r, u, fresh)
	if !pb.IsEmptyState(u.State) && u.State != r.state {
		r.state = u.State
		s.markLocked(r)
	}
	if n == inMemory {
		return n, nil
	}
	if fresh {
		s.snapshotLocked(r, &u.Snapshot, flagReset)
	}
	if len(u.EntriesToSave) > 0 {
		err = s.entriesLocked(r, u.EntriesToSave)
	}
	if r.dirty {
		s.stateLocked(r)
	}
	return n, err
}

func (s *Store) needOf(r *replica, u *pb.Update, fresh bool) need {
	voted := !pb.IsEmptyState(u.State) && (u.Term != r.state.Term || u.Vote != r.state.Vote)
	switch {
	case fresh || voted || changesMembers(u.CommittedEntries) || changesMembers(u.EntriesToSave):
		return onDisk
	case len(u.EntriesToSave) == 0:
		return inMemory
	case s.o.SyncInterval > 0:
		return inFile
	}
	return onDisk
}

// changesMembers: the members are those of the last change committed. Forgetting
// that it is committed would be allowed, but then an election may be held among
// the former members.
func changesMembers(entries []pb.Entry) bool {
	for i := range entries {
		if entries[i].Type == pb.ConfigChangeEntry {
			return true
		}
	}
	return false
}

// snapshotLocked encodes a snapshot's record; with flagReset the log begins anew
// behind it.
func (s *Store) snapshotLocked(r *replica, ss *pb.Snapshot, flags uint16) {
	r.snapshot, r.snapIndex = pb.MustMarshal(ss), ss.Index
	if flags&flagReset != 0 {
		r.reset(ss.Index)
	}
	s.buf = appendBlob(s.buf, itemSnapshot, flags, r.id.ShardID, r.id.ReplicaID, ss.Index, r.snapshot)
}

// SaveSnapshots implements raftio.ILogDB: snapshots made here, of entries that
// are in the log.
func (s *Store) SaveSnapshots(updates []pb.Update) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range updates {
		u := &updates[i]
		if pb.IsEmptySnapshot(u.Snapshot) {
			continue
		}
		if err := s.reserveLocked(2*itemLen + stateLen + 8 + u.Snapshot.Size()); err != nil {
			return err
		}
		r := s.replicaLocked(key(u.ShardID, u.ReplicaID))
		if u.Snapshot.Index <= r.snapIndex {
			continue
		}
		s.beginLocked()
		s.stateLocked(r) // a snapshot is of committed entries
		s.snapshotLocked(r, &u.Snapshot, 0)
		s.endLocked()
	}
	return s.syncLocked(s.end)
}

// GetSnapshot implements raftio.ILogDB.
func (s *Store) GetSnapshot(shard, id uint64) (ss pb.Snapshot, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[key(shard, id)]
	if r == nil || r.snapshot == nil {
		return ss, nil
	}
	return ss, ss.Unmarshal(r.snapshot)
}

// ReadRaftState implements raftio.ILogDB. The log is asked for behind lastIndex,
// which is that of the snapshot.
func (s *Store) ReadRaftState(shard, id, lastIndex uint64) (raftio.RaftState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[key(shard, id)]
	if r == nil || pb.IsEmptyState(r.state) {
		return raftio.RaftState{}, raftio.ErrNoSavedLog
	}
	st := raftio.RaftState{State: r.state, FirstIndex: lastIndex}
	st.State.Commit = max(st.State.Commit, r.snapIndex) // it may be older, see dirty
	if r.compacted > lastIndex {
		return st, fmt.Errorf("log of %s begins behind %d, its snapshot is of %d", name(r.id), r.compacted, lastIndex)
	}
	if r.last > lastIndex {
		st.FirstIndex, st.EntryCount = lastIndex+1, r.last-lastIndex
	}
	return st, nil
}

// LastIndex is the end of a replica's log: of its last entry, or of the snapshot
// it was reset by. known is false if the log has nothing of the replica.
func (s *Store) LastIndex(shard, id uint64) (index uint64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[key(shard, id)]
	if r == nil {
		return 0, false
	}
	return max(r.last, r.snapIndex), true
}

// RemoveEntriesTo implements raftio.ILogDB. Entries may come back after a crash.
func (s *Store) RemoveEntriesTo(shard, id, index uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.replicas[key(shard, id)]; r != nil && r.compact(index) {
		s.markLocked(r)
		s.kick()
	}
	return s.err
}

// CompactEntriesTo implements raftio.ILogDB. Space is freed in the background,
// by whole segments, so there is nothing to wait for.
func (s *Store) CompactEntriesTo(uint64, uint64, uint64) (<-chan struct{}, error) {
	done := make(chan struct{})
	close(done)
	return done, nil
}

// RemoveNodeData implements raftio.ILogDB.
func (s *Store) RemoveNodeData(shard, id uint64) error {
	return s.save(itemLen, func() {
		if r := s.replicas[key(shard, id)]; r != nil {
			s.removedLocked(r)
		}
		s.kick()
	})
}

func (s *Store) removedLocked(r *replica) {
	r.reset(0)
	r.dirty = false
	delete(s.replicas, r.id)
	off := len(s.buf)
	s.buf = beginItem(s.buf, itemRemoved, 0, r.id.ShardID, r.id.ReplicaID, 0, 0)
	s.buf = endItem(s.buf, off)
}

// ImportSnapshot implements raftio.ILogDB: the replica begins anew with ss.
func (s *Store) ImportSnapshot(ss pb.Snapshot, id uint64) error {
	boot := pb.MustMarshal(&pb.Bootstrap{Join: true, Type: ss.Type})
	return s.save(4*(itemLen+8)+stateLen+len(boot)+ss.Size(), func() {
		r := s.replicaLocked(key(ss.ShardID, id))
		s.removedLocked(r)
		r = s.replicaLocked(r.id)
		s.bootstrapLocked(r, boot)
		s.snapshotLocked(r, &ss, flagReset)
		r.state = pb.State{Term: ss.Term, Commit: ss.Index}
		s.stateLocked(r)
	})
}

func putCount(h []byte, count uint32) { binary.LittleEndian.PutUint32(h[32:], count) }
