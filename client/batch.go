package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/arionkv/arion/client/internal/route"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

const rpcBatchGet = "RPC_RRDB_RRDB_BATCH_GET"

// batchKeys bounds one BATCH_GET call, so that its answer stays a small part of
// what a server may send.
const batchKeys = 500

var opBatchGet = opSpec{name: "batch-get", class: classRead, hedge: true}

// Key names a record of a table.
type Key struct{ HashKey, SortKey []byte }

// Entry is a record of a table, to be written; TTL 0 is none.
type Entry struct {
	HashKey, SortKey, Value []byte
	TTL                     time.Duration
}

// GetResult is one answer of a BatchGet: a value, or ErrNotFound, or what went
// wrong with this key.
type GetResult struct {
	Value []byte
	Err   error
}

// BatchError says that some items of a batch failed; which ones is in the results.
type BatchError struct {
	Op            string
	Table         string
	Failed, Total int
	First         error
}

func (e *BatchError) Error() string {
	return fmt.Sprintf("%s %s: %d of %d failed, first: %v", e.Op, e.Table, e.Failed, e.Total, e.First)
}

// Unwrap gives the first failure.
func (e *BatchError) Unwrap() error { return e.First }

// BatchGet reads records of any hash keys: one call per partition, all at the
// same time. Results come in the order of keys. The error is a *BatchError if an
// item failed for another reason than ErrNotFound. The reads are not one atomic
// step.
func (t *Table) BatchGet(ctx context.Context, keys []Key) ([]GetResult, error) {
	return waitBatch(ctx, t.BatchGetAsync(ctx, keys))
}

// BatchGetAsync is BatchGet without waiting.
func (t *Table) BatchGetAsync(ctx context.Context, keys []Key) *Deferred[[]GetResult] {
	b := newBatch(ctx, t, "batch-get", make([]GetResult, len(keys)),
		func(r *GetResult) error {
			if errors.Is(r.Err, ErrNotFound) {
				return nil
			}
			return r.Err
		})
	g := &batchGet{batch: b, keys: keys}
	b.add(1)
	all := make([]int, 0, len(keys))
	for i, k := range keys {
		if err := checkKey("batch-get", t.name, k.HashKey, false); err != nil {
			b.out[i].Err = err
			continue
		}
		all = append(all, i)
	}
	g.send(all)
	b.end()
	return b.d
}

// batch waits for the parts of a call made of many. The parts write to distinct
// elements of out.
type batch[T any] struct {
	t     *Table
	op    string
	ctx   context.Context
	stop  context.CancelFunc
	d     *Deferred[[]T]
	out   []T
	errOf func(*T) error

	mu   sync.Mutex
	open int
}

func newBatch[T any](ctx context.Context, t *Table, op string, out []T, errOf func(*T) error) *batch[T] {
	b := &batch[T]{t: t, op: op, out: out, errOf: errOf}
	b.ctx, b.stop = context.WithCancel(ctx)
	b.d = &Deferred[[]T]{exec: t.c.exec, cancel: stopper(b.stop)}
	return b
}

// stopper cancels the parts, which then end the whole.
type stopper context.CancelFunc

func (s stopper) cancel(error) { s() }

func (b *batch[T]) add(n int) {
	b.mu.Lock()
	b.open += n
	b.mu.Unlock()
}

// end counts a part as done; the last one fires the Deferred.
func (b *batch[T]) end() {
	b.mu.Lock()
	b.open--
	last := b.open == 0
	b.mu.Unlock()
	if !last {
		return
	}
	b.stop()
	failed := BatchError{Op: b.op, Table: b.t.name, Total: len(b.out)}
	for i := range b.out {
		if err := b.errOf(&b.out[i]); err != nil {
			if failed.Failed++; failed.First == nil {
				failed.First = err
			}
		}
	}
	if failed.Failed > 0 {
		b.d.fire(b.out, &failed)
		return
	}
	b.d.fire(b.out, nil)
}

// waitBatch is waitOrCancel for a batch: its end after a cancel takes the parts'
// ends, which are immediate.
func waitBatch[T any](ctx context.Context, d *Deferred[[]T]) ([]T, error) {
	out, err := d.Wait(ctx)
	if err != nil && err == ctx.Err() {
		d.Cancel()
		return d.Wait(context.Background())
	}
	return out, err
}

type batchGet struct {
	*batch[GetResult]
	keys []Key
}

