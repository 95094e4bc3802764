package client

import (
	"context"
	"time"

	"github.com/arionkv/arion/client/internal/route"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/key"
)

// Table is a handle on a table: its routing, and the operations on its records.
// It is safe for concurrent use.
//
// Every operation exists twice. The plain form waits, and ends when its context
// does. The Async form returns at once with a Deferred; its context may cancel
// the call later. Only when the client is full does it wait for room, or fail,
// see WithMaxInFlight. Keys and values are copied before a method returns.
//
// Calls without a deadline in their context get the time-out of their class, see
// WithTimeouts. Within it they are sent again after refusals and lost
// connections, except for what could be applied twice: see RetryPolicy.
type Table struct {
	c     *Client
	name  string
	route *route.Table
}

// Name is the table's name.
func (t *Table) Name() string { return t.name }

// Partitions gives the number of partitions, asking a meta server if it is not
// known yet.
func (t *Table) Partitions(ctx context.Context) (int, error) {
	s, err := t.routing(ctx, nil)
	if err != nil {
		return 0, err
	}
	return int(s.Count), nil
}

// routing waits for routing newer than stale.
func (t *Table) routing(ctx context.Context, stale *route.Snapshot) (*route.Snapshot, error) {
	ctx, cancel := t.c.metaContext(ctx)
	defer cancel()
	fail := func(err error) error {
		c := call{t: t, op: &opSpec{name: "routing"}, placed: -1}
		if t.c.closed.Load() {
			err = ErrClosed
		}
		if isNoTable(err) {
			err = errNoTable
		}
		return c.errorLocked(err)
	}
	for {
		if s := t.route.Current(); s != nil && s != stale {
			return s, nil
		}
		w := make(routeWaiter, 1)
		if !t.route.Refresh(stale, w) {
			stale = nil
			continue
		}
		select {
		case err := <-w:
			if err != nil {
				return nil, fail(err)
			}
		case <-ctx.Done():
			return nil, fail(ctx.Err())
		}
	}
}

type routeWaiter chan error

func (w routeWaiter) OnRoute(err error) { w <- err }

var (
	opGet   = opSpec{name: "get", class: classRead, hedge: true}
	opTTL   = opSpec{name: "ttl", class: classRead, hedge: true}
	opExist = opSpec{name: "exist", class: classRead, hedge: true}
	opCount = opSpec{name: "sort-key-count", class: classRead, hedge: true}
	opSet   = opSpec{name: "set", class: classWrite, write: true}
	opDel   = opSpec{name: "del", class: classWrite, write: true}
	opIncr  = opSpec{name: "incr", class: classWrite, write: true, once: true}
)

// Get reads a value. A record that does not exist is ErrNotFound; an empty value
// is an empty, non-nil slice.
func (t *Table) Get(ctx context.Context, hashKey, sortKey []byte) ([]byte, error) {
	return waitOrCancel(ctx, t.get(ctx, hashKey, sortKey, true))
}

// GetAsync is Get without waiting.
func (t *Table) GetAsync(ctx context.Context, hashKey, sortKey []byte) *Deferred[[]byte] {
	return t.get(ctx, hashKey, sortKey, false)
}

func (t *Table) get(ctx context.Context, hashKey, sortKey []byte, sync bool) *Deferred[[]byte] {
	if err := checkKey(opGet.name, t.name, hashKey, false); err != nil {
		return Fail[[]byte](err)
	}
	o := newOp(t, &opGet, key.Hash(hashKey, sortKey), decodeValue)
	o.c.frame = wire.AppendKeyRequest(o.into(), wire.Get, hashKey, sortKey)
	return o.start(ctx, sync)
}

func decodeValue(c *call, body []byte) ([]byte, error) {
	status, value, err := wire.DecodeValue(body)
	if err != nil {
		return nil, c.badDecode(err)
	}
	if status != 0 {
		return nil, c.badStatus(status)
	}
	if c.own != nil {
		return value, nil
	}
	out := make([]byte, len(value))
	copy(out, value)
	return out, nil
}

// Exist reports whether a record exists.
func (t *Table) Exist(ctx context.Context, hashKey, sortKey []byte) (bool, error) {
	return waitOrCancel(ctx, t.exist(ctx, hashKey, sortKey, true))
}

