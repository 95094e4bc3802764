package partition

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
)

// proposer turns queued writes into log entries and sees to their answers.
type proposer struct {
	p       *Partition
	id      uint64 // in the envelopes
	queue   *queue
	session *client.Session
	now     func() time.Time

	// Used by run only.
	window    []*flight // proposed in the present term, oldest first
	limbo     []*flight // proposed before leadership was lost
	spent     []*flight // answered, but raft has not let go of them yet
	free      []*flight // to be used again
	sequence  uint64
	lastStamp uint64 // Unix ms
	ledTerm   uint64 // term of window
	buf       []byte
	raft      dragonboat.INodeUser // nil until first used
	looks     *time.Timer          // the next look at flights that raft may have failed
	looking   bool                 // looks will fire, within lookIn of its setting
	lookIn    time.Duration

	full  atomic.Bool // run waits for room in the window
	fired atomic.Bool // looks has fired

	mu      sync.Mutex
	flights []*flight // until answered, oldest first; no more than a few
}

// flight is an entry that was proposed.
type flight struct {
	sequence uint64
	writes   []write
	answered atomic.Bool
	state    *dragonboat.RequestState
	// giveUp is when a flight in limbo is answered without knowing.
	giveUp time.Time
}

// claim decides who answers the flight's writes.
func (f *flight) claim() bool { return f.answered.CompareAndSwap(false, true) }

func (f *flight) fail(err error) {
	if !f.claim() {
		return
	}
	for _, w := range f.writes {
		w.done(nil, err)
	}
}

const (
	// lookAgain is how often flights are looked at that raft may have dropped or given
	// up. Those that are applied need no look, see applied, and a change of leadership
	// is one.
	lookAgain = 200 * time.Millisecond
	// limboPoll is the same once leadership is lost.
	limboPoll = 50 * time.Millisecond
	// maxIdleFlight bounds the writes for which a flight that is used again has room.
	maxIdleFlight = 64
)

func newProposer(p *Partition, id uint64) *proposer {
	r := &proposer{
		p: p, id: id, now: time.Now,
		queue:   newQueue(p.o.QueueOps, p.o.QueueBytes, p.o.QueueWait),
		session: client.NewNoOPSession(p.shardID, randomSource{}),
	}
	r.queue.wake = p.leadership.changed // all that concerns run wakes it through this
	r.looks = time.AfterFunc(time.Hour, func() {
		r.fired.Store(true)
		r.queue.signal()
	})
	r.looks.Stop()
	return r
}

// run is the proposing goroutine. It ends when the partition closes, after
// everything proposed has been answered.
//
// It waits on one channel only: a select of five cost a third of its time.
func (r *proposer) run() {
	defer r.looks.Stop()
	for {
		r.enterTerm()
		r.reap()
		r.propose()
		r.lookLater()
		switch {
		case isClosed(r.p.closing):
			r.queue.close(errClosing)
			r.drain()
			return
		case isClosed(r.p.machine.done): // removed, or the host closes
			r.queue.close(errRemoved)
			r.drain()
			<-r.p.closing
			return
		}
		<-r.queue.wake
	}
}

// lookLater sees to it that run looks at what is in flight.
func (r *proposer) lookLater() {
	if r.fired.Swap(false) {
		r.looking = false
	}
	wait := lookAgain
	switch {
	case len(r.limbo) > 0:
		wait = limboPoll
	case len(r.window) == 0:
		return
	}
	if !r.looking || wait < r.lookIn {
		r.looking, r.lookIn = true, wait
		r.looks.Reset(wait)
	}
}

