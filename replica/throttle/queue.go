package throttle

import (
	"container/heap"
	"sync"
	"time"
)

const (
	// maxHeld bounds the requests of a node that wait, maxHeldPerTable those of
	// one table, so that one slow table does not take all places. Their bytes are
	// bounded by the rpc server, which stops reading when too many are in flight.
	maxHeld         = 65536
	maxHeldPerTable = 16384
)

// held is a request that waits.
type held struct {
	due  int64 // on the queue's clock
	seq  uint64
	gate *gate // whose retirement ends the wait; nil for an answer that waits
	of   *Table
	run  func()
}

// queue runs functions when they are due, on one goroutine. It is never empty
// handed: at close everything is due.
type queue struct {
	now  func() int64
	wake chan struct{}
	done chan struct{}

	mu     sync.Mutex
	items  heldHeap
	seq    uint64
	closed bool
}

func newQueue(now func() int64) *queue {
	q := &queue{now: now, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.loop()
	return q
}

// put parks run for wait. false: there is no place.
func (q *queue) put(t *Table, g *gate, wait time.Duration, run func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.items) >= maxHeld || t.held >= maxHeldPerTable {
		return false
	}
	q.seq++
	t.held++
	h := held{due: q.now() + int64(wait), seq: q.seq, gate: g, of: t, run: run}
	heap.Push(&q.items, h)
	if q.items[0].seq == h.seq {
		q.notify()
	}
	return true
}

func (q *queue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// refresh makes what waits for a retired gate due.
func (q *queue) refresh() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.items {
		if g := q.items[i].gate; g != nil && g.retired.Load() {
			q.items[i].due = 0
		}
	}
	heap.Init(&q.items)
	q.notify()
}

// len is the number of requests that wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// close runs what waits, and everything put later is refused.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.notify()
	<-q.done
}

func (q *queue) loop() {
	defer close(q.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		ready, next, closed := q.due()
		for i := range ready {
			ready[i].run()
			ready[i] = held{}
		}
		if closed {
			return
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-q.wake:
		}
	}
}

// maxReady bounds one round, so that new arrivals are looked at in between.
const maxReady = 256

// due takes what is due and tells when to look again.
func (q *queue) due() (ready []held, next time.Duration, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	for len(q.items) > 0 && (q.closed || q.items[0].due <= now && len(ready) < maxReady) {
		h := heap.Pop(&q.items).(held)
		h.of.held--
		ready = append(ready, h)
	}
	if len(q.items) == 0 {
		return ready, time.Hour, q.closed
	}
	return ready, max(0, time.Duration(q.items[0].due-now)), q.closed
}

// heldHeap has the earliest first; equals in order of arrival.
type heldHeap []held

func (h heldHeap) Len() int { return len(h) }
func (h heldHeap) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].seq < h[j].seq
}
func (h heldHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *heldHeap) Push(x any)   { *h = append(*h, x.(held)) }
func (h *heldHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = held{}
	*h = old[:len(old)-1]
	return last
}
