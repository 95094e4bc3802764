package partition

import (
	"sync"
	"time"

	"github.com/arionkv/arion/replica/engine"
)

// figures asks the engine about itself for reports, once a second while it works
// and seldom while nothing has been written: with hundreds of idle partitions the
// questions took a thirtieth of what the server did.
type figures struct {
	mu      sync.Mutex
	handle  *Handle
	applied uint64
	asked   time.Time
	stats   engine.Stats
}

// restInterval is how old figures of an engine at rest may be.
const restInterval = 10 * time.Second

// size returns the bytes on disk and lets stall see the figures when they are new.
func (f *figures) size(p *Partition) int64 {
	h, err := p.Acquire()
	if err != nil {
		return 0
	}
	defer h.Release()
	f.mu.Lock()
	defer f.mu.Unlock()
	applied, now := p.AppliedIndex(), time.Now()
	if h == f.handle && applied == f.applied && f.resting() && now.Sub(f.asked) < restInterval {
		return int64(f.stats.SizeBytes)
	}
	f.handle, f.applied, f.asked, f.stats = h, applied, now, h.Stats()
	p.stall.look(p, f.stats)
	return int64(f.stats.SizeBytes)
}

// resting reports whether nothing went on in the engine when it was asked.
func (f *figures) resting() bool {
	s := &f.stats
	return s.RunningCompactions == 0 && s.RunningFlushes == 0 && !s.WriteDelayed && !s.WriteStopped && s.BackgroundError == nil
}