// ExistAsync is Exist without waiting.
func (t *Table) ExistAsync(ctx context.Context, hashKey, sortKey []byte) *Deferred[bool] {
	return t.exist(ctx, hashKey, sortKey, false)
}

func (t *Table) exist(ctx context.Context, hashKey, sortKey []byte, sync bool) *Deferred[bool] {
	if err := checkKey(opExist.name, t.name, hashKey, false); err != nil {
		return Fail[bool](err)
	}
	o := newOp(t, &opExist, key.Hash(hashKey, sortKey), decodeExist)
	o.c.frame = wire.AppendKeyRequest(o.into(), wire.TTL, hashKey, sortKey)
	return o.start(ctx, sync)
}

func decodeExist(c *call, body []byte) (bool, error) {
	status, _, err := wire.DecodeNumber(body)
	switch {
	case err != nil:
		return false, c.badDecode(err)
	case status == statusNotFound:
		return false, nil
	case status != 0:
		return false, c.badStatus(status)
	}
	return true, nil
}

// TTL gives the time a record has left, in whole seconds, or NoTTL if it never
// expires. A record that does not exist is ErrNotFound.
func (t *Table) TTL(ctx context.Context, hashKey, sortKey []byte) (time.Duration, error) {
	return waitOrCancel(ctx, t.ttl(ctx, hashKey, sortKey, true))
}

// TTLAsync is TTL without waiting.
func (t *Table) TTLAsync(ctx context.Context, hashKey, sortKey []byte) *Deferred[time.Duration] {
	return t.ttl(ctx, hashKey, sortKey, false)
}

func (t *Table) ttl(ctx context.Context, hashKey, sortKey []byte, sync bool) *Deferred[time.Duration] {
	if err := checkKey(opTTL.name, t.name, hashKey, false); err != nil {
		return Fail[time.Duration](err)
	}
	o := newOp(t, &opTTL, key.Hash(hashKey, sortKey), decodeTTL)
	o.c.frame = wire.AppendKeyRequest(o.into(), wire.TTL, hashKey, sortKey)
	return o.start(ctx, sync)
}

func decodeTTL(c *call, body []byte) (time.Duration, error) {
	n, err := decodeNumber(c, body)
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return NoTTL, nil
	}
	return time.Duration(n) * time.Second, nil
}

// Set writes a value that never expires, unless the table has a default TTL.
func (t *Table) Set(ctx context.Context, hashKey, sortKey, value []byte) error {
	return t.SetTTL(ctx, hashKey, sortKey, value, 0)
}

// SetTTL writes a value that expires after ttl, rounded up to whole seconds; 0
// means never.
func (t *Table) SetTTL(ctx context.Context, hashKey, sortKey, value []byte, ttl time.Duration) error {
	_, err := waitOrCancel(ctx, t.set(ctx, hashKey, sortKey, value, ttl, true))
	return err
}

// SetAsync is Set without waiting.
func (t *Table) SetAsync(ctx context.Context, hashKey, sortKey, value []byte) *Deferred[struct{}] {
	return t.set(ctx, hashKey, sortKey, value, 0, false)
}

// SetTTLAsync is SetTTL without waiting.
func (t *Table) SetTTLAsync(ctx context.Context, hashKey, sortKey, value []byte, ttl time.Duration) *Deferred[struct{}] {
	return t.set(ctx, hashKey, sortKey, value, ttl, false)
}

func (t *Table) set(ctx context.Context, hashKey, sortKey, value []byte, ttl time.Duration, sync bool) *Deferred[nothing] {
	if err := checkKey(opSet.name, t.name, hashKey, false); err != nil {
		return Fail[nothing](err)
	}
	at, err := checkTTL(opSet.name, t.name, ttl)
	if err != nil {
		return Fail[nothing](err)
	}
	o := newOp(t, &opSet, key.Hash(hashKey, sortKey), decodeNothing)
	o.c.frame = wire.AppendPut(o.into(), hashKey, sortKey, value, at)
	return o.start(ctx, sync)
}

