package compact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/replica/engine"
)

// State is how far a replica is with what its table asks for.
type State uint8

// The states.
const (
	Idle State = iota // never compacted
	Queued
	Running
	Finished
)

func (s State) String() string { return [...]string{"IDLE", "QUEUING", "RUNNING", "FINISHED"}[s] }

// ID names a replica's partition.
type ID struct{ Table, Index int32 }

// Target is a replica that may be compacted.
type Target struct {
	ID       ID
	Dir      string // of the replica
	Schedule Schedule
	Compact  func(context.Context, engine.CompactOptions) error
}

// Status describes one replica.
type Status struct {
	State State
	Record
}

// Runner compacts the replicas of a node, a few at a time.
type Runner struct {
	log   *logrus.Entry
	now   func() time.Time
	limit atomic.Int32 // compactions at once on the node

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	jobs map[ID]*job
}

// job is what the Runner knows of a replica.
type job struct {
	target  Target
	record  Record
	state   State
	since   time.Time // when its daily times became known
	cancel  context.CancelFunc
	retryAt time.Time
	seen    bool // by the present Tick
}

// DefaultLimit: RocksDB has two compaction threads by default, and clients'
// writes need theirs.
const DefaultLimit = 2

// retryDelay is the pause after a compaction that failed.
const retryDelay = time.Minute

// NewRunner makes a Runner. It does nothing between Ticks but what they began.
func NewRunner(log *logrus.Entry) *Runner {
	r := &Runner{log: log, now: time.Now, jobs: map[ID]*job{}}
	r.limit.Store(DefaultLimit)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// SetLimit changes the number of compactions at once on the node.
func (r *Runner) SetLimit(n int) { r.limit.Store(int32(n)) }

// Limit is the number of compactions at once on the node.
func (r *Runner) Limit() int { return int(r.limit.Load()) }

// Close cancels what runs and waits for it.
func (r *Runner) Close() {
	r.cancel()
	r.wg.Wait()
}

// Tick looks at the open replicas, about once a second: it starts what is due
// and there is room for, and cancels what must not run any more.
func (r *Runner) Tick(targets []Target) {
	now := r.now()
	// All nodes go through a table in the same order: a follower's compaction
	// waits for the leader's, which must not be the last of its node.
	targets = slices.Clone(targets)
	slices.SortFunc(targets, func(a, b Target) int {
		return cmp.Or(cmp.Compare(a.ID.Table, b.ID.Table), cmp.Compare(a.ID.Index, b.ID.Index))
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range targets {
		r.meetLocked(t, now)
	}
	running := map[int32]int{}
	total := 0
	for id, j := range r.jobs {
		switch {
		case !j.seen:
			r.dropLocked(id, j)
		case j.state == Running:
			running[id.Table]++
			total++
		}
		j.seen = false
	}
	for _, t := range targets {
		j := r.jobs[t.ID]
		bottom, due := j.target.Schedule.due(now, j.record.Began, j.since)
		if j.state == Running || now.Before(j.retryAt) {
			continue
		}
		if !due {
			j.state = rest(j.record)
			continue
		}
		j.state = Queued
		if total < r.Limit() && running[t.ID.Table] < t.Schedule.MaxRunning && r.ctx.Err() == nil {
			r.startLocked(j, bottom, now)
			total++
			running[t.ID.Table]++
		}
	}
}

func (r *Runner) meetLocked(t Target, now time.Time) {
	j := r.jobs[t.ID]
	if j == nil || j.target.Dir != t.Dir {
		if j != nil {
			r.dropLocked(t.ID, j)
		}
		j = &job{target: t, since: now}
		var err error
		if j.record, err = Load(t.Dir); err != nil {
			r.log.WithError(err).Warn("the last compaction of a replica is unknown, it counts as never compacted")
		}
		j.state = rest(j.record)
		r.jobs[t.ID] = j
	}
	if !sameTimes(j.target.Schedule.Daily, t.Schedule.Daily) {
		j.since = now
	}
	j.target, j.seen = t, true
	if t.Schedule.Disabled && j.state == Running {
		j.cancel()
	}
}

func sameTimes(a, b Daily) bool { return fmt.Sprint(a.Minutes) == fmt.Sprint(b.Minutes) }

func rest(rec Record) State {
	if rec.Finished.IsZero() {
		return Idle
	}
	return Finished
}

// dropLocked forgets a replica that is gone.
func (r *Runner) dropLocked(id ID, j *job) {
	if j.state == Running {
		j.cancel()
	}
	delete(r.jobs, id)
}

func (r *Runner) startLocked(j *job, bottom engine.Bottom, now time.Time) {
	ctx, cancel := context.WithCancel(r.ctx)
	j.state, j.cancel = Running, cancel
	target := j.target
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		defer cancel()
		err := target.Compact(ctx, engine.CompactOptions{Bottom: bottom})
		r.finish(j, target, now, err)
	}()
}

// finish records a compaction. The file is written before anybody is told.
func (r *Runner) finish(j *job, t Target, began time.Time, err error) {
	rec := Record{Began: began, Finished: r.now()}
	if err == nil {
		err = rec.Save(t.Dir)
	}
	log := r.log.WithFields(logrus.Fields{"table": t.ID.Table, "partition": t.ID.Index, "took": rec.Finished.Sub(began).String()})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		j.state, j.retryAt = rest(j.record), rec.Finished.Add(retryDelay)
		switch {
		case errors.Is(err, context.Canceled):
			j.retryAt = time.Time{}
			log.Info("manual compaction stopped")
		case errors.Is(err, engine.ErrClosed):
		default:
			log.WithError(err).Warn("manual compaction failed")
		}
		return
	}
	j.record, j.state = rec, Finished
	log.Info("manual compaction finished")
}

// Status returns what is known of a replica.
func (r *Runner) Status(id ID) Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j := r.jobs[id]; j != nil {
		return Status{State: j.state, Record: j.record}
	}
	return Status{}
}

// Count counts the replicas of a table by state; ok is false without any here.
func (r *Runner) Count(table int32) (counts map[State]int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts = map[State]int{}
	for id, j := range r.jobs {
		if id.Table == table {
			counts[j.state]++
			ok = true
		}
	}
	return counts, ok
}
