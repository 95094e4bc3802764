package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/lni/dragonboat/v4/raftio"
)

// Open opens the log in a directory, or makes one. A damaged log is refused with
// a *DamageError.
func Open(o Options) (*Store, error) {
	s, err := newStore(o, false)
	if err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	s.stopped.Add(1)
	go s.keep()
	if o.SyncInterval > 0 {
		s.stopped.Add(1)
		go s.syncOften()
	}
	return s, nil
}

// OpenReadOnly opens the log of a stopped node to look at it. Saving is not
// possible, Close must be called.
func OpenReadOnly(dir string) (*Store, error) {
	s, err := newStore(Options{Dir: dir, MustExist: true}, true)
	if err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, s.closeFiles())
	}
	s.err = errors.New("raft log is open for reading only")
	return s, nil
}

func newStore(o Options, readOnly bool) (*Store, error) {
	s := &Store{
		o: o, disk: o.disk, replicas: map[raftio.NodeInfo]*replica{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	s.cond = sync.NewCond(&s.mu)
	if s.disk == nil {
		if !readOnly {
			if err := os.MkdirAll(o.Dir, 0o755); err != nil {
				return nil, err
			}
		}
		s.disk = dirDisk{dir: o.Dir, readOnly: readOnly}
	}
	return s, nil
}

// Close writes what is in memory only, syncs and closes. It must be the last
// call. It is idempotent.
func (s *Store) Close() (err error) {
	s.close.Do(func() {
		close(s.stop)
		s.stopped.Wait()
		s.mu.Lock()
		if s.err == nil {
			err = s.finishUp()
		}
		s.mu.Unlock()
		err = errors.Join(err, s.closeFiles())
	})
	return err
}

// finishUp makes everything durable, then says so in a record: whatever is
// unreadable at the next open is damage.
func (s *Store) finishUp() error {
	if err := s.syncLocked(s.end); err != nil {
		return err
	}
	for range 2 {
		if len(s.dirty) == 0 && s.attested >= s.dataEnd {
			break
		}
		if err := s.keeperRoomLocked(0); err != nil {
			return s.err // without space the rest is left out, it may be
		}
		s.fillLocked()
		if err := s.syncLocked(s.end); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) closeFiles() (err error) {
	for _, g := range s.segs {
		err = closeFile(g.file, err)
	}
	if s.next != nil {
		err = closeFile(s.next.file, err)
	}
	return err
}

func (s *Store) damage(file string, offset int64, format string, args ...any) error {
	return &DamageError{Dir: s.o.Dir, File: file, Offset: offset, Found: fmt.Sprintf(format, args...)}
}

// open recovers the log and makes it fit for writing.
func (s *Store) open() error {
	err := s.recover()
	if errors.Is(err, fs.ErrNotExist) && !s.o.MustExist {
		err = s.create()
	}
	if err != nil {
		return err
	}
	if err := s.removeUnlisted(); err != nil {
		return err
	}
	s.listLocked()
	s.stats.live.Store(uint64(s.liveLocked()))
	return s.cleanEnd()
}

// create makes the first segment. A crash before the list of segments exists
// leaves nothing behind that counts.
func (s *Store) create() error {
	s.end = 8 // 0 means no position
	s.written, s.synced = s.end, s.end
	g, err := s.makeSegment(1, s.segmentSize(1))
	if err != nil {
		return fmt.Errorf("create raft log: %w", err)
	}
	g.base = s.end
	s.cur, s.segs = g, []*segment{g}
	if err := s.checkpointLocked(); err != nil {
		return err
	}
	return s.writeManifest(s.listLocked())
}

// removeUnlisted removes what a crash left of segments being made or freed.
func (s *Store) removeUnlisted() error {
	names, err := s.disk.List()
	if err != nil {
		return err
	}
	for _, n := range names {
		seq, ok := parseName(n)
		if ok && seq > s.cur.seq && !s.lists(seq) {
			if err := s.checkNewer(n, seq); err != nil {
				return err
			}
		}
		if ok && !s.lists(seq) || n == sparePrefix+"new" {
			if err := s.disk.Remove(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkNewer makes sure that a file newer than all that are listed is not in use:
// the list would be an old copy.
func (s *Store) checkNewer(n string, seq uint64) error {
	f, err := s.disk.Open(n)
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err == nil {
		var data []byte
		if data, err = readSegment(&segment{file: f, seq: seq, size: size}, nil); err == nil && nextRecord(data, seq, headerLen, 0) >= 0 {
			err = s.damage(manifestFile, -1, "it does not list %s, which is in use: it is an old copy", n)
		}
	}
	return closeFile(f, err)
}

func (s *Store) lists(seq uint64) bool {
	for _, g := range s.segs {
		if g.seq == seq {
			return true
		}
	}
	return s.next != nil && s.next.seq == seq
}

func parseName(n string) (seq uint64, ok bool) {
	if !strings.HasSuffix(n, ".log") || len(n) != len(segmentName(0)) {
		return 0, false
	}
	_, err := fmt.Sscanf(n, "%016x.log", &seq)
	return seq, err == nil
}

// cleanEnd makes durable what was read and not known to be so, and clears what a
// crash tore behind it: it could seem to belong to a record written there later.
func (s *Store) cleanEnd() error {
	if s.torn > s.end {
		if err := fill(s.cur.file, s.cur.offset(s.end), s.cur.offset(s.torn)); err != nil {
			return err
		}
	}
	if err := s.cur.file.Sync(); err != nil {
		return err
	}
	s.dataEnd = s.end
	return nil
}

// recover reads the whole log. Nothing is written.
func (s *Store) recover() error {
	raw, err := s.disk.ReadFile(manifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s.noManifest(err)
	}
	if err != nil {
		return err
	}
	m, err := decodeManifest(raw)
	var newer newerFormatError
	switch {
	case errors.As(err, &newer):
		return fmt.Errorf("%s: %w", s.o.Dir, err)
	case err != nil:
		return s.damage(manifestFile, -1, "the list of segments cannot be read: %v", err)
	}
	if err := s.openSegments(m); err != nil {
		return err
	}
	if err := s.scanAll(); err != nil {
		return s.survey(err)
	}
	s.written, s.synced = s.end, s.end
	return s.checkReplicas()
}

// noManifest tells an empty directory from one that has lost its list.
func (s *Store) noManifest(err error) error {
	names, e := s.disk.List()
	if e != nil && !errors.Is(e, fs.ErrNotExist) {
		return e
	}
	for _, n := range names {
		// Segment 1 alone may be the trace of a crash while the log was made.
		if seq, ok := parseName(n); ok && (s.o.MustExist || seq != 1) {
			return s.damage(manifestFile, -1, "the list of segments is missing, but there is %s", n)
		}
	}
	if s.o.MustExist {
		return s.damage(manifestFile, -1, "there is no log, although there was one")
	}
	return err
}

func (s *Store) openSegments(m manifest) error {
	for _, l := range m.Segments {
		n := segmentName(l.Seq)
		f, err := s.disk.Open(n)
		if errors.Is(err, fs.ErrNotExist) {
			return s.damage(n, -1, "the file is missing")
		}
		if err != nil {
			return err
		}
		s.segs = append(s.segs, &segment{file: f, seq: l.Seq, size: l.Size, end: l.End})
		size, err := f.Size()
		if err != nil {
			return err
		}
		if size != l.Size {
			return s.damage(n, -1, "the file has %d bytes and was made with %d", size, l.Size)
		}
		h := make([]byte, headerLen)
		if _, err := f.ReadAt(h, 0); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: %w", n, err)
		}
		err = checkHeader(h, l.Seq, l.Size)
		var newer newerFormatError
		if errors.As(err, &newer) {
			return fmt.Errorf("%s: %w", n, err)
		}
		if err != nil {
			return s.damage(n, 0, "%v", err)
		}
	}
	return nil
}

// scanAll applies the records of all segments. The last one in use becomes cur.
func (s *Store) scanAll() error {
	data, err := s.findLast()
	if err != nil {
		return err
	}
	for i, g := range s.segs {
		if data, err = readSegment(g, data); err != nil {
			return err
		}
		if g.base = firstPos(data, g.seq); g.base == 0 {
			return s.damage(segmentName(g.seq), headerLen, "the first record is unreadable")
		}
		if i > 0 && g.base < s.segs[i-1].end {
			return s.damage(segmentName(g.seq), headerLen, "its records are older than those of the segment before")
		}
		if err := s.scan(g, data); err != nil {
			return err
		}
	}
	s.cur = s.segs[len(s.segs)-1]
	return nil
}

// findLast finds out which segment was written last: the list of segments says of
// all but the last two where they end. The last may have been prepared only.
// It returns a buffer for the largest segment.
func (s *Store) findLast() ([]byte, error) {
	n := len(s.segs) - 1
	g := s.segs[n]
	data, err := readSegment(g, nil)
	if err != nil {
		return nil, err
	}
	base := firstPos(data, g.seq)
	if base == 0 {
		// A checkpoint is durable before anything is written behind it.
		if n == 0 || s.segs[n-1].end != 0 || nextRecord(data, g.seq, headerLen, 0) >= 0 {
			return nil, s.damage(segmentName(g.seq), headerLen, "the first record is unreadable")
		}
		s.segs, s.next = s.segs[:n], g
		n--
	} else if n > 0 && s.segs[n-1].end == 0 {
		s.segs[n-1].end = base
	}
	for _, g := range s.segs[:n] {
		if g.end == 0 {
			return nil, s.damage(manifestFile, -1, "it does not say where segment %x ends", g.seq)
		}
	}
	return data, nil
}

func readSegment(g *segment, buf []byte) ([]byte, error) {
	if int64(cap(buf)) < g.size {
		buf = make([]byte, g.size)
	}
	buf = buf[:g.size]
	if _, err := g.file.ReadAt(buf, 0); err != nil && !errors.Is(err, io.EOF) {
		return buf, fmt.Errorf("read %s: %w", segmentName(g.seq), err)
	}
	return buf, nil
}

// firstPos is the position of a segment's first record, 0 if there is none.
func firstPos(data []byte, seq uint64) uint64 {
	if len(data) < headerLen+recordLen {
		return 0
	}
	pos := binary.LittleEndian.Uint64(data[headerLen+16:])
	if _, _, err := parseRecord(data[headerLen:], seq, pos); err != nil {
		return 0
	}
	return pos
}

// nextRecord is the offset of the first valid record from off on. base is the
// position of the segment's first record, 0 = unknown.
func nextRecord(data []byte, seq uint64, off int, base uint64) int {
	for ; off+recordLen <= len(data); off += 8 {
		if binary.LittleEndian.Uint32(data[off:]) != recordMagic {
			continue
		}
		pos := binary.LittleEndian.Uint64(data[off+16:])
		if base != 0 && pos != base+uint64(off-headerLen) {
			continue
		}
		if _, _, err := parseRecord(data[off:], seq, pos); err == nil {
			return off
		}
	}
	return -1
}

// scan applies the records of a segment up to its end. Where that is not known,
// the log ends with the last record that can be read, unless one behind it proves
// that there was another.
func (s *Store) scan(g *segment, data []byte) error {
	pos, off := g.base, headerLen
	for g.end == 0 || pos < g.end {
		n, _, err := parseRecord(data[off:], g.seq, pos)
		if err != nil {
			break
		}
		if err := s.apply(data[off:off+n], g, off); err != nil {
			return s.damage(segmentName(g.seq), int64(off), "%v", err)
		}
		off, pos = off+n, pos+uint64(n)
	}
	s.end = pos
	if g.end != 0 {
		if pos != g.end {
			return s.damage(segmentName(g.seq), int64(off), "the record is unreadable, the log goes on for %d bytes", int64(g.end-pos))
		}
		return nil
	}
	for at := nextRecord(data, g.seq, off, g.base); at >= 0; {
		n, synced, _ := parseRecord(data[at:], g.seq, g.base+uint64(at-headerLen))
		if synced > pos {
			return s.damage(segmentName(g.seq), int64(off), "the record is unreadable, one at byte %d says that it was there", at)
		}
		s.torn = g.base + uint64(at+n-headerLen)
		at = nextRecord(data, g.seq, at+n, g.base)
	}
	return nil
}

// apply repeats what a record says; it is at off in the segment.
func (s *Store) apply(rec []byte, g *segment, off int) error {
	var listed map[raftio.NodeInfo]bool // by a checkpoint
	err := eachItem(rec, func(it item) error {
		if it.kind == itemCheckpoint {
			listed = make(map[raftio.NodeInfo]bool, it.count)
			return nil
		}
		if listed != nil {
			listed[key(it.shard, it.replica)] = true
		}
		return s.applyItem(it, place{seg: g, off: int64(off + it.off), bytes: int64(itemLen + align(len(it.payload)))})
	})
	if listed != nil {
		for id, r := range s.replicas {
			if !listed[id] {
				r.reset(0)
				delete(s.replicas, id)
			}
		}
	}
	return err
}

func (s *Store) applyItem(it item, at place) error {
	r := s.replicaLocked(key(it.shard, it.replica))
	switch it.kind {
	case itemEntries, itemMoved:
		if it.count == 0 || it.index == 0 || it.index+uint64(it.count) < it.index {
			return fmt.Errorf("%d entries from %d", it.count, it.index)
		}
		if it.kind == itemEntries {
			r.append(it.index, it.count, at)
		} else if it.index+uint64(it.count)-1 <= r.last {
			r.move(it.index, it.count, at)
		}
	case itemState:
		st, compacted, err := parseState(it.payload)
		if err != nil {
			return err
		}
		r.state = st
		r.compact(compacted)
	case itemSnapshot:
		r.snapshot, r.snapIndex = append([]byte(nil), it.payload...), it.index
		if it.flags&flagReset != 0 {
			r.reset(it.index)
		}
	case itemBootstrap:
		r.bootstrap = append([]byte{}, it.payload...)
	case itemRemoved:
		r.reset(0)
		delete(s.replicas, r.id)
	case itemRange:
		// What follows is all there is: of a replica that was removed and made
		// again, where the segment that says so is gone, nothing old may stay.
		r.snapshot, r.snapIndex, r.bootstrap = nil, 0, nil
		r.truncate(it.index + 1)
		r.last = it.index
	default:
		return fmt.Errorf("item of kind %d, which this build does not know", it.kind)
	}
	return nil
}

// checkReplicas makes sure that all entries which are needed are there.
func (s *Store) checkReplicas() error {
	losses := s.losses()
	if len(losses) > 0 {
		e := s.damage(manifestFile, -1, "entries are missing in the segments it lists").(*DamageError)
		e.Lost = losses
		return e
	}
	for id, r := range s.replicas {
		if r.state.Commit > max(r.last, r.snapIndex) {
			return s.damage(segmentName(s.cur.seq), -1, "%s has committed %d, but its log ends at %d", name(id), r.state.Commit, r.last)
		}
	}
	return nil
}

func (s *Store) losses() (losses []Loss) {
	ids := s.ids()
	for _, id := range ids {
		if from, to, missing := s.replicas[id].gap(); missing {
			losses = append(losses, Loss{id.ShardID, id.ReplicaID, from, to})
		}
	}
	return losses
}

func (s *Store) ids() []raftio.NodeInfo {
	ids := make([]raftio.NodeInfo, 0, len(s.replicas))
	for id := range s.replicas {
		ids = append(ids, id)
	}
	sortIDs(ids)
	return ids
}

// survey completes the error of a damaged log with what is lost: all records that
// can be read are applied, and the gaps are counted.
func (s *Store) survey(err error) error {
	var e *DamageError
	if !errors.As(err, &e) {
		return err
	}
	clear(s.replicas)
	var data []byte
	for _, g := range s.segs {
		var rerr error
		if data, rerr = readSegment(g, data); rerr != nil {
			continue
		}
		for off := nextRecord(data, g.seq, headerLen, 0); off >= 0; {
			n, _, perr := parseRecord(data[off:], g.seq, binary.LittleEndian.Uint64(data[off+16:]))
			if perr == nil {
				_ = s.apply(data[off:off+n], g, off) // what cannot be applied is lost
			}
			off = nextRecord(data, g.seq, off+max(n, 8), 0)
		}
	}
	e.Lost, e.Replicas = s.losses(), s.ids()
	return e
}
