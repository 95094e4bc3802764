package wal

import (
	"fmt"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

const (
	// maxItemBytes ends an item with entries: reading one entry reads its item.
	maxItemBytes = 64 << 10
	// maxRecordBytes ends a record of many replicas. One replica's update is
	// never cut: half of it would be a state without its entries.
	maxRecordBytes = 8 << 20
	// maxIdleBuffer is what stays allocated for the next record, and maxBusyBuffer
	// for as long as there are records that need it.
	maxIdleBuffer = 4 << 20
	maxBusyBuffer = maxRecordBytes + maxIdleBuffer
	// fieldsBound bounds the encoded entry without its command, and its length:
	// seven integers of ten bytes and framing (raftpb, Entry.Size).
	fieldsBound = 96
)

// updateBound is the most an update can take in a record.
func updateBound(u *pb.Update) int {
	n := itemLen + stateLen
	if !pb.IsEmptySnapshot(u.Snapshot) {
		n += itemLen + 8 + u.Snapshot.Size()
	}
	payload := 0
	for i := range u.EntriesToSave {
		payload += fieldsBound + len(u.EntriesToSave[i].Cmd)
	}
	items := 2 + payload/maxItemBytes*2 + len(u.EntriesToSave)/1000
	return n + payload + min(items, len(u.EntriesToSave))*(itemLen+8)
}

// reserveLocked makes sure that the record to come, of up to n bytes, fits into
// the segment in use, together with what is dirty. The mutex may be released
// meanwhile, so nothing may have been encoded yet.
func (s *Store) reserveLocked(n int) error {
	return s.roomLocked(n, func() error {
		s.kick()
		s.cond.Wait()
		return nil
	})
}

// roomLocked is reserveLocked; wait is called while there is no next segment, or
// none that is large enough.
func (s *Store) roomLocked(n int, wait func() error) error {
	for s.err == nil {
		need := int64(n + recordLen + len(s.dirty)*(itemLen+stateLen))
		if s.cur.room()-int64(s.end-s.cur.base) >= need {
			return nil
		}
		if want := need + s.checkpointBound(); s.next == nil || s.next.room() < want {
			s.want = max(s.want, want)
			if err := wait(); err != nil {
				return err
			}
			continue
		}
		if s.flushing {
			s.cond.Wait()
			continue
		}
		if err := s.switchLocked(); err != nil {
			return s.fail(err)
		}
	}
	return s.err
}

// beginLocked starts a record behind what is buffered.
func (s *Store) beginLocked() {
	s.start = len(s.buf)
	s.buf = beginRecord(s.buf)
}

// place is where the item that begins at off in the buffer will be.
func (s *Store) place(off int) place {
	pos := s.end + uint64(off-s.start)
	return place{seg: s.cur, off: s.cur.offset(pos), bytes: int64(len(s.buf) - off)}
}

// endLocked completes the record, adding what is dirty. An empty one is dropped.
func (s *Store) endLocked() {
	for i, r := range s.dirty {
		if r.dirty {
			s.stateLocked(r)
		}
		s.dirty[i] = nil
	}
	s.dirty = s.dirty[:0]
	if len(s.buf) == s.start+recordLen {
		s.buf = s.buf[:s.start]
		return
	}
	s.finishLocked()
	s.dataEnd = s.end
}

// finishLocked completes a record, which may be empty.
func (s *Store) finishLocked() {
	endRecord(s.buf, s.start, s.cur.seq, s.end, s.synced)
	s.attested = s.synced
	s.end += uint64(len(s.buf) - s.start)
}

// stateLocked appends the state of a replica.
func (s *Store) stateLocked(r *replica) {
	s.buf = appendState(s.buf, r.id.ShardID, r.id.ReplicaID, r.state, r.compacted)
	r.dirty = false
}

// markLocked lets the state of a replica be written with the next record.
func (s *Store) markLocked(r *replica) {
	if !r.dirty {
		r.dirty = true
		s.dirty = append(s.dirty, r)
	}
}

// entriesLocked appends entries in items and notes where they are.
func (s *Store) entriesLocked(r *replica, entries []pb.Entry) error {
	if first := entries[0].Index; first > r.last+1 {
		return fmt.Errorf("entries of %s begin at %d, the log ends at %d", name(r.id), first, r.last)
	}
	for len(entries) > 0 {
		off, first, n := len(s.buf), entries[0].Index, 0
		s.buf = beginItem(s.buf, itemEntries, 0, r.id.ShardID, r.id.ReplicaID, first, 0)
		for n < len(entries) && len(s.buf)-off < maxItemBytes && n < 1000 {
			s.buf = appendEntry(s.buf, &entries[n])
			n++
		}
		s.endEntries(off, uint32(n))
		r.append(first, uint32(n), s.place(off))
		entries = entries[n:]
	}
	return nil
}

func (s *Store) endEntries(off int, count uint32) {
	putCount(s.buf[off:], count)
	s.buf = endItem(s.buf, off)
}

// syncLocked returns when the log is durable up to pos. The first of several
// callers writes and syncs for all of them.
func (s *Store) syncLocked(pos uint64) error {
	for s.err == nil && s.synced < pos {
		if s.flushing {
			s.cond.Wait()
			continue
		}
		s.flushLocked(true)
	}
	return s.err
}

// Sync makes durable what has been written, while others go on writing. After an
// error the store has failed.
func (s *Store) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.synced >= s.written {
		return s.err
	}
	seg, end := s.cur, s.written
	seg.refs++
	s.mu.Unlock()
	err := s.syncFile(seg)
	s.mu.Lock()
	seg.refs--
	if err != nil {
		return s.fail(err)
	}
	s.synced = max(s.synced, end) // a change of segment may have been faster
	s.cond.Broadcast()
	return nil
}

