package reconcile

import (
	"context"
	"sync"
	"time"
)

// calls runs calls to nodes beside the loop: one at a time per key, and none again before a pause.
type calls[K comparable] struct {
	pause   time.Duration
	mu      sync.Mutex
	running map[K]bool
	last    map[K]time.Time
	done    sync.WaitGroup
}

func newCalls[K comparable](pause time.Duration) *calls[K] {
	return &calls[K]{pause: pause, running: map[K]bool{}, last: map[K]time.Time{}}
}

func (c *calls[K]) start(ctx context.Context, key K, now time.Time, f func(context.Context)) {
	if !c.begin(key, now) {
		return
	}
	go func() {
		defer c.end(key)
		f(ctx)
	}()
}

func (c *calls[K]) begin(key K, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, called := c.last[key]; c.running[key] || called && now.Sub(at) < c.pause {
		return false
	}
	for k, at := range c.last { // keys of the past are forgotten once they do not matter
		if now.Sub(at) >= c.pause {
			delete(c.last, k)
		}
	}
	c.running[key], c.last[key] = true, now
	c.done.Add(1)
	return true
}

func (c *calls[K]) end(key K) {
	c.mu.Lock()
	delete(c.running, key)
	c.mu.Unlock()
	c.done.Done()
}

func (c *calls[K]) wait() { c.done.Wait() }

// idle reports whether nothing is running.
func (c *calls[K]) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.running) == 0
}
