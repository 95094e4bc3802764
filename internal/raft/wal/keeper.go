package wal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

const (
	// Segments grow from firstSegmentBytes, so that a node with little to do
	// reserves little, to maxSegmentBytes: a switch costs five syncs, which is
	// nothing beside the writing of 64 MB.
	firstSegmentBytes = 4 << 20
	maxSegmentBytes   = 64 << 20
	// maxSpares is how many freed segments are kept for reuse.
	maxSpares = 2
	// The log may hold as many dead bytes as live ones, and deadSegments full
	// segments of them. Beyond, the emptiest segment is emptied.
	deadSegments = 2
	tick         = time.Second
	// bulkyWrite is what the writes to the log must bring on average for it to be
	// bulky: a segment is then reserved and not filled with zeros. Filling makes syncs
	// of small writes faster, since they need not record in the file system what is in
	// use; with large ones that does not show, and the zeros take as much of the disk
	// as the log.
	bulkyWrite = 256 << 10
	// moveShare of a segment is moved per record, 512 KB: it delays writers once.
	moveShare = 128
)

const sparePrefix = "spare-"

// keep is the goroutine that does what nobody waits for. Its errors are tried
// again: nothing of it has been acknowledged.
func (s *Store) keep() {
	defer s.stopped.Done()
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		case <-t.C:
			s.trim()
			if err := s.attest(); err != nil {
				return // the store has failed, whoever saves is told
			}
		}
		if err := s.tidy(); err != nil {
			s.warn(err)
			select {
			case <-s.stop:
				return
			case <-time.After(tick):
				s.kick()
			}
		}
	}
}

// trim gives back large buffers that have not been used since the last tick.
func (s *Store) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.bursts {
		if cap(s.idle) > maxIdleBuffer {
			s.idle = nil
		}
		if len(s.buf) == 0 && cap(s.buf) > maxIdleBuffer {
			s.buf = nil
		}
	}
	s.bursts = false
}

func (s *Store) warn(err error) {
	if s.o.Log == nil {
		return
	}
	s.mu.Lock()
	waiting := s.want > 0
	s.mu.Unlock()
	l := s.o.Log.WithError(err).WithField("dir", s.o.Dir)
	if waiting {
		l.Error("raft log cannot get space, writes wait until it can")
		return
	}
	l.Warn("raft log cannot prepare or free a segment, tried again")
}

func (s *Store) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// attest writes what is only in memory, and lets a record say that the last one
// was durable: until then, damage to that one looks like a write torn by a crash.
// Nothing is synced.
func (s *Store) attest() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dirty) == 0 && (s.attested >= s.dataEnd || s.synced < s.dataEnd) {
		return s.err
	}
	err := s.keeperRoomLocked(0)
	if err == nil {
		s.fillLocked()
		err = s.writeLocked(s.end)
	}
	if s.err == nil && err != nil {
		return nil // no space; tidy tries again and says so
	}
	return s.err
}

// keeperRoomLocked is reserveLocked for who must not wait for the keeper.
func (s *Store) keeperRoomLocked(n int) error {
	return s.roomLocked(n, func() error {
		s.mu.Unlock()
		defer s.mu.Lock()
		return s.prepare()
	})
}

// fillLocked makes a record of what is dirty, or an empty one.
func (s *Store) fillLocked() {
	s.beginLocked()
	if len(s.dirty) > 0 {
		s.endLocked()
	} else {
		s.finishLocked()
	}
}

// tidy prepares, frees and empties segments as far as it is needed.
func (s *Store) tidy() error {
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.free(); err != nil {
		return err
	}
	for {
		if victim := s.victim(); victim == nil {
			return nil
		} else if err := s.empty(victim); err != nil {
			return err
		}
		if err := errors.Join(s.prepare(), s.free()); err != nil {
			return err
		}
		select {
		case <-s.stop:
			return nil
		default:
		}
	}
}

