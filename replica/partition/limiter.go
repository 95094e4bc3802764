package partition

import (
	"sync"
	"time"
)

// Limiter spreads snapshot traffic of a node over time. All partitions of a
// node share one. The zero Limiter and nil do not limit.
type Limiter struct {
	bytesPerSec int64

	mu   sync.Mutex
	free time.Time // when what has been let through so far is paid for
}

// NewLimiter makes a limiter; 0 = unlimited.
func NewLimiter(bytesPerSec int64) *Limiter { return &Limiter{bytesPerSec: bytesPerSec} }

// wait blocks until n more bytes may go. It returns false if stop closes first.
func (l *Limiter) wait(n int, stop <-chan struct{}) bool {
	select {
	case <-stop:
		return false
	default:
	}
	if l == nil || l.bytesPerSec <= 0 {
		return true
	}
	pause := l.reserve(n, time.Now())
	if pause <= 0 {
		return true
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-stop:
		return false
	case <-t.C:
		return true
	}
}

func (l *Limiter) reserve(n int, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free.Before(now) {
		l.free = now
	}
	pause := l.free.Sub(now)
	l.free = l.free.Add(time.Duration(n) * time.Second / time.Duration(l.bytesPerSec))
	return pause
}
