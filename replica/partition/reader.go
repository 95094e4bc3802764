package partition

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/arionkv/arion/idl/code"
)

// reader answers read barriers that no lease covers: one ReadIndex for all that
// wait, on one goroutine.
type reader struct {
	p        *Partition
	wake     chan struct{}
	renewing atomic.Bool // a renewal has been asked for

	mu      sync.Mutex
	refusal error
	waiting []func(error)
}

const (
	// readIndexTimeout bounds one ReadIndex. A lost one is not repeated by raft.
	readIndexTimeout = time.Second
	// readRetry is the pause when a fresh leader cannot tell the commit index yet.
	readRetry = 5 * time.Millisecond
)

var (
	errReadBusy    = code.Errorf(code.Busy, "too many reads are waiting")
	errReadTimeout = code.Errorf(code.Timeout, "no quorum confirmed the leader in time")
)

func newReader(p *Partition) *reader {
	return &reader{p: p, wake: make(chan struct{}, 1)}
}

// renew asks for a fresh lease in the background.
func (r *reader) renew() {
	if !r.renewing.Load() && r.renewing.CompareAndSwap(false, true) {
		notify(r.wake)
	}
}

// put adds a read that waits for the next ReadIndex.
func (r *reader) put(done func(error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.refusal != nil:
		return r.refusal
	case len(r.waiting) >= r.p.o.QueueReads:
		return errReadBusy
	}
	r.waiting = append(r.waiting, done)
	if len(r.waiting) == 1 {
		notify(r.wake)
	}
	return nil
}

// close refuses from now on and answers what waits.
func (r *reader) close(reason error) {
	r.mu.Lock()
	if r.refusal == nil {
		r.refusal = reason
	}
	left := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	answerReads(left, reason)
}

func answerReads(reads []func(error), err error) {
	for _, done := range reads {
		done(err)
	}
}

func (r *reader) run() {
	for {
		select {
		case <-r.p.closing:
			r.close(errClosing)
			return
		case <-r.p.machine.done:
			r.close(errRemoved)
			<-r.p.closing
			return
		case <-r.wake:
		}
		renewing := r.renewing.Swap(false)
		// Reads that come from here on wait for the next ReadIndex: this one
		// may have looked at the commit index before they were asked.
		r.mu.Lock()
		reads := r.waiting
		r.waiting = nil
		r.mu.Unlock()
		if len(reads) > 0 || renewing {
			answerReads(reads, r.confirm(len(reads) > 0))
		}
	}
}

// confirm makes a ReadIndex, and a lease of it. If somebody waits it tries for
// as long as this replica leads and the time allows.
func (r *reader) confirm(persist bool) error {
	deadline := time.Now().Add(r.p.o.ReadTimeout)
	for {
		led := r.p.leadership.get()
		if !led.mine {
			return errNotLeader
		}
		begin, epoch := r.p.lease.start()
		err := r.readIndex(led)
		if err == nil {
			if r.p.leadership.get() == led && r.p.lease.grant(begin, epoch, led.term) {
				r.p.metrics.leases.Inc()
			}
			return nil
		}
		if !errors.Is(err, errTryAgain) || !persist || time.Now().After(deadline) {
			return err
		}
		select {
		case <-r.p.closing:
			return errClosing
		case <-r.p.machine.done:
			return errRemoved
		case <-time.After(readRetry):
		}
	}
}

// errTryAgain is a ReadIndex that may succeed in a moment.
var errTryAgain = code.Errorf(code.Busy, "the leader is not ready to confirm reads")

// readIndex returns nil once a quorum has confirmed this leader after the call
// and everything committed before the call is applied here.
func (r *reader) readIndex(led *standing) error {
	state, err := r.p.nodeHost.ReadIndex(r.p.shardID, readIndexTimeout)
	if err != nil {
		if errors.Is(err, dragonboat.ErrSystemBusy) || errors.Is(err, dragonboat.ErrShardNotReady) {
			return errTryAgain
		}
		return errNotLeader
	}
	r.p.metrics.readIndexes.Inc()
	select {
	case res := <-state.AppliedC():
		state.Release()
		return readOutcome(res)
	case <-led.over: // raft would let it time out
		return errNotLeader
	case <-r.p.closing:
		return errClosing
	case <-r.p.machine.done:
		return errRemoved
	}
}

func readOutcome(res dragonboat.RequestResult) error {
	switch {
	case res.Completed():
		return nil
	case res.Dropped():
		return errTryAgain
	case res.Timeout():
		return errReadTimeout
	}
	return errNotLeader
}
