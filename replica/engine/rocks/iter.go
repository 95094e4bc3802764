package rocks

// #cgo noescape arion_iter_next
// #cgo nocallback arion_iter_next
// #cgo noescape arion_multi_get
// #cgo nocallback arion_multi_get
// #include "shim.h"
import "C"

import (
	"bytes"
	"sync"
	"unsafe"

	"github.com/arionkv/arion/replica/engine"
)

type iter struct {
	s  *store
	id uint64

	mu sync.Mutex
	c  *C.arion_iter // nil once closed
	// room grows with the pages asked for, so that a short scan allocates
	// little and a long one crosses rarely.
	roomBytes, roomRows int
}

// The first page's room fits a typical hash key, and as many rows as anybody asks for
// at once: they take 12 bytes each. The largest keeps one crossing under about a
// millisecond.
const (
	firstRoomBytes, maxRoomBytes = 4 << 10, 1 << 20
	firstRoomRows, maxRoomRows   = 1024, 8192
	roomGrowth                   = 4
)

// NewIter implements engine.Engine.
func (s *store) NewIter(o engine.IterOptions) (engine.Iter, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	o.Lower, o.Upper = bytes.Clone(o.Lower), bytes.Clone(o.Upper)
	it := &iter{s: s, roomBytes: firstRoomBytes, roomRows: firstRoomRows}
	it.c = C.arion_iter_new(s.c, ptr(o.Lower), C.size_t(len(o.Lower)), ptr(o.Upper), C.size_t(len(o.Upper)),
		flag(o.Upper != nil), flag(o.Reverse), flag(o.Bulk), C.uint32_t(max(o.ValuePrefix, 0)))
	it.id = s.iters.Add(o, it.free)
	return it, nil
}

// Next implements engine.Iter.
func (it *iter) Next(maxRows, maxBytes int, p *engine.Page) error {
	p.Reset()
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.c == nil {
		return engine.ErrClosed
	}
	maxRows, maxBytes = max(maxRows, 1), max(maxBytes, 1)
	room := min(maxBytes, it.roomBytes)
	for {
		buf, rows := p.UnsafeReserve(room, min(maxRows, it.roomRows))
		rows = rows[:min(len(rows), maxRows)]
		var used C.size_t
		r := C.arion_iter_next(it.c, C.size_t(len(rows)), C.size_t(maxBytes), ptr(buf), C.size_t(len(buf)), rowPtr(rows), &used)
		if r.code == C.ARION_TOO_SMALL {
			room = int(r.n)
			continue
		}
		if err := it.s.take("iterate", r); err != nil {
			return err
		}
		p.UnsafeCommit(int(used), int(r.n))
		// A page that has been used before has more room than asked for; the next one
		// shall have more than that.
		it.roomBytes = min(max(it.roomBytes, int(used))*roomGrowth, maxRoomBytes)
		it.roomRows = min(it.roomRows*roomGrowth, maxRoomRows)
		return nil
	}
}

// Close implements engine.Iter.
func (it *iter) Close() {
	it.free()
	it.s.iters.Remove(it.id)
}

func (it *iter) free() {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.c != nil {
		C.arion_iter_free(it.c)
		it.c = nil
	}
}

// valueGuess is the room MultiGet reserves per key before it knows.
const valueGuess = 128

// MultiGet implements engine.Engine.
func (s *store) MultiGet(keys [][]byte, p *engine.Page) error {
	p.Reset()
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if len(keys) == 0 {
		return nil
	}
	packed, lens := p.UnsafePack(keys)
	buf, rows := p.UnsafeReserve(valueGuess*len(keys), len(keys))
	var held *C.arion_values
	r := C.arion_multi_get(s.c, ptr(packed), (*C.uint32_t)(unsafe.SliceData(lens)), C.size_t(len(keys)),
		ptr(buf), C.size_t(len(buf)), rowPtr(rows), &held)
	if err := s.take("multi-get", r); err != nil {
		return err
	}
	if r.code == C.ARION_TOO_SMALL {
		buf, rows = p.UnsafeReserve(int(r.n), len(keys))
		C.arion_values_copy(held, ptr(buf), rowPtr(rows))
	}
	p.UnsafeCommit(int(r.n), len(keys))
	return nil
}

// rowPtr relies on engine.Row and arion_row having one layout.
func rowPtr(rows []engine.Row) *C.arion_row {
	return (*C.arion_row)(unsafe.Pointer(unsafe.SliceData(rows)))
}

var _ = [1]struct{}{}[unsafe.Sizeof(engine.Row{})-unsafe.Sizeof(C.arion_row{})]

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
