package partition

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/replica/engine"
)

// ErrClosed answers Acquire on a replica that is closed or not open yet.
var ErrClosed = errors.New("partition closed")

// Handle is a use of the engine, which stays open until Release. Do not Close
// it. A snapshot may replace the live engine meanwhile; a Handle keeps showing
// the old one.
type Handle struct {
	engine.Engine
	dir string

	refs  atomic.Int64 // one for being live, one per Acquire; 0 is final
	idle  chan struct{}
	trash bool // the directory goes with the engine
}

func newHandle(e engine.Engine, dir string) *Handle {
	h := &Handle{Engine: e, dir: dir, idle: make(chan struct{})}
	h.refs.Store(1)
	return h
}

// Release ends the use, once per Acquire.
func (h *Handle) Release() {
	if h.refs.Add(-1) == 0 {
		close(h.idle)
	}
}

func (h *Handle) acquire() bool {
	for {
		n := h.refs.Load()
		if n == 0 {
			return false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// shelf holds the live engine of a replica and closes those it replaced.
type shelf struct {
	live atomic.Pointer[Handle]
	log  *logrus.Entry
	wg   sync.WaitGroup // engines being retired
	// patience is how long an engine waits for its users before it is closed
	// under them. They then get engine.ErrClosed, which is safe but unfriendly.
	patience time.Duration
	closing  chan struct{} // closed with the replica: patience shrinks
}

// closingPatience is the patience once the replica closes.
const closingPatience = time.Second

func newShelf(log *logrus.Entry, patience time.Duration) *shelf {
	return &shelf{log: log, patience: patience, closing: make(chan struct{})}
}

// acquire returns the live engine. It takes no lock.
func (s *shelf) acquire() (*Handle, error) {
	for {
		h := s.live.Load()
		if h == nil {
			return nil, ErrClosed
		}
		if h.acquire() {
			return h, nil
		}
	}
}

// replace makes e live and retires its predecessor with its directory.
func (s *shelf) replace(e engine.Engine, dir string) {
	old := s.live.Swap(newHandle(e, dir))
	if old != nil {
		old.trash = true
		s.retire(old)
	}
}

// close retires the live engine and waits for all of them.
func (s *shelf) close() {
	close(s.closing)
	if old := s.live.Swap(nil); old != nil {
		s.retire(old)
	}
	s.wg.Wait()
}

func (s *shelf) retire(h *Handle) {
	h.Release() // that of being live
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		s.waitIdle(h)
		if err := h.Engine.Close(); err != nil {
			s.log.WithError(err).Error("engine closed with an error")
		}
		if h.trash {
			if err := os.RemoveAll(h.dir); err != nil {
				s.log.WithError(err).Warn("replaced engine directory stays until the next start")
			}
		}
	}()
}

func (s *shelf) waitIdle(h *Handle) {
	select {
	case <-h.idle:
		return
	case <-s.closing:
	case <-time.After(s.patience):
	}
	select {
	case <-h.idle:
	case <-time.After(closingPatience):
		s.log.Warn("engine closes under its readers")
	}
}
