package client

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// ErrPending is given by Result while there is none.
var ErrPending = errors.New("result is not there yet")

// Deferred is a result that is there or will be, in the manner of Twisted: a
// value or an error, passing through a chain of callbacks.
//
// # The chain
//
// Each callback gets what the one before it returned; the first gets what the
// call produced. AddCallback sees values and passes errors by, AddErrback sees
// errors and passes values by, AddBoth sees either. An errback that returns a
// nil error has handled the trouble and the chain goes on with its value. What
// the last callback returned is what Wait and Result give. All methods return
// the Deferred itself and may be called from any goroutine.
//
// # Which goroutine
//
// A callback added before the result is there runs on one of the client's
// callback workers (WithCallbackWorkers). One added later runs at once on the
// goroutine that adds it, before AddCallback returns. Callbacks of one Deferred
// run one after the other, in the order added, each exactly once. A callback may
// make further asynchronous calls; one that blocks holds up a worker.
//
// # Panics
//
// A panic in a callback becomes a *PanicError, the error seen by the next errback.
//
// # Cancel
//
// Cancel fires a Deferred that has not fired with ErrCanceled. A request that has
// not left this process is then never executed. One that has left cannot be
// called back: the server may execute it, its answer is dropped, and for a write
// IsUnknownOutcome is true of the error.
type Deferred[T any] struct {
	mu    sync.Mutex
	value T
	err   error
	fired bool // value and err are set
	busy  bool // callbacks are queued to run, running, or wait for another Deferred

	first   callback[T]
	more    []callback[T]
	waiters *waiter
	done    chan struct{}

	exec   *executor
	cancel canceler
}

// canceler stops what will fire a Deferred; it fires it, unless that has
// happened.
type canceler interface{ cancel(cause error) }

// callback has exactly one of its fields set.
type callback[T any] struct {
	ok    func(T) (T, error)
	bad   func(error) (T, error)
	both  func(T, error) (T, error)
	chain func(T) *Deferred[T]
}

func (c *callback[T]) empty() bool {
	return c.ok == nil && c.bad == nil && c.both == nil && c.chain == nil
}

// PanicError is a panic caught in a callback.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic in callback: %v", e.Value) }

// Unwrap gives the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// NewDeferred makes a Deferred for others to wait on; fire gives it its result.
// Only the first call of fire counts.
func NewDeferred[T any]() (d *Deferred[T], fire func(T, error)) {
	d = &Deferred[T]{}
	return d, func(v T, err error) { d.fire(v, err) }
}

// Succeed makes a Deferred that has fired with v.
func Succeed[T any](v T) *Deferred[T] { return &Deferred[T]{value: v, fired: true} }

// Fail makes a Deferred that has fired with err.
func Fail[T any](err error) *Deferred[T] { return &Deferred[T]{err: err, fired: true} }

// AddCallback adds a step for a value.
func (d *Deferred[T]) AddCallback(f func(T) (T, error)) *Deferred[T] {
	return d.add(callback[T]{ok: f})
}

// AddErrback adds a step for an error.
func (d *Deferred[T]) AddErrback(f func(error) (T, error)) *Deferred[T] {
	return d.add(callback[T]{bad: f})
}

// AddBoth adds a step for either.
func (d *Deferred[T]) AddBoth(f func(T, error) (T, error)) *Deferred[T] {
	return d.add(callback[T]{both: f})
}

// Chain adds a step for a value that is asynchronous itself: the chain goes on
// with the result of the Deferred that f returns. Cancelling while it is waited
// for cancels that one.
func (d *Deferred[T]) Chain(f func(T) *Deferred[T]) *Deferred[T] {
	return d.add(callback[T]{chain: f})
}

func (d *Deferred[T]) add(c callback[T]) *Deferred[T] {
	d.mu.Lock()
	if d.first.empty() && len(d.more) == 0 {
		d.first = c
	} else {
		d.more = append(d.more, c)
	}
	if !d.fired || d.busy {
		d.mu.Unlock()
		return d
	}
	d.busy = true
	d.mu.Unlock()
	d.run()
	return d
}

// fire sets the result; the first one counts.
func (d *Deferred[T]) fire(v T, err error) {
	d.mu.Lock()
	if d.fired {
		d.mu.Unlock()
		return
	}
	d.value, d.err, d.fired = v, err, true
	if d.first.empty() {
		d.settleLocked()
		d.mu.Unlock()
		return
	}
	d.busy = true
	d.mu.Unlock()
	d.exec.submit(d)
}

// run works off the chain. The caller has set busy and owns the chain by that.
func (d *Deferred[T]) run() {
	d.mu.Lock()
	for {
		c := d.first
		if c.empty() {
			d.busy = false
			d.settleLocked()
			d.mu.Unlock()
			return
		}
		d.first = callback[T]{}
		if len(d.more) > 0 {
			d.first = d.more[0]
			d.more[0] = callback[T]{}
			d.more = d.more[1:]
		}
		v, err := d.value, d.err
		d.mu.Unlock()
		v, err, inner := c.invoke(v, err)
		d.mu.Lock()
		if inner != nil {
			d.cancel = inner.asCanceler()
			d.mu.Unlock()
			inner.AddBoth(func(v T, err error) (T, error) {
				d.resume(v, err)
				return v, err
			})
			return
		}
		d.value, d.err = v, err
	}
}