// enterTerm follows a change of leadership: it opens or closes the queue, and
// what was proposed under the former term no longer counts for the window.
func (r *proposer) enterTerm() {
	l := r.p.leadership.get()
	if l.mine && l.term == r.ledTerm {
		return
	}
	r.reap() // raft drops first and tells about leaders then
	giveUp := r.now().Add(r.p.o.LimboTimeout)
	for _, f := range r.window {
		f.giveUp = giveUp
	}
	r.limbo = append(r.limbo, r.window...)
	r.window = nil
	if !l.mine {
		r.ledTerm = 0
		r.queue.close(errNotLeader)
		return
	}
	if r.ledTerm != 0 {
		// Others led in between. A client that was refused elsewhere may have
		// repeated what is queued, and written something else since.
		r.queue.close(errNotLeader)
	}
	r.ledTerm = l.term
	// Later than everything applied here, which includes all that former leaders
	// stamped and this replica acknowledged.
	r.lastStamp = max(r.lastStamp, r.p.machine.clockMS.Load()+1)
	r.queue.open()
}

// propose sends entries until the queue is empty or the window full.
func (r *proposer) propose() {
	for r.ledTerm != 0 && r.room() {
		f := r.flight()
		f.writes = r.queue.take(f.writes, r.p.o.EntryOps, r.p.o.EntryBytes)
		if len(f.writes) == 0 {
			r.free = append(r.free, f)
			return
		}
		r.send(f)
	}
}

// room reports whether one more entry may be in flight. If not, run is woken once it
// may.
func (r *proposer) room() bool {
	if len(r.window) < r.p.o.Window {
		return true
	}
	r.full.Store(true)
	r.reap() // what was answered before applied could see that it is waited for
	if len(r.window) < r.p.o.Window {
		r.full.Store(false)
		return true
	}
	return false
}

// flight returns an empty one.
func (r *proposer) flight() *flight {
	n := len(r.free)
	if n == 0 {
		return new(flight)
	}
	f := r.free[n-1]
	r.free = r.free[:n-1]
	return f
}

// recycle takes a flight back that was applied: the state machine is through with it.
func (r *proposer) recycle(f *flight) {
	if len(r.free) >= r.p.o.Window || cap(f.writes) > maxIdleFlight {
		return
	}
	clear(f.writes)
	*f = flight{writes: f.writes[:0]}
	r.free = append(r.free, f)
}

func (r *proposer) send(f *flight) {
	r.sequence++
	f.sequence = r.sequence
	now := r.now()
	traceProposed(f.writes, now)
	cmd := r.encode(f, now)
	r.mu.Lock()
	r.flights = append(r.flights, f) // before it can be applied
	r.mu.Unlock()
	state, err := r.submit(cmd)
	if err != nil {
		r.forget(f)
		r.refuse(f, proposeError(err))
		return
	}
	f.state = state
	r.window = append(r.window, f)
	r.p.metrics.entries.Inc()
	r.p.metrics.entryOps.Observe(float64(len(f.writes)))
}

// submit hands an entry to raft, without a search for the group each time.
func (r *proposer) submit(cmd []byte) (*dragonboat.RequestState, error) {
	if r.raft == nil {
		user, err := r.p.nodeHost.GetNodeUser(r.p.shardID)
		if err != nil {
			return nil, err
		}
		r.raft = user
	}
	return r.raft.Propose(r.session, cmd, r.p.o.ProposalTimeout)
}

// encode builds the log entry in a buffer that dragonboat copies.
func (r *proposer) encode(f *flight, now time.Time) []byte {
	wall := uint64(max(0, now.UnixMilli()))
	r.lastStamp = max(r.lastStamp, wall)
	b := envelope{r.id, f.sequence}.append(r.buf[:0])
	h := command.Header{StampMS: r.lastStamp, DefaultTTL: r.p.defaultTTL.Load()}
	if w := f.writes[0]; w.kind.Alone() {
		return command.AppendAlone(b, h, w.kind, w.args)
	}
	b = command.AppendHeader(b, h)
	for _, w := range f.writes {
		b = command.AppendOp(b, w.kind, w.args)
	}
	if cap(b) <= 2*r.p.o.EntryBytes {
		r.buf = b
	}
	return b
}

// refuse answers writes that never reached the log.
func (r *proposer) refuse(f *flight, err error) {
	r.p.metrics.refused.WithLabelValues(code.Of(err).String()).Add(float64(len(f.writes)))
	f.fail(err)
}

