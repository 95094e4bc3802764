package client

import (
	"sync"
	"sync/atomic"
)

// executor runs callbacks on a few goroutines, started when there is something
// to run. A nil executor runs them where they are submitted.
type executor struct {
	max     int
	backlog atomic.Int64

	mu      sync.Mutex
	work    sync.Cond
	queue   []runner // queue[head:] waits
	head    int
	workers int
	idle    int
	closed  bool
}

type runner interface{ run() }

func newExecutor(workers int) *executor {
	if workers == 0 {
		return nil
	}
	e := &executor{max: workers}
	e.work.L = &e.mu
	return e
}

func (e *executor) submit(r runner) {
	if e == nil {
		r.run()
		return
	}
	e.mu.Lock()
	if e.closed && e.workers == 0 {
		e.mu.Unlock()
		r.run()
		return
	}
	e.queue = append(e.queue, r)
	e.backlog.Add(1)
	switch {
	case e.idle > 0:
		e.work.Signal()
	case e.workers < e.max:
		e.workers++
		go e.worker()
	}
	e.mu.Unlock()
}

func (e *executor) worker() {
	e.mu.Lock()
	for {
		for e.head == len(e.queue) {
			e.queue, e.head = e.queue[:0], 0
			if e.closed {
				e.workers--
				e.mu.Unlock()
				return
			}
			e.idle++
			e.work.Wait()
			e.idle--
		}
		r := e.queue[e.head]
		e.queue[e.head] = nil
		e.head++
		e.compactLocked()
		e.mu.Unlock()
		e.backlog.Add(-1)
		r.run()
		e.mu.Lock()
	}
}

// compactLocked keeps the queue from growing by what has been taken off.
func (e *executor) compactLocked() {
	if e.head < 1024 || e.head < len(e.queue)/2 {
		return
	}
	n := copy(e.queue, e.queue[e.head:])
	clear(e.queue[n:])
	e.queue, e.head = e.queue[:n], 0
}

// close lets the workers go when the queue is empty. It does not wait: it may be
// called from a callback.
func (e *executor) close() {
	if e == nil {
		return
	}
	e.mu.Lock()
	e.closed = true
	e.work.Broadcast()
	e.mu.Unlock()
}

func (e *executor) waiting() int64 {
	if e == nil {
		return 0
	}
	return e.backlog.Load()
}