// resume goes on after a chained Deferred.
func (d *Deferred[T]) resume(v T, err error) {
	d.mu.Lock()
	d.value, d.err, d.cancel = v, err, nil
	d.mu.Unlock()
	d.run()
}

func (c *callback[T]) invoke(v T, err error) (out T, outErr error, inner *Deferred[T]) {
	defer func() {
		if p := recover(); p != nil {
			var zero T
			out, outErr, inner = zero, &PanicError{Value: p, Stack: debug.Stack()}, nil
		}
	}()
	switch {
	case c.both != nil:
		out, outErr = c.both(v, err)
	case err == nil && c.ok != nil:
		out, outErr = c.ok(v)
	case err == nil && c.chain != nil:
		if inner = c.chain(v); inner == nil {
			outErr = errors.New("chained callback returned no Deferred")
		}
	case err != nil && c.bad != nil:
		out, outErr = c.bad(err)
	default:
		out, outErr = v, err
	}
	return out, outErr, inner
}

// settleLocked tells everyone who waits.
func (d *Deferred[T]) settleLocked() {
	for w := d.waiters; w != nil; {
		next := w.next
		w.next = nil
		w.wake <- struct{}{} // has room: one token per enlisting
		w = next
	}
	d.waiters = nil
	if d.done != nil {
		select {
		case <-d.done:
		default:
			close(d.done)
		}
	}
}

func (d *Deferred[T]) settledLocked() bool { return d.fired && !d.busy }

// Done is closed when the result is there and the callbacks added so far have
// run.
func (d *Deferred[T]) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = make(chan struct{})
		if d.settledLocked() {
			close(d.done)
		}
	}
	return d.done
}

// Result gives the result, or ErrPending if it is not there or callbacks are
// still running.
func (d *Deferred[T]) Result() (T, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.settledLocked() {
		var zero T
		return zero, ErrPending
	}
	return d.value, d.err
}

// Wait blocks until the result is there and the callbacks added so far have run.
// When ctx ends first it returns the context's error and the call goes on; use
// Cancel to give it up. A callback must not Wait for something that needs a
// callback worker to become true.
func (d *Deferred[T]) Wait(ctx context.Context) (T, error) {
	d.mu.Lock()
	for !d.settledLocked() {
		w := waiters.Get().(*waiter)
		w.next, d.waiters = d.waiters, w
		d.mu.Unlock()
		select {
		case <-w.wake:
			waiters.Put(w)
		case <-ctx.Done():
			d.leave(w)
			var zero T
			return zero, ctx.Err()
		}
		d.mu.Lock()
	}
	defer d.mu.Unlock()
	return d.value, d.err
}

// leave takes w off the list, or takes the token it got meanwhile.
func (d *Deferred[T]) leave(w *waiter) {
	d.mu.Lock()
	found := false
	for p := &d.waiters; *p != nil; p = &(*p).next {
		if *p == w {
			*p, w.next, found = w.next, nil, true
			break
		}
	}
	d.mu.Unlock()
	if !found {
		<-w.wake
	}
	waiters.Put(w)
}

// Cancel gives up; see the description of the type. It does nothing once the
// Deferred has fired, except to a chained one that is being waited for.
func (d *Deferred[T]) Cancel() { d.cancelWith(nil) }

func (d *Deferred[T]) cancelWith(cause error) {
	d.mu.Lock()
	c := d.cancel
	idle := d.settledLocked()
	d.mu.Unlock()
	switch {
	case idle:
	case c != nil:
		c.cancel(cause)
	default:
		var zero T
		d.fire(zero, &Error{Op: "deferred", Partition: -1, Kind: ErrCanceled, Cause: cause})
	}
}

// asCanceler is a Deferred as the canceler of the one it is chained into.
func (d *Deferred[T]) asCanceler() canceler { return deferredCanceler[T]{d} }

type deferredCanceler[T any] struct{ d *Deferred[T] }

func (c deferredCanceler[T]) cancel(cause error) { c.d.cancelWith(cause) }

// waitOrCancel is the synchronous form of a call: leaving means giving up.
func waitOrCancel[T any](ctx context.Context, d *Deferred[T]) (T, error) {
	v, err := d.Wait(ctx)
	if err != nil && err == ctx.Err() {
		d.cancelWith(err)
		return d.Wait(context.Background())
	}
	return v, err
}

// waiter is a goroutine in Wait; pooled so that waiting costs no allocation.
type waiter struct {
	wake chan struct{}
	next *waiter
}

var waiters = sync.Pool{New: func() any { return &waiter{wake: make(chan struct{}, 1)} }}
