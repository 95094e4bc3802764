package rocks

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"sync"

	"github.com/arionkv/arion/replica/engine"
)

// Compact implements engine.Engine.
func (s *store) Compact(ctx context.Context, o engine.CompactOptions) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	to := o.To
	if to == nil {
		to = engine.InternalPrefix
	}
	f := &cancelFlag{c: C.arion_flag_new()}
	defer f.free()
	defer context.AfterFunc(ctx, f.set)()
	defer context.AfterFunc(s.life, f.set)()

	err := s.take("compact", C.arion_compact(s.c, ptr(o.From), C.size_t(len(o.From)), ptr(to), C.size_t(len(to)),
		C.int(o.Bottom), f.c))
	switch {
	case !errors.Is(err, errPaused):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return engine.ErrClosed
	}
}

// cancelFlag outlives neither the compaction nor a context callback that runs
// late.
type cancelFlag struct {
	mu sync.Mutex
	c  *C.arion_flag
}

func (f *cancelFlag) set() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.c != nil {
		C.arion_flag_set(f.c)
	}
}

func (f *cancelFlag) free() {
	f.mu.Lock()
	defer f.mu.Unlock()
	C.arion_flag_free(f.c)
	f.c = nil
}