// syncOften is the goroutine behind Options.SyncInterval.
func (s *Store) syncOften() {
	defer s.stopped.Done()
	t := time.NewTicker(s.o.SyncInterval)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			if s.Sync() != nil {
				return // the store has failed, whoever saves is told
			}
		}
	}
}

// writeLocked returns when the log is written up to pos, durably or not.
func (s *Store) writeLocked(pos uint64) error {
	for s.err == nil && s.written < pos {
		if s.flushing {
			s.cond.Wait()
			continue
		}
		s.flushLocked(false)
	}
	return s.err
}

// flushLocked writes the buffer, without the mutex, and syncs if asked to.
func (s *Store) flushLocked(sync bool) {
	buf, seg, at, end := s.buf, s.cur, s.written, s.end
	s.buf, s.idle = s.idle[:0], nil
	s.flushing = true
	s.meanWrite += (len(buf) - s.meanWrite) / 8
	s.bursts = s.bursts || len(buf) > maxIdleBuffer
	s.mu.Unlock()
	err := s.writeOut(seg, buf, at, sync)
	s.mu.Lock()
	s.flushing = false
	if cap(buf) <= maxBusyBuffer {
		s.idle = buf[:0]
	}
	if err != nil {
		s.fail(err)
	} else if s.written = end; sync {
		s.synced = end
	}
	s.cond.Broadcast()
}

func (s *Store) writeOut(seg *segment, buf []byte, pos uint64, sync bool) error {
	if len(buf) > 0 {
		if _, err := seg.file.WriteAt(buf, seg.offset(pos)); err != nil {
			return fmt.Errorf("write segment %x: %w", seg.seq, err)
		}
		s.stats.written.Add(uint64(len(buf)))
	}
	if !sync {
		return nil
	}
	return s.syncFile(seg)
}

func (s *Store) syncFile(seg *segment) error {
	began := time.Now()
	if err := seg.file.Sync(); err != nil {
		return fmt.Errorf("sync segment %x: %w", seg.seq, err)
	}
	if s.o.OnSync != nil {
		s.o.OnSync(time.Since(began))
	}
	return nil
}

// switchLocked makes the next segment the one in use. It holds the mutex for
// three syncs, once per segment. What was saved before is durable first, then the
// checkpoint, alone: an unreadable one with records behind it is damage.
func (s *Store) switchLocked() error {
	if err := s.writeOut(s.cur, s.buf, s.written, true); err != nil {
		return err
	}
	s.buf, s.written, s.synced = s.buf[:0], s.end, s.end
	s.cur.end = s.end
	s.cur, s.next = s.next, nil
	s.cur.base = s.end
	s.segs = append(s.segs, s.cur)
	if err := s.checkpointLocked(); err != nil {
		return err
	}
	s.kick()
	s.cond.Broadcast()
	return nil
}

// checkpointLocked writes what is known of all replicas, durably.
func (s *Store) checkpointLocked() error {
	s.beginLocked()
	off := len(s.buf)
	s.buf = beginItem(s.buf, itemCheckpoint, 0, 0, 0, 0, uint32(len(s.replicas)))
	s.buf = endItem(s.buf, off)
	for _, r := range s.replicas {
		s.metaLocked(r)
	}
	s.finishLocked()
	if err := s.writeOut(s.cur, s.buf, s.written, true); err != nil {
		return err
	}
	s.buf, s.written, s.synced = s.buf[:0], s.end, s.end
	return nil
}

func (s *Store) metaLocked(r *replica) {
	shard, id := r.id.ShardID, r.id.ReplicaID
	off := len(s.buf)
	s.buf = beginItem(s.buf, itemRange, 0, shard, id, r.last, 0)
	s.buf = endItem(s.buf, off)
	s.stateLocked(r)
	if r.snapshot != nil {
		s.buf = appendBlob(s.buf, itemSnapshot, 0, shard, id, r.snapIndex, r.snapshot)
	}
	if r.bootstrap != nil {
		s.buf = appendBlob(s.buf, itemBootstrap, 0, shard, id, 0, r.bootstrap)
	}
}

// checkpointBound is the most a checkpoint can take.
func (s *Store) checkpointBound() int64 {
	n := recordLen + itemLen
	for _, r := range s.replicas {
		n += 4*itemLen + stateLen + 16 + len(r.snapshot) + len(r.bootstrap)
	}
	return int64(n)
}

// fail makes err the end of the store: what is not known to be durable must not
// be acknowledged, and a sync that failed once tells nothing when it is repeated.
func (s *Store) fail(err error) error {
	if s.err == nil {
		s.err = fmt.Errorf("raft log in %s: %w: what was saved last may not be on disk, so the process must stop; check the disk before the next start", s.o.Dir, err)
		s.cond.Broadcast()
	}
	return s.err
}
