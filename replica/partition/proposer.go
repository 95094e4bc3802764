package partition

import (
	"errors"
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
	sequence  uint64
	lastStamp uint64 // Unix ms
	ledTerm   uint64 // term of window
	buf       []byte

	mu      sync.Mutex
	flights map[uint64]*flight // by sequence, until answered
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

// limboPoll is how often flights in limbo are looked at.
const limboPoll = 50 * time.Millisecond

func newProposer(p *Partition, id uint64) *proposer {
	return &proposer{
		p: p, id: id, now: time.Now,
		queue:   newQueue(p.o.QueueOps, p.o.QueueBytes, p.o.QueueWait),
		session: client.NewNoOPSession(p.shardID, randomSource{}),
		flights: map[uint64]*flight{},
	}
}

// run is the proposing goroutine. It ends when the partition closes, after
// everything proposed has been answered.
func (r *proposer) run() {
	for {
		r.enterTerm()
		r.reap()
		r.propose()
		select {
		case <-r.p.closing:
			r.queue.close(errClosing)
			r.drain()
			return
		case <-r.p.machine.done: // removed, or the host closes
			r.queue.close(errRemoved)
			r.drain()
			<-r.p.closing
			return
		case <-r.queue.wake:
		case <-r.p.leadership.changed:
		case res := <-r.oldest():
			r.land(res)
		case <-r.limboTimer():
		}
	}
}

// enterTerm follows a change of leadership: it opens or closes the queue, and
// what was proposed under the former term no longer counts for the window.
func (r *proposer) enterTerm() {
	l := r.p.leadership.get()
	if l.mine && l.term == r.ledTerm {
		return
	}
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
	for r.ledTerm != 0 && len(r.window) < r.p.o.Window {
		writes := r.queue.take(nil, r.p.o.EntryOps, r.p.o.EntryBytes)
		if len(writes) == 0 {
			return
		}
		r.send(writes)
	}
}

func (r *proposer) send(writes []write) {
	r.sequence++
	f := &flight{sequence: r.sequence, writes: writes}
	traceProposed(writes, r.now())
	cmd := r.encode(f)
	r.mu.Lock()
	r.flights[f.sequence] = f // before it can be applied
	r.mu.Unlock()
	state, err := r.p.nodeHost.Propose(r.session, cmd, r.p.o.ProposalTimeout)
	if err != nil {
		r.forget(f)
		r.refuse(f, proposeError(err))
		return
	}
	f.state = state
	r.window = append(r.window, f)
	r.p.metrics.entries.Inc()
	r.p.metrics.entryOps.Observe(float64(len(writes)))
}

// encode builds the log entry in a buffer that dragonboat copies.
func (r *proposer) encode(f *flight) []byte {
	wall := uint64(max(0, r.now().UnixMilli()))
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
	r.mu.Lock()
	f := r.flights[sequence]
	delete(r.flights, sequence)
	r.mu.Unlock()
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

func (r *proposer) forget(f *flight) {
	r.mu.Lock()
	delete(r.flights, f.sequence)
	r.mu.Unlock()
}

// oldest is where raft tells about the oldest entry of the window.
func (r *proposer) oldest() <-chan dragonboat.RequestResult {
	if len(r.window) == 0 {
		return nil
	}
	return r.window[0].state.AppliedC()
}

// land takes the oldest flight out of the window, and those behind it that have
// arrived too.
func (r *proposer) land(res dragonboat.RequestResult) {
	r.settle(r.window[0], res)
	r.window = r.window[1:]
	r.reap()
}

// reap settles what raft has told about without waiting.
func (r *proposer) reap() {
	for len(r.window) > 0 {
		select {
		case res := <-r.window[0].state.AppliedC():
			r.settle(r.window[0], res)
			r.window = r.window[1:]
		default:
			r.reapLimbo()
			return
		}
	}
	r.reapLimbo()
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

func (r *proposer) limboTimer() <-chan time.Time {
	if len(r.limbo) == 0 {
		return nil
	}
	return time.After(limboPoll)
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
