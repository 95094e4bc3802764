package rocks

// #cgo noescape arion_get
// #cgo nocallback arion_get
// #cgo noescape arion_apply
// #cgo nocallback arion_apply
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/linxGnu/grocksdb"

	"github.com/arionkv/arion/replica/engine"
)

// store is one open database.
type store struct {
	dir     string
	opener  *Opener
	options *grocksdb.Options
	db      *grocksdb.DB
	c       *C.arion_db
	hook    hook
	iters   engine.IterSet

	// life ends when Close begins; it cancels compactions.
	life context.Context
	end  context.CancelFunc

	// Every call into C holds mu for reading, Close for writing. closed is set
	// first, so that no call queues up behind a Close that waits.
	closed atomic.Bool
	mu     sync.RWMutex
}

var _ engine.Engine = (*store)(nil)

// enter admits a call into C; leave must follow if it returns nil.
func (s *store) enter() error {
	if s.closed.Load() {
		return engine.ErrClosed
	}
	s.mu.RLock()
	if s.closed.Load() {
		s.mu.RUnlock()
		return engine.ErrClosed
	}
	return nil
}

func (s *store) leave() { s.mu.RUnlock() }

// getRoom is the free space Get makes sure of before it crosses: most values fit
// and need no second lookup.
const getRoom = 512

// Get implements engine.Engine.
func (s *store) Get(key, dst []byte) ([]byte, bool, error) {
	if err := s.enter(); err != nil {
		return dst, false, err
	}
	defer s.leave()
	if cap(dst)-len(dst) < getRoom/8 {
		dst = slices.Grow(dst, getRoom)
	}
	for {
		free := dst[len(dst):cap(dst)]
		r := C.arion_get(s.c, ptr(key), C.size_t(len(key)), ptr(free), C.size_t(len(free)))
		switch r.code {
		case C.ARION_OK:
			return dst[:len(dst)+int(r.n)], true, nil
		case C.ARION_NOT_FOUND:
			return dst, false, nil
		case C.ARION_TOO_SMALL:
			dst = slices.Grow(dst, int(r.n))
		default:
			return dst, false, s.take("get", r)
		}
	}
}

// Apply implements engine.Engine.
func (s *store) Apply(b *engine.Batch) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if b.Len() == 0 {
		return nil
	}
	repr := b.Repr()
	r := C.arion_apply(s.c, ptr(repr), C.size_t(len(repr)))
	if err := s.take("apply", r); err != nil {
		return err
	}
	s.opener.keeper.noteActive(uint64(r.n))
	return nil
}

// Flush implements engine.Engine.
func (s *store) Flush() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.take("flush", C.arion_flush(s.c, 1))
}

// SetClock implements engine.Engine.
func (s *store) SetClock(sec uint32) {
	if s.enter() != nil {
		return
	}
	defer s.leave()
	C.arion_set_clock(s.c, C.uint32_t(sec))
}

// Purge implements engine.Purger.
func (s *store) Purge(index, count int32) {
	if s.enter() != nil {
		return
	}
	defer s.leave()
	C.arion_set_owned(s.c, C.uint32_t(index), C.uint32_t(count))
}

// Stats implements engine.Engine.
func (s *store) Stats() engine.Stats {
	if s.enter() != nil {
		return engine.Stats{}
	}
	defer s.leave()
	var c C.arion_stats
	C.arion_get_stats(s.c, &c)
	return engine.Stats{
		SizeBytes:              uint64(c.size_bytes),
		EstimatedKeys:          uint64(c.estimated_keys),
		MemtableBytes:          uint64(c.memtable_bytes),
		MemtableKeys:           uint64(c.memtable_keys),
		TableFiles:             uint64(c.table_files),
		Level0Files:            uint64(c.level0_files),
		TableReaderBytes:       uint64(c.table_reader_bytes),
		PendingCompactionBytes: uint64(c.pending_compaction_bytes),
		RunningCompactions:     uint64(c.running_compactions),
		RunningFlushes:         uint64(c.running_flushes),
		FilterDropped:          uint64(c.filter_dropped),
		WriteDelayed:           c.write_delayed != 0,
		WriteStopped:           c.write_stopped != 0,
		OpenIters:              s.iters.Len(),
		BackgroundError:        s.take("background", C.arion_background_error(s.c)),
	}
}

// Close implements engine.Engine.
func (s *store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	// 1. Calls inside end: compactions are cancelled, the others are short.
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	// 2. Iterators would outlive what they point to.
	itersErr := s.iters.CloseAll(s.dir)
	// 3. RocksDB would flush too, but swallow the error.
	flushErr := s.take("close: flush", C.arion_flush(s.c, 1))
	// 4. The database waits for its background work, and only then may its
	// filter, listener and options go.
	s.db.Close()
	C.arion_db_free(s.c)
	s.hook.free()
	s.options.Destroy()
	s.opener.forget(s)
	return errors.Join(itersErr, flushErr)
}

// ptr is the address of b's first byte for the duration of a call; C looks at
// it only if the length beside it is positive.
func ptr(b []byte) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }
