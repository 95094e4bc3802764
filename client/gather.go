package client

import (
	"errors"
	"sync"
)

// Then adds a step of another type: the new Deferred fires with what f makes of
// the value of d, or with the error of d. The result of d itself stays as it is.
// Cancelling the new one cancels d.
func Then[T, U any](d *Deferred[T], f func(T) (U, error)) *Deferred[U] {
	u := &Deferred[U]{exec: d.exec, cancel: d.asCanceler()}
	d.AddBoth(func(v T, err error) (T, error) {
		var out U
		outErr := err
		if err == nil {
			out, outErr = guard(f, v)
		}
		u.fire(out, outErr)
		return v, err
	})
	return u
}

// ThenAsync is Then for a step that is asynchronous itself.
func ThenAsync[T, U any](d *Deferred[T], f func(T) *Deferred[U]) *Deferred[U] {
	u := &Deferred[U]{exec: d.exec, cancel: d.asCanceler()}
	d.AddBoth(func(v T, err error) (T, error) {
		var zero U
		if err != nil {
			u.fire(zero, err)
			return v, err
		}
		inner, panicked := guard(func(v T) (*Deferred[U], error) { return f(v), nil }, v)
		if panicked == nil && inner == nil {
			panicked = errors.New("chained callback returned no Deferred")
		}
		if panicked != nil {
			u.fire(zero, panicked)
			return v, err
		}
		u.mu.Lock()
		u.cancel = inner.asCanceler()
		u.mu.Unlock()
		inner.AddBoth(func(w U, err error) (U, error) {
			u.fire(w, err)
			return w, err
		})
		return v, err
	})
	return u
}

func guard[T, U any](f func(T) (U, error), v T) (out U, err error) {
	c := callback[U]{both: func(U, error) (U, error) { return f(v) }}
	out, err, _ = c.invoke(out, nil)
	return out, err
}

// Outcome is one result of a Gather.
type Outcome[T any] struct {
	Value T
	Err   error
}

// Gather fires when every one has fired, with all outcomes in the order given,
// and never with an error of its own. Cancelling it cancels them all.
func Gather[T any](ds ...*Deferred[T]) *Deferred[[]Outcome[T]] {
	out := make([]Outcome[T], len(ds))
	if len(ds) == 0 {
		return Succeed(out)
	}
	all := gathered[T, []Outcome[T]](ds)
	var mu sync.Mutex
	left := len(ds)
	for i, d := range ds {
		d.AddBoth(func(v T, err error) (T, error) {
			mu.Lock()
			out[i] = Outcome[T]{v, err}
			left--
			last := left == 0
			mu.Unlock()
			if last {
				all.fire(out, nil)
			}
			return v, err
		})
	}
	return all
}

// GatherValues fires with all values in the order given, or with the first error
// as soon as one fails. The others are left running; cancel them, or the result,
// if they are not wanted.
func GatherValues[T any](ds ...*Deferred[T]) *Deferred[[]T] {
	out := make([]T, len(ds))
	if len(ds) == 0 {
		return Succeed(out)
	}
	all := gathered[T, []T](ds)
	var mu sync.Mutex
	left := len(ds)
	for i, d := range ds {
		d.AddBoth(func(v T, err error) (T, error) {
			if err != nil {
				all.fire(nil, err)
				return v, err
			}
			mu.Lock()
			out[i] = v
			left--
			last := left == 0
			mu.Unlock()
			if last {
				all.fire(out, nil)
			}
			return v, err
		})
	}
	return all
}

// GatherFirst fires with the first value, or, when every one has failed, with
// all errors joined. The others are left running.
func GatherFirst[T any](ds ...*Deferred[T]) *Deferred[T] {
	any := gathered[T, T](ds)
	var zero T
	if len(ds) == 0 {
		any.fire(zero, errors.New("nothing to gather"))
		return any
	}
	var mu sync.Mutex
	errs := make([]error, len(ds))
	left := len(ds)
	for i, d := range ds {
		d.AddBoth(func(v T, err error) (T, error) {
			if err == nil {
				any.fire(v, nil)
				return v, err
			}
			mu.Lock()
			errs[i] = err
			left--
			last := left == 0
			mu.Unlock()
			if last {
				any.fire(zero, errors.Join(errs...))
			}
			return v, err
		})
	}
	return any
}

func gathered[T, U any](ds []*Deferred[T]) *Deferred[U] {
	u := &Deferred[U]{cancel: cancelAll[T](ds)}
	if len(ds) > 0 {
		u.exec = ds[0].exec
	}
	return u
}

type cancelAll[T any] []*Deferred[T]

func (c cancelAll[T]) cancel(cause error) {
	for _, d := range c {
		d.cancelWith(cause)
	}
}