// send groups the keys of the indexes by partition, once the routing is known.
func (g *batchGet) send(indexes []int) {
	if len(indexes) == 0 {
		return
	}
	snap := g.t.route.Current()
	if snap == nil {
		g.add(1)
		w := &batchRoute{g: g, indexes: indexes}
		if !g.t.route.Refresh(nil, w) {
			w.OnRoute(nil)
		}
		return
	}
	groups := map[int32][]int{}
	for _, i := range indexes {
		p := key.PartitionIndex(key.Hash(g.keys[i].HashKey, g.keys[i].SortKey), snap.Count)
		groups[p] = append(groups[p], i)
	}
	for p, group := range groups {
		for len(group) > 0 {
			n := min(len(group), batchKeys)
			g.sendGroup(snap, p, group[:n])
			group = group[n:]
		}
	}
}

// batchRoute goes on with a batch when the routing has come.
type batchRoute struct {
	g       *batchGet
	indexes []int
}

func (w *batchRoute) OnRoute(err error) {
	defer w.g.end()
	if err == nil && w.g.t.route.Current() != nil {
		w.g.send(w.indexes)
		return
	}
	// Calls know how to wait for routing, and to say what failed.
	for _, i := range w.indexes {
		w.g.sendAlone(i)
	}
}

func (g *batchGet) sendAlone(i int) {
	k := g.keys[i]
	o := newOp(g.t, &opBatchGet, key.Hash(k.HashKey, k.SortKey), decodeValue)
	o.c.frame = wire.AppendKeyRequest(o.into(), wire.Get, k.HashKey, k.SortKey)
	g.add(1)
	o.startInner(g.ctx, func(v []byte, err error) {
		g.out[i] = GetResult{v, err}
		g.end()
	})
}

func (g *batchGet) sendGroup(snap *route.Snapshot, partition int32, group []int) {
	req := &rrdb.BatchGetRequest{Keys: make([]*rrdb.FullKey, len(group))}
	for n, i := range group {
		req.Keys[n] = &rrdb.FullKey{HashKey: base.BlobOf(g.keys[i].HashKey), SortKey: base.BlobOf(g.keys[i].SortKey)}
	}
	first := g.keys[group[0]]
	o := newOp(g.t, &opBatchGet, key.Hash(first.HashKey, first.SortKey), decodeFound)
	// Keys that share a partition now may not after a split.
	o.c.sameCount = snap.Count
	o.c.frame = wire.AppendRequest(o.into(), rpcBatchGet, req)
	g.add(1)
	o.startInner(g.ctx, func(found map[string][]byte, err error) {
		defer g.end()
		if errors.Is(err, errRecount) {
			g.send(group)
			return
		}
		g.deliver(group, found, err)
	})
}

func (g *batchGet) deliver(group []int, found map[string][]byte, err error) {
	var buf []byte
	for _, i := range group {
		if err != nil {
			g.out[i].Err = err
			continue
		}
		buf = key.Append(buf[:0], g.keys[i].HashKey, g.keys[i].SortKey)
		if v, ok := found[string(buf)]; ok {
			g.out[i].Value = v
		} else {
			g.out[i].Err = &Error{Op: g.op, Table: g.t.name, Partition: -1, Kind: ErrNotFound}
		}
	}
}

func decodeFound(c *call, body []byte) (map[string][]byte, error) {
	status, list, err := wire.DecodeFound(c.keep(body))
	if err != nil {
		return nil, c.badDecode(err)
	}
	if status != 0 {
		return nil, c.badStatus(status)
	}
	found := make(map[string][]byte, len(list))
	for _, f := range list {
		if len(f.HashKey) <= key.MaxHashKeyLen {
			found[string(key.Append(nil, f.HashKey, f.SortKey))] = f.Value
		}
	}
	return found, nil
}

// BatchSet writes records of any hash keys, all at the same time. Records of one
// hash key with the same TTL go together in one atomic step; nothing else is
// atomic. The results hold an error per entry, nil for those written; the error
// is a *BatchError if there is one. Cancelling gives up the parts that wait; the
// batch ends with what became of each.
func (t *Table) BatchSet(ctx context.Context, entries []Entry) ([]error, error) {
	return waitBatch(ctx, t.BatchSetAsync(ctx, entries))
}

