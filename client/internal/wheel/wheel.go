// Package wheel gives very many cheap timers: arming and disarming one costs a
// short lock and no allocation, which a runtime timer per call would.
package wheel

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
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

	// maxShards bounds the locks that keep callers on several cores apart.
	maxShards = 8
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

	next, prev *Timer // prev is nil for the first of its slot
	when       Time
	slot       uint16
	shard      uint8
	armed      bool
}

// Waker is woken by a timer.
type Waker interface{ Wake(now Time) }

type shard struct {
	mu    sync.Mutex
	slot  [slots]*Timer      // the first of each
	taken [slots / 64]uint64 // bit per slot that is not empty
	seen  Time               // the last tick whose slot has been visited
	shut  bool
	_     [64]byte
}

// Wheel runs timers on one goroutine, which sleeps until the first is due: a
// client with slow calls, or none, costs nothing.
type Wheel struct {
	base   time.Time
	shards []shard
	// wakeAt is the tick until which the goroutine sleeps, Never while it is looking
	// for it: who arms a timer for an earlier one kicks it.
	wakeAt atomic.Int64

	kick chan struct{}
	quit chan struct{}
	done chan struct{}
}

// New starts a wheel; Close stops it.
func New() *Wheel {
	n := min(runtime.GOMAXPROCS(0), maxShards)
	w := &Wheel{base: time.Now(), shards: make([]shard, n), kick: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	w.wakeAt.Store(int64(Never))
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
			all = s.takeDue(j, all, Never)
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
		t.shard = uint8(rand.IntN(len(w.shards))) + 1
	}
	s := &w.shards[t.shard-1]
	s.mu.Lock()
	if s.shut {
		s.mu.Unlock()
		go t.Wake.Wake(w.Now())
		return
	}
	if t.armed {
		s.unlink(t)
	}
	// A slot already visited would be seen a whole turn late.
	tick := max(tickOf(when), s.seen+1)
	t.when = when
	s.link(t, int(tick)&mask)
	s.mu.Unlock()
	if int64(tick) < w.wakeAt.Load() {
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
	if t.armed {
		s.unlink(t)
	}
	s.mu.Unlock()
}

// tickOf rounds up, so that visiting a slot finds its timers due.
func tickOf(when Time) Time {
	if when > Never-Time(Tick) {
		return Never / Time(Tick)
	}
	return (when + Time(Tick) - 1) / Time(Tick)
}

func (s *shard) link(t *Timer, slot int) {
	first := s.slot[slot]
	t.next, t.slot, t.armed = first, uint16(slot), true
	if first != nil {
		first.prev = t
	}
	s.slot[slot] = t
	s.taken[slot/64] |= 1 << (slot % 64)
}

func (s *shard) unlink(t *Timer) {
	if t.next != nil {
		t.next.prev = t.prev
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else if s.slot[t.slot] = t.next; t.next == nil {
		s.taken[t.slot/64] &^= 1 << (t.slot % 64)
	}
	t.next, t.prev, t.armed = nil, nil, false
}

func (w *Wheel) run() {
	defer close(w.done)
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	var due []*Timer
	for {
		select {
		case <-alarm.C:
		case <-w.kick:
		case <-w.quit:
			return
		}
		w.wakeAt.Store(int64(Never))
		now := w.Now()
		due = w.collect(due[:0], now)
		for i, t := range due {
			t.Wake.Wake(now)
			due[i] = nil
		}
		// What is armed from here on is seen, or kicks.
		next := w.first()
		w.wakeAt.Store(int64(next))
		if next != Never {
			alarm.Reset(time.Duration(next*Time(Tick) - w.Now()))
		} else {
			alarm.Stop()
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
			due = s.takeDue(int(tick)&mask, due, now)
		}
		s.seen = current
		s.mu.Unlock()
	}
	return due
}

func (s *shard) takeDue(slot int, due []*Timer, now Time) []*Timer {
	for t := s.slot[slot]; t != nil; {
		next := t.next
		if t.when <= now {
			s.unlink(t)
			due = append(due, t)
		}
		t = next
	}
	return due
}

// first gives the tick of the next slot to visit, Never if all are empty.
func (w *Wheel) first() Time {
	first := Never
	for i := range w.shards {
		s := &w.shards[i]
		s.mu.Lock()
		first = min(first, s.first())
		s.mu.Unlock()
	}
	return first
}

func (s *shard) first() Time {
	from := int(s.seen+1) & mask
	for i := 0; i <= len(s.taken); i++ {
		word := (from/64 + i) % len(s.taken)
		bitmap := s.taken[word]
		switch i {
		case 0:
			bitmap &= ^uint64(0) << (from % 64)
		case len(s.taken): // the part of the first word before from
			bitmap &= 1<<(from%64) - 1
		}
		if bitmap != 0 {
			slot := word*64 + bits.TrailingZeros64(bitmap)
			return s.seen + 1 + Time((slot-from)&mask)
		}
	}
	return Never
}
