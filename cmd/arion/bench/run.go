// Package bench drives load through the Go client and reports what came back:
// operations per second, latencies, errors, and where it was measured.
//
// In the closed loop a fixed number of calls is outstanding: it finds the highest
// throughput, and hides stalls, since nobody asks while the server stalls. In the
// open loop calls start at a fixed rate whatever the answers do, and latency
// counts from when a call was meant to start.
package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/client"
)

// run is one measurement.
type run struct {
	o       Options
	plan    workload
	layout  layout
	chooser *chooser
	noise   noise
	ledger  *ledger // nil unless verifying

	total    atomic.Int64 // records there are to read
	next     atomic.Int64 // record that is inserted next
	issued   atomic.Int64
	stopped  atomic.Bool
	measured time.Time // calls meant to start before are not counted
	left     sync.WaitGroup

	clients   []*client.Client
	slots     []*slot
	recorders []*recorder
	late      int64    // calls the open loop should have made and did not
	timeline  []Second // written by watch's goroutine
}

// Run drives the load until it is done or ctx ends; what was measured until then
// is reported.
func Run(ctx context.Context, o Options) (*Report, error) {
	r := &run{o: o, plan: o.plan(), layout: layout{int64(o.SortKeys)}}
	if o.Verify {
		r.ledger = newLedger(time.Now())
	}
	r.noise = newNoise(rand.New(rand.NewPCG(o.Seed, 0)))
	r.next.Store(int64(o.Records))
	r.total.Store(int64(o.Records))
	r.chooser = newChooser(r.plan.distribution, &r.total)
	if o.Workload == "load" {
		r.next.Store(0)
	}
	defer r.close()
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	env := newEnvironment(ctx, r)
	before := cpuTimes(o.ServerPIDs)
	took := r.drive(ctx)
	used := cpuTimes(o.ServerPIDs).since(before)
	return newReport(r, took, used, env), nil
}

// recordersPerRun bounds how many connections' goroutines meet on one lock.
const recordersPerRun = 8

// connect opens the clients and splits the calls in flight among them.
func (r *run) connect(ctx context.Context) error {
	for range min(recordersPerRun, r.o.InFlight) {
		r.recorders = append(r.recorders, newRecorder())
	}
	// A call that waits for room would wait on the goroutine that makes room: there
	// must be enough, parts of batches included.
	room := r.o.InFlight * (r.o.Batch + 1)
	for range r.o.Connections {
		c, err := client.Open(ctx, r.o.Metas,
			client.WithCallbackWorkers(0), // the callbacks never block
			client.WithMaxInFlight(room, 1<<40, client.FailFast))
		if err != nil {
			return err
		}
		r.clients = append(r.clients, c)
		if _, err := c.Table(r.o.Table).Partitions(ctx); err != nil {
			return err
		}
	}
	for i := range r.o.InFlight {
		table := r.clients[i%len(r.clients)].Table(r.o.Table)
		r.slots = append(r.slots, newSlot(r, i, table, r.recorders[i%len(r.recorders)]))
	}
	return nil
}

func (r *run) close() {
	for _, c := range r.clients {
		_ = c.Close() // nothing of the run depends on it
	}
}

// drive makes the calls and gives the measured time.
func (r *run) drive(ctx context.Context) time.Duration {
	stop := context.AfterFunc(ctx, func() { r.stopped.Store(true) })
	defer stop()
	start := time.Now()
	r.measured = start.Add(r.o.Warmup)
	if r.o.Workload != "load" {
		t := time.AfterFunc(r.o.Warmup+r.o.Duration, func() { r.stopped.Store(true) })
		defer t.Stop()
	}
	unwatch := r.watch(start)
	if r.o.Rate > 0 {
		r.openLoop(ctx, start)
	} else {
		r.closedLoop()
	}
	took := time.Since(r.measured)
	unwatch()
	return max(took, time.Microsecond)
}

func (r *run) closedLoop() {
	r.left.Add(len(r.slots))
	for _, s := range r.slots {
		s.loop(time.Now())
	}
	r.left.Wait()
}

// more takes permission for one more call.
func (r *run) more() bool {
	if r.stopped.Load() {
		return false
	}
	n := r.issued.Add(1)
	if r.o.Operations > 0 && n > int64(r.o.Operations) {
		return false
	}
	return r.o.Workload != "load" || n <= int64(r.o.Records)
}

// openLoop starts the n-th call n/rate after start, or, when every slot is taken,
// as soon as one is free; the delay counts as latency.
func (r *run) openLoop(ctx context.Context, start time.Time) {
	free := make(chan *slot, len(r.slots))
	for _, s := range r.slots {
		s.free = free
		free <- s
	}
	end := make(chan struct{})
	stop := time.AfterFunc(r.o.Warmup+r.o.Duration, func() { close(end) })
	defer stop.Stop()
	r.pace(ctx, start, free, end)
	for range r.slots {
		<-free
	}
}

func (r *run) pace(ctx context.Context, start time.Time, free <-chan *slot, end <-chan struct{}) {
	interval := float64(time.Second) / r.o.Rate
	for n := 0; ; n++ {
		at := start.Add(time.Duration(float64(n) * interval))
		if ahead := time.Until(at); ahead > 0 {
			time.Sleep(ahead)
		}
		if r.stopped.Load() || !r.more() {
			return
		}
		select {
		case s := <-free:
			s.start(at)
		case <-end:
			r.late = int64(time.Since(at).Seconds() * r.o.Rate)
			return
		case <-ctx.Done():
			return
		}
	}
}

// watch notes each second what it did, and prints it, until the returned function
// is called.
func (r *run) watch(start time.Time) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.note(time.Since(start))
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// longestTimeline bounds the seconds a report lists, an hour.
const longestTimeline = 3600

func (r *run) note(since time.Duration) {
	h := newHistogram()
	failed := int64(0)
	for _, rec := range r.recorders {
		failed += rec.tick(h)
	}
	s := Second{At: since.Seconds(), Operations: h.TotalCount(), P50: h.ValueAtPercentile(50),
		P99: h.ValueAtPercentile(99), Max: h.Max(), Failed: failed}
	warming := time.Now().Before(r.measured)
	if !warming && len(r.timeline) < longestTimeline {
		r.timeline = append(r.timeline, s)
	}
	if r.o.Progress != nil {
		s.write(r.o.Progress, warming)
	}
}

// write prints the progress line.
func (s Second) write(w io.Writer, warming bool) {
	note := ""
	if warming {
		note = "  (warm-up)"
	}
	fmt.Fprintf(w, "%4.0f s  %8d/s  p50 %6d us  p99 %7d us  max %7d us  errors %d%s\n",
		s.At, s.Operations, s.P50, s.P99, s.Max, s.Failed, note)
}
