// Package limit bounds the calls in flight, by number and by bytes.
package limit

import (
	"context"
	"sync"
	"sync/atomic"
)

// Limiter admits calls. The uncontended path is two atomic additions.
type Limiter struct {
	maxCalls, maxBytes int64

	calls, bytes atomic.Int64
	waiting      atomic.Int64

	mu    sync.Mutex
	queue []*waiter // oldest first
}

type waiter struct {
	bytes    int64
	admitted chan struct{}
}

// New makes a limiter; both bounds must be positive.
func New(maxCalls, maxBytes int64) *Limiter {
	return &Limiter{maxCalls: maxCalls, maxBytes: maxBytes}
}

// TryAcquire admits a call of n bytes if there is room and nobody waits for it.
// A call larger than the whole bound is admitted when it is alone.
func (l *Limiter) TryAcquire(n int64) bool {
	return l.waiting.Load() == 0 && l.take(n)
}

func (l *Limiter) take(n int64) bool {
	calls, bytes := l.calls.Add(1), l.bytes.Add(n)
	if calls == 1 || (calls <= l.maxCalls && bytes <= l.maxBytes) {
		return true
	}
	l.calls.Add(-1)
	l.bytes.Add(-n)
	return false
}

// Force admits a call whatever the bound: for the inner steps of a call that was
// admitted, which would wait for themselves otherwise.
func (l *Limiter) Force(n int64) {
	l.calls.Add(1)
	l.bytes.Add(n)
}

// Acquire waits for room, first come first served.
func (l *Limiter) Acquire(ctx context.Context, n int64) error {
	if l.TryAcquire(n) {
		return nil
	}
	w := &waiter{bytes: n, admitted: make(chan struct{})}
	l.mu.Lock()
	l.queue = append(l.queue, w)
	l.waiting.Add(1)
	// A release between the try and the announcement has seen nobody waiting.
	l.admitLocked()
	l.mu.Unlock()
	select {
	case <-w.admitted:
		return nil
	case <-ctx.Done():
		return l.abandon(ctx, w)
	}
}

func (l *Limiter) abandon(ctx context.Context, w *waiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, q := range l.queue {
		if q == w {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			l.waiting.Add(-1)
			// The one behind may be smaller and fit.
			l.admitLocked()
			return ctx.Err()
		}
	}
	return nil // admitted in the same moment
}

// Release gives back what a call of n bytes took.
func (l *Limiter) Release(n int64) {
	l.calls.Add(-1)
	l.bytes.Add(-n)
	if l.waiting.Load() > 0 {
		l.mu.Lock()
		l.admitLocked()
		l.mu.Unlock()
	}
}

func (l *Limiter) admitLocked() {
	n := 0
	for n < len(l.queue) && l.take(l.queue[n].bytes) {
		close(l.queue[n].admitted)
		l.queue[n] = nil
		n++
	}
	l.queue = l.queue[n:]
	l.waiting.Add(int64(-n))
}

// InFlight reads the present load.
func (l *Limiter) InFlight() (calls, bytes int64) { return l.calls.Load(), l.bytes.Load() }