// Del deletes a record; one that does not exist is fine.
func (t *Table) Del(ctx context.Context, hashKey, sortKey []byte) error {
	_, err := waitOrCancel(ctx, t.del(ctx, hashKey, sortKey, true))
	return err
}

// DelAsync is Del without waiting.
func (t *Table) DelAsync(ctx context.Context, hashKey, sortKey []byte) *Deferred[struct{}] {
	return t.del(ctx, hashKey, sortKey, false)
}

func (t *Table) del(ctx context.Context, hashKey, sortKey []byte, sync bool) *Deferred[nothing] {
	if err := checkKey(opDel.name, t.name, hashKey, false); err != nil {
		return Fail[nothing](err)
	}
	o := newOp(t, &opDel, key.Hash(hashKey, sortKey), decodeNothing)
	o.c.frame = wire.AppendKeyRequest(o.into(), wire.Remove, hashKey, sortKey)
	return o.start(ctx, sync)
}

// Incr adds by to a record that holds a decimal number, which counts as 0 if it
// does not exist, and gives the sum. Its expiry stays. A value that is no number,
// or a sum beyond 64 bits, is ErrInvalidArgument.
//
// It is never repeated after an unknown outcome.
func (t *Table) Incr(ctx context.Context, hashKey, sortKey []byte, by int64) (int64, error) {
	return t.IncrTTL(ctx, hashKey, sortKey, by, 0)
}

// IncrTTL is Incr that also sets the time to live: 0 keeps what the record has,
// NoTTL clears it.
func (t *Table) IncrTTL(ctx context.Context, hashKey, sortKey []byte, by int64, ttl time.Duration) (int64, error) {
	return waitOrCancel(ctx, t.incr(ctx, hashKey, sortKey, by, ttl, true))
}

// IncrAsync is Incr without waiting.
func (t *Table) IncrAsync(ctx context.Context, hashKey, sortKey []byte, by int64) *Deferred[int64] {
	return t.incr(ctx, hashKey, sortKey, by, 0, false)
}

// IncrTTLAsync is IncrTTL without waiting.
func (t *Table) IncrTTLAsync(ctx context.Context, hashKey, sortKey []byte, by int64, ttl time.Duration) *Deferred[int64] {
	return t.incr(ctx, hashKey, sortKey, by, ttl, false)
}

func (t *Table) incr(ctx context.Context, hashKey, sortKey []byte, by int64, ttl time.Duration, sync bool) *Deferred[int64] {
	if err := checkKey(opIncr.name, t.name, hashKey, true); err != nil {
		return Fail[int64](err)
	}
	at, err := checkTTL(opIncr.name, t.name, ttl)
	if err != nil {
		return Fail[int64](err)
	}
	if ttl == NoTTL {
		at = -1
	}
	o := newOp(t, &opIncr, key.Hash(hashKey, sortKey), decodeNumber)
	o.c.frame = wire.AppendIncr(o.into(), hashKey, sortKey, by, at)
	return o.start(ctx, sync)
}

// SortKeyCount counts the records of a hash key. If the server ran out of time
// it is ErrIncomplete.
func (t *Table) SortKeyCount(ctx context.Context, hashKey []byte) (int64, error) {
	return waitOrCancel(ctx, t.sortKeyCount(ctx, hashKey, true))
}

// SortKeyCountAsync is SortKeyCount without waiting.
func (t *Table) SortKeyCountAsync(ctx context.Context, hashKey []byte) *Deferred[int64] {
	return t.sortKeyCount(ctx, hashKey, false)
}

func (t *Table) sortKeyCount(ctx context.Context, hashKey []byte, sync bool) *Deferred[int64] {
	if err := checkKey(opCount.name, t.name, hashKey, true); err != nil {
		return Fail[int64](err)
	}
	o := newOp(t, &opCount, key.Hash(hashKey, nil), decodeCount)
	o.c.frame = wire.AppendBlobRequest(o.into(), wire.SortKeyCount, hashKey)
	return o.start(ctx, sync)
}

func decodeCount(c *call, body []byte) (int64, error) {
	n, err := decodeNumber(c, body)
	if err == nil && n < 0 {
		return 0, c.badStatus(statusIncomplete)
	}
	return n, err
}

// Client gives the client the table belongs to.
func (t *Table) Client() *Client { return t.c }
