// Package wheel gives very many cheap timers: arming and disarming one costs a
// short lock and no allocation, which a runtime timer per call would.
package wheel

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Tick is the resolution: a timer fires up to one tick late, never early.
	Tick = 4 * time.Millisecond

	// slots × Tick is one turn of the wheel, 8 s. A timer beyond it stays in its
	// slot and is looked at once a turn.
	slots = 2048
	mask  = slots - 1

	// shards keeps callers on several cores from meeting on one lock.
	shards = 8
)

// Time is a moment in nanoseconds on the wheel's monotonic clock.
type Time int64

// Never is later than every moment.
const Never = Time(1<<63 - 1)

// Timer is embedded in what is to be woken. The zero value is ready. A Timer
// belongs to one wheel for life; its methods are not safe for concurrent use
// by several callers, but are against the wheel.
type Timer struct {
	// Wake is called on the wheel's goroutine, without a lock, once per arming. A
	// timer that is re-armed or disarmed meanwhile may still see one stale call, so
	// Wake must look at the clock and its own state.
	Wake Waker

	next, prev *Timer
	when       Time
	shard      uint8
	armed      bool
}

// Waker is woken by a timer.
type Waker interface{ Wake(now Time) }

type shard struct {
	mu   sync.Mutex
	slot [slots]Timer // list heads
	seen Time         // the last tick whose slot has been visited
	shut bool
	_    [64]byte
}

// Wheel runs timers on one goroutine, which sleeps while none is armed.
type Wheel struct {
	base   time.Time
	next   atomic.Uint32
	armed  atomic.Int64
	shards [shards]shard

	kick chan struct{}
	quit chan struct{}
	done chan struct{}
}

// New starts a wheel; Close stops it.
func New() *Wheel {
	w := &Wheel{base: time.Now(), kick: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	for s := range w.shards {
		for i := range w.shards[s].slot {
			head := &w.shards[s].slot[i]
			head.next, head.prev = head, head
		}
	}
	go w.run()
	return w
}

// Close stops the goroutine, then wakes every armed timer a last time. A timer
// armed later is woken at once, so nothing waits for a wheel that is gone.
func (w *Wheel) Close() {
	close(w.quit)
	<-w.done
	var all []*Timer
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		s.shut = true
		for j := range s.slot {
			all = s.slot[j].takeDue(all, Never)
		}
		s.mu.Unlock()
	}
	for _, t := range all {
		t.Wake.Wake(w.Now())
	}
}

// Now reads the clock.
func (w *Wheel) Now() Time { return Time(time.Since(w.base)) }

// At converts a wall clock moment.
func (w *Wheel) At(t time.Time) Time { return Time(t.Sub(w.base)) }

// Arm sets t to fire at when, in place of an earlier setting.
func (w *Wheel) Arm(t *Timer, when Time) {
	if t.shard == 0 {
		t.shard = uint8(w.next.Add(1)%shards) + 1
	}
	s := &w.shards[t.shard-1]
	s.mu.Lock()
	if s.shut {
		s.mu.Unlock()
		go t.Wake.Wake(w.Now())
		return
	}
	fresh := !t.armed
	if !fresh {
		t.unlink()
	}
	t.when, t.armed = when, true
	// A slot already visited would be seen a whole turn late.
	head := &s.slot[int(max(tickOf(when), s.seen+1))&mask]
	t.prev, t.next = head.prev, head
	head.prev.next, head.prev = t, t
	s.mu.Unlock()
	if fresh && w.armed.Add(1) == 1 {
		select {
		case w.kick <- struct{}{}:
		default:
		}
	}
}

// Disarm keeps t from firing, but for a call that has begun.
func (w *Wheel) Disarm(t *Timer) {
	if t.shard == 0 {
		return
	}
	s := &w.shards[t.shard-1]
	s.mu.Lock()
	was := t.armed
	if was {
		t.unlink()
		t.armed = false
	}
	s.mu.Unlock()
	if was {
		w.armed.Add(-1)
	}
}

// tickOf rounds up, so that visiting a slot finds its timers due.
func tickOf(when Time) Time {
	if when > Never-Time(Tick) {
		return Never / Time(Tick)
	}
	return (when + Time(Tick) - 1) / Time(Tick)
}

func (t *Timer) unlink() {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
}

func (w *Wheel) run() {
	defer close(w.done)
	ticker := time.NewTicker(Tick)
	defer ticker.Stop()
	var due []*Timer
	for {
		if w.armed.Load() == 0 {
			ticker.Stop()
			select {
			case <-w.kick:
				ticker.Reset(Tick)
			case <-w.quit:
				return
			}
		}
		select {
		case <-ticker.C:
		case <-w.quit:
			return
		}
		now := w.Now()
		due = w.collect(due[:0], now)
		for i, t := range due {
			t.Wake.Wake(now)
			due[i] = nil
		}
	}
}

// collect unlinks the timers that are due at now.
func (w *Wheel) collect(due []*Timer, now Time) []*Timer {
	current := now / Time(Tick)
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		// After a sleep the distance may be more than a turn; one turn sees all.
		for tick := max(s.seen+1, current-slots+1); tick <= current; tick++ {
			due = s.slot[int(tick)&mask].takeDue(due, now)
		}
		s.seen = current
		s.mu.Unlock()
	}
	w.armed.Add(int64(-len(due)))
	return due
}

func (head *Timer) takeDue(due []*Timer, now Time) []*Timer {
	for t := head.next; t != head; {
		next := t.next
		if t.when <= now {
			t.unlink()
			t.armed = false
			due = append(due, t)
		}
		t = next
	}
	return due
}
