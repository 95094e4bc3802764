package partition

import (
	"sync"
	"time"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
)

// Done takes the answer of a write: the response to be sent, or an error that
// carries a code (code.Of). It is called exactly once, on a goroutine that other
// writes wait for: it must not block.
type Done func(res apply.Result, err error)

// write is one request on its way into the log. args belongs to the caller
// until done.
type write struct {
	kind command.Kind
	args []byte
	done Done
	// trace, if not nil, is written until done is called, and not after.
	trace *Trace
	since time.Time // in the queue
}

// queue holds the writes not yet proposed. It is open while this replica leads;
// a closed one refuses, so nothing can be left behind in it.
//
// A queue whose oldest write has waited for maxWait refuses too: another one would
// wait longer still, and what is done after its caller has given up is done in
// vain, and then once more.
type queue struct {
	maxOps, maxBytes int
	maxWait          time.Duration
	now              func() time.Time
	wake             chan struct{} // something to propose, or closed

	mu      sync.Mutex
	refusal error // why it is closed; nil = open
	writes  []write
	bytes   int
}

func newQueue(maxOps, maxBytes int, maxWait time.Duration) *queue {
	return &queue{
		maxOps: maxOps, maxBytes: maxBytes, maxWait: maxWait, now: time.Now,
		wake: make(chan struct{}, 1), refusal: errNotLeader,
	}
}

// Shared, since refusals are hot exactly when a server is in trouble.
var (
	errNotLeader = code.Errorf(code.InvalidState, "this replica does not lead the partition")
	errBusy      = code.Errorf(code.Busy, "too many writes are waiting")
	errSlow      = code.Errorf(code.Busy, "writes wait for too long")
	errClosing   = code.Errorf(code.InvalidState, "the replica is closing")
	errRemoved   = code.Errorf(code.InvalidState, "the replica was removed from its partition")
	errOutcome   = code.Errorf(code.Timeout, "no outcome of the write in time, it may be applied")
)

// put adds a write or says why not; then done is not kept.
func (q *queue) put(w write) error {
	w.since = q.now()
	q.mu.Lock()
	switch {
	case q.refusal != nil:
		defer q.mu.Unlock()
		return q.refusal
	case len(q.writes) >= q.maxOps || q.bytes+len(w.args) > q.maxBytes && len(q.writes) > 0:
		q.mu.Unlock()
		return errBusy
	case len(q.writes) > 0 && w.since.Sub(q.writes[0].since) >= q.maxWait:
		q.mu.Unlock()
		return errSlow
	}
	q.writes = append(q.writes, w)
	q.bytes += len(w.args)
	first := len(q.writes) == 1
	q.mu.Unlock()
	if first {
		q.signal()
	}
	return nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take moves the oldest writes, at most maxOps of them and about maxBytes, to
// dst.
func (q *queue) take(dst []write, maxOps, maxBytes int) []write {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for n < len(q.writes) && n < maxOps {
		size, alone := len(q.writes[n].args), q.writes[n].kind.Alone()
		if n > 0 && (alone || bytes+size > maxBytes) {
			break
		}
		n, bytes = n+1, bytes+size
		if alone {
			break
		}
	}
	dst = append(dst, q.writes[:n]...)
	rest := copy(q.writes, q.writes[n:])
	clear(q.writes[rest:])
	q.writes = q.writes[:rest]
	q.bytes -= bytes
	return dst
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.writes) == 0
}

// open lets writes in.
func (q *queue) open() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refusal == errNotLeader {
		q.refusal = nil
	}
}

// close refuses from now on and answers what is in the queue. A queue closed
// for another reason than errNotLeader stays closed.
func (q *queue) close(reason error) {
	q.mu.Lock()
	if q.refusal == nil || q.refusal == errNotLeader {
		q.refusal = reason
	}
	left := q.writes
	q.writes, q.bytes = nil, 0
	q.mu.Unlock()
	for _, w := range left {
		w.done(nil, reason)
	}
}
