package wheel

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type probe struct {
	Timer
	w     *Wheel
	fired atomic.Int32
	at    atomic.Int64
}

func (p *probe) Wake(Time) {
	p.at.Store(int64(p.w.Now()))
	p.fired.Add(1)
}

func newProbe(w *Wheel) *probe {
	p := &probe{w: w}
	p.Timer.Wake = p
	return p
}

func (w *Wheel) empty() bool { return w.first() == Never }

func TestFiresOnceAndNotEarly(t *testing.T) {
	w := New()
	defer w.Close()
	var probes []*probe
	var due []Time
	for range 500 {
		p := newProbe(w)
		when := w.Now() + Time(rand.N(200*time.Millisecond)) - Time(20*time.Millisecond)
		w.Arm(&p.Timer, when)
		probes, due = append(probes, p), append(due, when)
	}
	require.Eventually(t, w.empty, time.Minute, time.Millisecond)
	time.Sleep(2 * Tick)
	for i, p := range probes {
		require.EqualValues(t, 1, p.fired.Load())
		require.GreaterOrEqual(t, Time(p.at.Load()), due[i])
	}
}

func TestDisarmAndRearm(t *testing.T) {
	w := New()
	defer w.Close()
	a, b := newProbe(w), newProbe(w)
	w.Disarm(&a.Timer) // never armed
	w.Arm(&a.Timer, w.Now()+Time(20*time.Millisecond))
	w.Arm(&b.Timer, w.Now()+Time(time.Hour))
	w.Disarm(&a.Timer)
	w.Disarm(&a.Timer)
	w.Arm(&b.Timer, w.Now()+Time(10*time.Millisecond))
	require.Eventually(t, func() bool { return b.fired.Load() == 1 }, time.Minute, time.Millisecond)
	time.Sleep(30 * time.Millisecond)
	require.Zero(t, a.fired.Load())
	// After a sleep with nothing armed the wheel wakes again.
	w.Arm(&a.Timer, w.Now())
	require.Eventually(t, func() bool { return a.fired.Load() == 1 }, time.Minute, time.Millisecond)
}

func TestCloseWakesAll(t *testing.T) {
	w := New()
	p := newProbe(w)
	w.Arm(&p.Timer, Never)
	w.Close()
	require.EqualValues(t, 1, p.fired.Load())
	w.Arm(&p.Timer, Never)
	require.Eventually(t, func() bool { return p.fired.Load() == 2 }, time.Minute, time.Millisecond)
}

func TestTimersBeyondOneTurn(t *testing.T) {
	w := New()
	defer w.Close()
	p, q := newProbe(w), newProbe(w)
	w.Arm(&p.Timer, w.Now()+slots*Time(Tick)+Time(50*time.Millisecond))
	w.Arm(&q.Timer, w.Now()+Time(100*time.Millisecond))
	require.Eventually(t, func() bool { return q.fired.Load() == 1 }, time.Minute, time.Millisecond)
	require.Zero(t, p.fired.Load(), "same slot, next turn")
}

func TestConcurrentUse(t *testing.T) {
	w := New()
	defer w.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 2000 {
				p := newProbe(w)
				w.Arm(&p.Timer, w.Now()+Time(rand.N(3*Tick)))
				if rand.N(2) == 0 {
					w.Disarm(&p.Timer)
				}
			}
		}()
	}
	wg.Wait()
	require.Eventually(t, w.empty, time.Minute, time.Millisecond)
}

func TestNoAllocations(t *testing.T) {
	w := New()
	defer w.Close()
	p := newProbe(w)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		w.Arm(&p.Timer, w.Now()+Time(time.Second))
		w.Disarm(&p.Timer)
	}))
}

// The wheel finds the next slot wherever it lies.
func TestFirst(t *testing.T) {
	for range 10_000 {
		s := &shard{seen: Time(rand.IntN(3 * slots))}
		require.Equal(t, Never, s.first())
		want := Never
		timers := make([]Timer, 1+rand.IntN(3))
		for i := range timers {
			ahead := Time(1 + rand.IntN(slots))
			want = min(want, s.seen+ahead)
			s.link(&timers[i], int(s.seen+ahead)&mask)
		}
		require.Equal(t, want, s.first())
		for i := range timers {
			s.unlink(&timers[i])
		}
		require.Equal(t, Never, s.first())
	}
}

// A wheel whose timers are far away sleeps, and wakes for one that is near.
func TestSleepsUntilTheFirst(t *testing.T) {
	w := New()
	defer w.Close()
	far, near := newProbe(w), newProbe(w)
	w.Arm(&far.Timer, w.Now()+Time(7*time.Second))
	asleep := func() bool {
		return Time(w.wakeAt.Load()) != Never && Time(w.wakeAt.Load())*Time(Tick) > w.Now()+Time(time.Second)
	}
	require.Eventually(t, asleep, time.Minute, time.Millisecond)
	w.Arm(&near.Timer, w.Now()+Time(10*time.Millisecond))
	require.Eventually(t, func() bool { return near.fired.Load() == 1 }, time.Minute, time.Millisecond)
	require.Zero(t, far.fired.Load())
}

func BenchmarkArmDisarm(b *testing.B) {
	w := New()
	defer w.Close()
	b.RunParallel(func(pb *testing.PB) {
		p := newProbe(w)
		for now := w.Now(); pb.Next(); now++ {
			w.Arm(&p.Timer, now+Time(5*time.Second))
			w.Disarm(&p.Timer)
		}
	})
}