// proposeError translates an error of Propose: the entry was not taken.
func proposeError(err error) error {
	switch {
	case errors.Is(err, dragonboat.ErrSystemBusy):
		return errBusy
	case errors.Is(err, dragonboat.ErrPayloadTooBig):
		return code.Errorf(code.InvalidData, "the write is larger than a log entry may be")
	case errors.Is(err, dragonboat.ErrShardNotReady), errors.Is(err, dragonboat.ErrShardNotFound),
		errors.Is(err, dragonboat.ErrShardClosed), errors.Is(err, dragonboat.ErrClosed):
		return errNotLeader
	}
	return code.Errorf(code.Unknown, "propose: %v", err)
}

// applied answers the writes of an entry. Called by the state machine.
func (r *proposer) applied(sequence uint64, results []apply.Result, run runTimes) {
	f := r.take(sequence)
	if f == nil || !f.claim() {
		return // given up meanwhile
	}
	for i, w := range f.writes {
		w.trace.ran(run)
		if results[i] == apply.Foreign {
			w.done(nil, errForeign)
			continue
		}
		w.done(results[i], nil)
	}
}

// ended tells that the entries of a run have been answered. All at once, since what
// waits for room is then proposed as one entry and not as several.
func (r *proposer) ended() {
	if r.full.Load() && r.full.CompareAndSwap(true, false) {
		r.queue.signal()
	}
}

// take ends the wait for the outcome of an entry. It returns nil if nobody waits.
func (r *proposer) take(sequence uint64) *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, f := range r.flights {
		if f.sequence == sequence {
			r.flights = slices.Delete(r.flights, i, i+1)
			return f
		}
	}
	return nil
}

func (r *proposer) forget(f *flight) { r.take(f.sequence) }

// reap takes flights out of the window that have been answered or of which raft has
// told something.
func (r *proposer) reap() {
	r.release()
	for len(r.window) > 0 {
		f := r.window[0]
		select {
		case res := <-f.state.AppliedC():
			r.settle(f, res)
		default:
			if !f.answered.Load() {
				r.reapLimbo()
				return
			}
			r.spent = append(r.spent, f)
		}
		r.window = r.window[1:]
	}
	r.reapLimbo()
}

// release gives back to raft what it has let go of.
func (r *proposer) release() {
	kept := r.spent[:0]
	for _, f := range r.spent {
		select {
		case res := <-f.state.AppliedC():
			f.state.Release()
			if res.Completed() {
				r.recycle(f)
			} // else raft gave up while the state machine was at it
		default:
			kept = append(kept, f)
		}
	}
	clear(r.spent[len(kept):])
	r.spent = kept
}

func (r *proposer) reapLimbo() {
	kept := r.limbo[:0]
	for _, f := range r.limbo {
		select {
		case res := <-f.state.AppliedC():
			r.settle(f, res)
			continue
		default:
		}
		if r.now().After(f.giveUp) {
			r.giveUp(f)
			continue
		}
		kept = append(kept, f)
	}
	clear(r.limbo[len(kept):])
	r.limbo = kept
}

// settle ends a flight that raft has spoken about. An applied one was answered
// by the state machine before.
func (r *proposer) settle(f *flight, res dragonboat.RequestResult) {
	f.state.Release()
	if res.Completed() && f.answered.Load() {
		r.recycle(f)
		return
	}
	if res.Dropped() {
		r.forget(f)
		r.refuse(f, errNotLeader) // it never reached the log
		return
	}
	r.giveUp(f)
}

// giveUp answers a flight whose fate is unknown, unless it has been answered.
func (r *proposer) giveUp(f *flight) {
	r.forget(f)
	if f.answered.Load() {
		return
	}
	r.p.metrics.unknown.Add(float64(len(f.writes)))
	f.fail(errOutcome)
}

// drain waits for what was proposed until raft has stopped, which ends every
// flight.
func (r *proposer) drain() {
	for _, f := range append(r.limbo, r.window...) {
		select {
		case res := <-f.state.AppliedC():
			r.settle(f, res)
		case <-r.p.machine.done:
			r.giveUp(f)
		}
	}
	r.limbo, r.window = nil, nil
}