// BatchSetAsync is BatchSet without waiting.
func (t *Table) BatchSetAsync(ctx context.Context, entries []Entry) *Deferred[[]error] {
	type group struct {
		hashKey string
		ttl     time.Duration
	}
	b := newWriteBatch(ctx, t, "batch-set", len(entries))
	groups := groupBy(len(entries), func(i int) (group, bool) {
		return group{string(entries[i].HashKey), entries[i].TTL}, len(entries[i].HashKey) > 0
	})
	for _, indexes := range groups {
		first := entries[indexes[0]]
		if len(indexes) == 1 {
			b.add(1)
			t.prepareSet(first).startPart(b.ctx, b.done(indexes))
			continue
		}
		records := make([]Record, len(indexes))
		for n, i := range indexes {
			records[n] = Record{entries[i].SortKey, entries[i].Value}
		}
		b.add(1)
		t.multiSet(first.HashKey, records, first.TTL).startPart(b.ctx, b.done(indexes))
	}
	b.end()
	return b.d
}

// BatchDel deletes records of any hash keys, all at the same time; as BatchSet.
func (t *Table) BatchDel(ctx context.Context, keys []Key) ([]error, error) {
	return waitBatch(ctx, t.BatchDelAsync(ctx, keys))
}

// BatchDelAsync is BatchDel without waiting.
func (t *Table) BatchDelAsync(ctx context.Context, keys []Key) *Deferred[[]error] {
	b := newWriteBatch(ctx, t, "batch-del", len(keys))
	groups := groupBy(len(keys), func(i int) (string, bool) {
		return string(keys[i].HashKey), len(keys[i].HashKey) > 0
	})
	for _, indexes := range groups {
		b.add(1)
		if first := keys[indexes[0]]; len(indexes) == 1 {
			t.prepareDel(first).startPart(b.ctx, b.done(indexes))
			continue
		}
		sortKeys := make([][]byte, len(indexes))
		for n, i := range indexes {
			sortKeys[n] = keys[i].SortKey
		}
		t.multiDel(keys[indexes[0]].HashKey, sortKeys).startPart(b.ctx, b.done(indexes))
	}
	b.end()
	return b.d
}

// writeGroup bounds the records of one multi-record write of a batch.
const writeGroup = 500

// groupBy collects the indexes 0..n-1 by a key, in their order, cutting groups
// that grow too large. Those that must not be together with others (records under
// an empty hash key, which belong to different partitions) stay alone.
func groupBy[K comparable](n int, of func(int) (k K, together bool)) [][]int {
	open := map[K]int{}
	var groups [][]int
	for i := range n {
		k, together := of(i)
		at, ok := open[k]
		if together && ok && len(groups[at]) < writeGroup {
			groups[at] = append(groups[at], i)
			continue
		}
		if together {
			open[k] = len(groups)
		}
		groups = append(groups, []int{i})
	}
	return groups
}

type writeBatch struct{ *batch[error] }

func newWriteBatch(ctx context.Context, t *Table, op string, n int) writeBatch {
	b := writeBatch{newBatch(ctx, t, op, make([]error, n), func(e *error) error { return *e })}
	b.add(1)
	return b
}

// done gives what to do with the outcome of the entries at indexes.
func (b writeBatch) done(indexes []int) func(nothing, error) {
	return func(_ nothing, err error) {
		for _, i := range indexes {
			b.out[i] = err
		}
		b.end()
	}
}

func (t *Table) prepareSet(e Entry) prepared[nothing] {
	if err := checkKey(opSet.name, t.name, e.HashKey, false); err != nil {
		return prepared[nothing]{err: err}
	}
	at, err := checkTTL(opSet.name, t.name, e.TTL)
	if err != nil {
		return prepared[nothing]{err: err}
	}
	o := newOp(t, &opSet, key.Hash(e.HashKey, e.SortKey), decodeNothing)
	o.c.frame = wire.AppendPut(o.into(), e.HashKey, e.SortKey, e.Value, at)
	return prepared[nothing]{op: o}
}

func (t *Table) prepareDel(k Key) prepared[nothing] {
	if err := checkKey(opDel.name, t.name, k.HashKey, false); err != nil {
		return prepared[nothing]{err: err}
	}
	o := newOp(t, &opDel, key.Hash(k.HashKey, k.SortKey), decodeNothing)
	o.c.frame = wire.AppendKeyRequest(o.into(), wire.Remove, k.HashKey, k.SortKey)
	return prepared[nothing]{op: o}
}