// prepare makes the next segment when the one in use is half full.
func (s *Store) prepare() error {
	s.mu.Lock()
	seq, want := s.cur.seq+1, s.want
	half := int64(s.end-s.cur.base) > s.cur.room()/2
	old := s.next
	if old != nil && old.room() >= want || old == nil && want == 0 && !half {
		s.mu.Unlock()
		return nil
	}
	s.next = nil
	list := s.listLocked()
	s.mu.Unlock()
	if old != nil { // too small
		if err := s.unlist(list, []*segment{old}); err != nil {
			return err
		}
	}
	size := max(s.segmentSize(seq), roundUp(want+headerLen))
	g, err := s.makeSegment(seq, size)
	if err != nil {
		return fmt.Errorf("prepare segment %x of %d bytes: %w", seq, size, err)
	}
	// It must be in the list before it is used. The segment in use stays the same
	// as long as there is no next one, and only this goroutine frees.
	list.Segments = append(list.Segments, listedFile{Seq: seq, Size: size})
	if err := s.writeManifest(list); err != nil {
		return closeFile(g.file, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.want = g, 0
	s.listLocked()
	s.cond.Broadcast()
	return nil
}

// segmentSize grows with the age of the log.
func (s *Store) segmentSize(seq uint64) int64 {
	return min(s.maxSegment(), max(s.maxSegment()*firstSegmentBytes/maxSegmentBytes, 2*headerLen)<<min(seq-1, 16))
}

func (s *Store) maxSegment() int64 {
	if s.o.maxSegment != 0 {
		return s.o.maxSegment
	}
	return maxSegmentBytes
}

func roundUp(n int64) int64 { return (n + 4095) &^ 4095 }

// makeSegment returns a new segment, from a spare if there is one of that size.
func (s *Store) makeSegment(seq uint64, size int64) (*segment, error) {
	names, err := s.disk.List()
	if err != nil {
		return nil, err
	}
	from, f := sparePrefix+"new", file(nil)
	for _, n := range names {
		if strings.HasPrefix(n, sparePrefix) && n != from {
			if f, err = s.openSized(n, size); err == nil {
				from = n
				break
			}
		}
	}
	if f == nil || err != nil {
		if f, err = s.disk.Create(from); err != nil {
			return nil, err
		}
		if err := s.provide(f, size); err != nil {
			return nil, closeFile(f, errors.Join(err, s.disk.Remove(from)))
		}
	}
	_, err = f.WriteAt(encodeHeader(seq, size), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = s.disk.Rename(from, segmentName(seq))
	}
	if err == nil {
		err = s.disk.SyncDir()
	}
	if err != nil {
		return nil, closeFile(f, err)
	}
	return &segment{file: f, seq: seq, size: size}, nil
}

// provide gives a new segment its space.
func (s *Store) provide(f file, size int64) error {
	s.mu.Lock()
	bulky := s.meanWrite >= bulkyWrite
	s.mu.Unlock()
	if bulky {
		if err := f.Reserve(size); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return fill(f, 0, size)
}

// openSized opens a spare of the right size, other ones are removed.
func (s *Store) openSized(name string, size int64) (file, error) {
	f, err := s.disk.Open(name)
	if err != nil {
		return nil, err
	}
	n, err := f.Size()
	if err == nil && n == size {
		return f, nil
	}
	return nil, errors.Join(closeFile(f, err), s.disk.Remove(name), fs.ErrNotExist)
}

// listLocked is the manifest of what is in use and prepared.
func (s *Store) listLocked() manifest {
	m := manifest{Format: format}
	for _, g := range s.segs {
		m.Segments = append(m.Segments, listedFile{g.seq, g.size, g.end})
	}
	if s.next != nil {
		m.Segments = append(m.Segments, listedFile{Seq: s.next.seq, Size: s.next.size})
	}
	var bytes int64
	for _, l := range m.Segments {
		bytes += l.Size
	}
	s.stats.segments.Store(uint64(len(m.Segments)))
	s.stats.bytes.Store(uint64(bytes))
	return m
}

func (s *Store) writeManifest(m manifest) error {
	if err := s.disk.ReplaceFile(manifestFile, m.encode()); err != nil {
		return fmt.Errorf("list of segments: %w", err)
	}
	return nil
}

// free takes segments out of the log in which nothing is needed. What made them
// so must be durable first: a log with a hole is refused.
func (s *Store) free() error {
	s.mu.Lock()
	s.stats.live.Store(uint64(s.liveLocked()))
	gone, err := s.deadLocked()
	if err != nil || len(gone) == 0 {
		s.mu.Unlock()
		return err
	}
	s.segs = slices.DeleteFunc(s.segs, func(g *segment) bool { return slices.Contains(gone, g) })
	list := s.listLocked()
	s.mu.Unlock()
	return s.unlist(list, gone)
}

// deadLocked returns the segments that nobody needs, nor will after a crash.
func (s *Store) deadLocked() ([]*segment, error) {
	dead := func(g *segment) bool { return g != s.cur && g.live == 0 && g.refs == 0 }
	if !slices.ContainsFunc(s.segs, dead) {
		return nil, nil
	}
	if err := s.keeperRoomLocked(0); err != nil {
		return nil, err
	}
	s.fillLocked()
	var gone []*segment
	for _, g := range s.segs {
		if dead(g) {
			gone = append(gone, g)
		}
	}
	return gone, s.syncLocked(s.end)
}

// unlist writes the list, which gone are not in any more, and removes them. What
// a failure leaves behind is removed at the next open.
func (s *Store) unlist(list manifest, gone []*segment) error {
	if err := s.writeManifest(list); err != nil {
		return errors.Join(err, closeAll(gone))
	}
	return s.recycle(gone)
}

func closeAll(segs []*segment) (err error) {
	for _, g := range segs {
		err = closeFile(g.file, err)
	}
	return err
}

func (s *Store) liveLocked() (live int64) {
	for _, g := range s.segs {
		live += g.live
	}
	return live
}

// recycle renames segments that are not listed any more to spares, or removes
// them.
func (s *Store) recycle(gone []*segment) (err error) {
	for _, g := range gone {
		err = closeFile(g.file, err)
		if names, e := s.disk.List(); e == nil && g.size == s.maxSegment() && spares(names) < maxSpares {
			err = errors.Join(err, s.disk.Rename(segmentName(g.seq), fmt.Sprintf("%s%016x", sparePrefix, g.seq)))
		} else {
			err = errors.Join(err, e, s.disk.Remove(segmentName(g.seq)))
		}
	}
	return err
}

func spares(names []string) (n int) {
	for _, name := range names {
		if strings.HasPrefix(name, sparePrefix) {
			n++
		}
	}
	return n
}

// victim is the segment to empty, nil = none needs to be.
func (s *Store) victim() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := s.segs[:len(s.segs)-1]
	var used int64
	for _, g := range full {
		used += int64(g.end - g.base)
	}
	if len(full) == 0 || s.want > 0 || used <= 2*s.liveLocked()+deadSegments*s.maxSegment() {
		return nil
	}
	g := slices.MinFunc(full, func(a, b *segment) int {
		return cmp.Compare(float64(a.live)/float64(a.size), float64(b.live)/float64(b.size))
	})
	if g.live == 0 { // a reader is in it
		return nil
	}
	return g
}

// empty writes what is needed in a segment to the end of the log.
func (s *Store) empty(victim *segment) error {
	for {
		found, err := s.moveSome(victim)
		if err != nil || !found {
			return err
		}
		select {
		case <-s.stop:
			return nil
		default:
		}
	}
}

// moveBytes is how much the next record of moved entries may take.
func (s *Store) moveBytes() int { return max(int(s.maxSegment()/moveShare), s.moveNeed) }

// moveSome moves entries of one page. They are read under the mutex, up to
// moveBytes: nobody changes the index meanwhile.
func (s *Store) moveSome(victim *segment) (found bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.keeperRoomLocked(s.moveBytes()); err != nil {
		return false, err
	}
	for _, r := range s.replicas {
		for i := range r.pages {
			if r.pages[i].seg == victim {
				return true, s.moveLocked(r, i)
			}
		}
	}
	return false, nil
}

// moveLocked moves what is needed of the page, or the begin of it.
func (s *Store) moveLocked(r *replica, i int) error {
	if r.pages[i].first <= r.compacted {
		r.split(i, r.compacted+1)
		r.drop(i, i+1)
	}
	p := r.pages[i]
	from, to := p.first, p.next
	s.beginLocked()
	room := s.start + recordLen + s.moveBytes()
	s.moveNeed = 0
	var err error
	for from < to {
		run := p.find(from)
		next := min(p.runEnd(run), to)
		if err = s.moveRun(r, &p, run, from, next, room); err != nil {
			break
		}
		from = next
	}
	s.endLocked()
	if errors.Is(err, errNoRoom) { // for this record
		return nil
	}
	return err
}

// errNoRoom: what was reserved for a record is used up.
var errNoRoom = errors.New("no room in the record")

// moveRun appends entries [from, next) of an item as another one, if that ends
// before room.
func (s *Store) moveRun(r *replica, p *page, run int, from, next uint64, room int) error {
	payload, err := s.scratch.item(p.seg, int64(p.offs[run])*8, r.id, from)
	if err != nil {
		return err
	}
	off, n := len(s.buf), uint32(0)
	if need := itemLen + align(len(payload)); off+need > room {
		if off == s.start+recordLen {
			s.moveNeed = need
		}
		return errNoRoom
	}
	s.buf = beginItem(s.buf, itemMoved, 0, r.id.ShardID, r.id.ReplicaID, from, 0)
	err = eachEntry(payload, func(e *pb.Entry, raw []byte) bool {
		if e.Index >= from && e.Index < next {
			s.buf = append(s.buf, raw...)
			n++
		}
		return e.Index+1 < next
	})
	if err == nil && uint64(n) != next-from {
		err = fmt.Errorf("entries %d to %d of %s are not where they should be", from, next-1, name(r.id))
	}
	if err != nil {
		s.buf = s.buf[:off]
		return err
	}
	s.endEntries(off, n)
	r.move(from, n, s.place(off))
	return nil
}
