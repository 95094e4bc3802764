package client

import (
	"context"
	"time"

	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
)

// op is a call together with the Deferred of its result: one allocation.
type op[T any] struct {
	d Deferred[T]
	c call
	// decode reads the reply's body, of which it must copy what it keeps, see call.keep.
	decode func(c *call, body []byte) (T, error)
	// then, if set, gets the result in place of the Deferred, on the goroutine that
	// found it. It is for calls made of several, and must not block.
	then func(T, error)
}

func (o *op[T]) finish(body []byte, failed *Error) {
	var v T
	var err error
	if failed != nil {
		err = failed
	} else {
		v, err = o.decode(&o.c, body)
	}
	if o.then != nil {
		o.then(v, err)
		return
	}
	o.d.fire(v, err)
}

// newOp prepares a call; the caller fills in o.c.frame and calls start.
func newOp[T any](t *Table, spec *opSpec, hash uint64, decode func(*call, []byte) (T, error)) *op[T] {
	o := &op[T]{decode: decode}
	o.d.exec, o.d.cancel = t.c.exec, &o.c
	o.c.t, o.c.op, o.c.fin, o.c.hash, o.c.fixed = t, spec, o, hash, anyPartition
	o.c.buffer = getFrame()
	return o
}

// into gives the memory to encode the request in.
func (o *op[T]) into() []byte { return (*o.c.buffer)[:0] }

// start sends the call. sync says that the caller watches ctx itself.
func (o *op[T]) start(ctx context.Context, sync bool) *Deferred[T] {
	o.c.begin(ctx, !sync, false)
	return &o.d
}

// startPart sends a part of a larger call from the caller's goroutine.
func (o *op[T]) startPart(ctx context.Context, then func(T, error)) {
	o.then = then
	o.c.begin(ctx, true, false)
}

// startInner sends a step of a larger call that has been admitted: it is not held
// up for room, since the goroutine may be the one that makes room.
func (o *op[T]) startInner(ctx context.Context, then func(T, error)) {
	o.then = then
	o.c.begin(ctx, true, true)
}

// badDecode reports a reply that could not be read. A write has been carried
// out, as far as the frame says.
func (c *call) badDecode(err error) error {
	e := c.describe()
	e.Kind, e.Cause, e.Unknown, e.Class = ErrProtocol, err, c.op.write, code.ClassPermanent
	return e
}

// badStatus reports a storage status other than success.
func (c *call) badStatus(status int32) error {
	e := c.describe()
	e.Status, e.Kind, e.Class = code.Status(status), kindOfStatus(code.Status(status)), code.ClassPermanent
	if e.Kind == ErrTimeout && c.op.write {
		e.Unknown, e.Class = true, code.ClassUnknownOutcome
	}
	return e
}

// nothing is the value of calls that have none.
type nothing = struct{}

func decodeNothing(c *call, body []byte) (nothing, error) {
	status, _, err := wire.DecodeNumber(body)
	if err != nil {
		return nothing{}, c.badDecode(err)
	}
	if status != 0 {
		return nothing{}, c.badStatus(status)
	}
	return nothing{}, nil
}

func decodeNumber(c *call, body []byte) (int64, error) {
	status, n, err := wire.DecodeNumber(body)
	if err != nil {
		return 0, c.badDecode(err)
	}
	if status != 0 {
		return 0, c.badStatus(status)
	}
	return n, nil
}

// NoTTL is the time to live of a record that never expires.
const NoTTL = time.Duration(-1)

// expiry turns a time to live into the protocol's moment of expiry: seconds
// since 2016, rounded up, 0 for never.
func expiry(ttl time.Duration) (int32, bool) {
	if ttl <= 0 {
		return 0, ttl == 0 || ttl == NoTTL
	}
	seconds := int64((ttl + time.Second - 1) / time.Second)
	at := time.Now().Unix() - key.EpochUnix + seconds
	// The field is an unsigned 32 bit number in signed clothes: 2016 to 2152.
	if at > 1<<32-1 {
		return 0, false
	}
	return int32(uint32(at)), true
}

// checkKey tests what would be refused or, worse, misunderstood by servers.
// whole: the call is about a hash key as a whole, which must not be empty then.
func checkKey(op, table string, hashKey []byte, whole bool) error {
	if len(hashKey) > key.MaxHashKeyLen {
		return invalid(op, table, "hash key of %d bytes; the limit is %d", len(hashKey), key.MaxHashKeyLen)
	}
	if whole && len(hashKey) == 0 {
		return invalid(op, table, "empty hash key")
	}
	return nil
}

func checkTTL(op, table string, ttl time.Duration) (int32, error) {
	at, ok := expiry(ttl)
	if !ok {
		return 0, invalid(op, table, "time to live %v", ttl)
	}
	return at, nil
}

const (
	statusNotFound   = int32(code.StatusNotFound)
	statusIncomplete = int32(code.StatusIncomplete)
	statusTryAgain   = int32(code.StatusTryAgain)
)

func isNoTable(err error) bool { return code.Of(err) == code.ObjectNotFound }
