package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"sync"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

const (
	// firstRead is what is read of an unknown item at first; a small one is whole
	// then. readAhead is what is read when more than one item is wanted.
	firstRead = 4 << 10
	readAhead = 256 << 10
	// maxRuns bounds the items looked up at once, with the mutex held.
	maxRuns = 512
)

// errUnreadable marks an item that is not what the index says.
var errUnreadable = errors.New("damaged")

// run is an item with wanted entries.
type run struct {
	seg  *segment
	off  int64
	next uint64 // entries from here on are elsewhere
}

// window is the part of a segment read last.
type window struct {
	seg *segment
	off int64
	buf []byte
}

// reader is what a call to IterateEntries needs.
type reader struct {
	win  window
	runs []run
	pins []*segment
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// IterateEntries implements raftio.ILogDB: entries [low, high) that follow one
// another, up to and with the one that makes them larger than maxSize. One entry
// is returned whatever its size.
func (s *Store) IterateEntries(ents []pb.Entry, size, shard, id, low, high, maxSize uint64) ([]pb.Entry, uint64, error) {
	rd := readers.Get().(*reader)
	defer rd.release()
	for low < high {
		if err := s.lookUp(rd, key(shard, id), low, high); err != nil || len(rd.runs) == 0 {
			return ents, size, err
		}
		before := low
		err := rd.read(key(shard, id), low, high, func(e *pb.Entry) bool {
			ents = append(ents, *e)
			size += uint64(e.SizeUpperLimit())
			low = e.Index + 1
			return size <= maxSize
		})
		s.unpin(rd)
		if err != nil {
			return nil, 0, fmt.Errorf("raft log in %s: entries of %s from %d: %w", s.o.Dir, name(key(shard, id)), low, err)
		}
		if low == before || size > maxSize {
			break
		}
	}
	return ents, size, nil
}

// lookUp finds the items of the entries from low on, and pins their segments.
func (s *Store) lookUp(rd *reader, id raftio.NodeInfo, low, high uint64) error {
	rd.runs = rd.runs[:0]
	rd.win.seg = nil // it may hold bytes from before they were written
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[id]
	if r == nil || low <= r.compacted {
		return nil
	}
	high = min(high, r.last+1)
	pos := uint64(0)
	for i := r.search(low); i < len(r.pages) && low < high && len(rd.runs) < maxRuns; i++ {
		p := &r.pages[i]
		if p.first > low {
			break
		}
		p.seg.refs++
		rd.pins = append(rd.pins, p.seg)
		for j := p.find(low); j < len(p.offs) && low < high && len(rd.runs) < maxRuns; j++ {
			low = p.runEnd(j)
			rd.runs = append(rd.runs, run{p.seg, int64(p.offs[j]) * 8, low})
			pos = max(pos, p.seg.base+uint64(int64(p.offs[j])*8-headerLen)+1)
		}
	}
	if pos > s.written { // moved just now
		if err := s.writeLocked(s.end); err != nil {
			s.unpinLocked(rd)
			return err
		}
	}
	return nil
}

func (s *Store) unpin(rd *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unpinLocked(rd)
}

func (s *Store) unpinLocked(rd *reader) {
	for _, g := range rd.pins {
		if g.refs--; g.refs == 0 && g.live == 0 {
			s.kick()
		}
	}
	rd.pins = rd.pins[:0]
}

func (rd *reader) release() {
	rd.win.seg = nil
	if cap(rd.win.buf) <= 2*readAhead {
		readers.Put(rd)
	}
}

// read decodes the entries of the items found, from low on and below high.
func (rd *reader) read(id raftio.NodeInfo, low, high uint64, f func(*pb.Entry) bool) error {
	if len(rd.runs) > 1 {
		rd.win.grow(readAhead)
	}
	for _, run := range rd.runs {
		payload, err := rd.win.item(run.seg, run.off, id, low)
		if err != nil {
			return err
		}
		more := true
		end := min(run.next, high)
		err = eachEntry(payload, func(e *pb.Entry, _ []byte) bool {
			if e.Index == low && low < end {
				low++
				more = f(e)
			}
			return more && low < end
		})
		if err == nil && more && low != end {
			err = fmt.Errorf("entry %d: %w: it is not in its record", low, errUnreadable)
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (w *window) grow(n int) {
	if cap(w.buf) < n {
		w.buf = make([]byte, 0, n)
		w.seg = nil
	}
}

// item returns the payload of the item at off, which holds the entry at index.
func (w *window) item(seg *segment, off int64, id raftio.NodeInfo, index uint64) ([]byte, error) {
	w.grow(firstRead)
	at := func(n int) []byte { // n bytes at off
		if w.seg == seg && off >= w.off && off+int64(n) <= w.off+int64(len(w.buf)) {
			return w.buf[off-w.off:][:n]
		}
		return nil
	}
	load := func(n int) error {
		w.grow(n)
		n = int(min(int64(cap(w.buf)), seg.size-off))
		w.seg, w.off, w.buf = seg, off, w.buf[:max(n, 0)]
		_, err := seg.file.ReadAt(w.buf, off)
		return err
	}
	h := at(itemLen)
	if h == nil {
		if err := load(itemLen); err != nil {
			return nil, err
		}
		if h = at(itemLen); h == nil {
			return nil, damagedItem(seg, off)
		}
	}
	it := itemHeader(h)
	n := int64(payloadLen(h))
	if (it.kind != itemEntries && it.kind != itemMoved) || key(it.shard, it.replica) != id ||
		index < it.index || index-it.index >= uint64(it.count) || n > seg.size-off-itemLen {
		return nil, damagedItem(seg, off)
	}
	p := at(itemLen + int(n))
	if p == nil {
		if err := load(itemLen + int(n)); err != nil {
			return nil, err
		}
		if p = at(itemLen + int(n)); p == nil {
			return nil, damagedItem(seg, off)
		}
	}
	if crc32.Checksum(p[itemLen:], castagnoli) != it.crc {
		return nil, damagedItem(seg, off)
	}
	return p[itemLen:], nil
}

func damagedItem(seg *segment, off int64) error {
	return fmt.Errorf("%s at byte %d: %w", segmentName(seg.seq), off, errUnreadable)
}

// Holds reports whether dir is that of a log: that has segments, whatever else is
// missing.
func Holds(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		_, ok := parseName(e.Name())
		return ok || e.Name() == manifestFile
	})
}

// Each hands the entries of all replicas to f, in order of shard, replica and
// index, from an index on. shard limits them to one, 0 = all.
func (s *Store) Each(shard, from uint64, f func(shard, replica uint64, e *pb.Entry) error) error {
	s.mu.Lock()
	ids := s.ids()
	s.mu.Unlock()
	for _, id := range ids {
		if shard != 0 && id.ShardID != shard {
			continue
		}
		if err := s.eachOf(id, from, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eachOf(id raftio.NodeInfo, from uint64, f func(shard, replica uint64, e *pb.Entry) error) error {
	s.mu.Lock()
	low, high := max(from, s.replicas[id].compacted+1), s.replicas[id].last+1
	s.mu.Unlock()
	for low < high {
		ents, _, err := s.IterateEntries(nil, 0, id.ShardID, id.ReplicaID, low, high, 1<<20)
		if err != nil {
			return err
		}
		if len(ents) == 0 {
			return nil
		}
		for i := range ents {
			if err := f(id.ShardID, id.ReplicaID, &ents[i]); err != nil {
				return err
			}
		}
		low = ents[len(ents)-1].Index + 1
	}
	return nil
}
