package client

import (
	"context"
	"math"
	"time"

	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

const (
	rpcMultiPut    = "RPC_RRDB_RRDB_MULTI_PUT"
	rpcMultiRemove = "RPC_RRDB_RRDB_MULTI_REMOVE"
)

var (
	opMultiGet      = opSpec{name: "multi-get", class: classRead, hedge: true}
	opMultiGetRange = opSpec{name: "multi-get-range", class: classRead, hedge: true}
	opGetSortKeys   = opSpec{name: "get-sort-keys", class: classRead, hedge: true}
	opMultiSet      = opSpec{name: "multi-set", class: classWrite, write: true}
	opMultiDel      = opSpec{name: "multi-del", class: classWrite, write: true}
)

// Record is one record under a hash key.
type Record struct{ SortKey, Value []byte }

// Records is the answer to a MultiGet. Complete is false if a limit, given or
// the server's, left records out: ask again from behind the last one.
type Records struct {
	Records  []Record
	Complete bool
}

// MultiGetOptions limits a MultiGet. The zero value asks for as much as the
// server gives: 3000 records, 30 MiB.
type MultiGetOptions struct {
	MaxCount int  // records; 0 = the server's limit
	MaxBytes int  // of keys and values; 0 = the server's limit
	NoValue  bool // leave the values empty
}

// FilterType says where a filter's pattern must occur.
type FilterType int

// The filters compare bytes; there are no wildcards.
const (
	NoFilter FilterType = iota
	MatchAnywhere
	MatchPrefix
	MatchPostfix
)

// Filter passes keys that match. An empty pattern matches all.
type Filter struct {
	Type    FilterType
	Pattern []byte
}

func (f Filter) ok() bool { return f.Type >= NoFilter && f.Type <= MatchPostfix }

// Range selects sort keys of one hash key. The zero value selects them all: from
// Start, inclusive, to Stop, exclusive, as in a slice expression.
type Range struct {
	Start, Stop    []byte // an empty Stop is the end of the hash key
	StartExclusive bool
	StopInclusive  bool // of no meaning with an empty Stop
	Filter         Filter
}

// RangeOptions is a Range with limits. Reverse takes records from the end of the
// range; they still come in ascending order.
type RangeOptions struct {
	Range
	MultiGetOptions
	Reverse bool
}

// MultiGet reads several records of a hash key. Those that do not exist are left
// out; the others come in the order asked for.
func (t *Table) MultiGet(ctx context.Context, hashKey []byte, sortKeys [][]byte, o MultiGetOptions) (Records, error) {
	return waitOrCancel(ctx, t.multiGet(ctx, hashKey, sortKeys, o, true))
}

// MultiGetAsync is MultiGet without waiting.
func (t *Table) MultiGetAsync(ctx context.Context, hashKey []byte, sortKeys [][]byte, o MultiGetOptions) *Deferred[Records] {
	return t.multiGet(ctx, hashKey, sortKeys, o, false)
}

func (t *Table) multiGet(ctx context.Context, hashKey []byte, sortKeys [][]byte, o MultiGetOptions, sync bool) *Deferred[Records] {
	if len(sortKeys) == 0 {
		// To the server no keys would mean all keys.
		return Fail[Records](invalid(opMultiGet.name, t.name, "no sort keys; use MultiGetRange for all of them"))
	}
	if err := checkKey(opMultiGet.name, t.name, hashKey, true); err != nil {
		return Fail[Records](err)
	}
	c := newOp(t, &opMultiGet, key.Hash(hashKey, nil), decodeRecords)
	c.c.frame = wire.AppendMultiGet(c.into(), hashKey, sortKeys,
		wire.MultiGetLimits{Count: clamp(o.MaxCount), Bytes: clamp(o.MaxBytes), NoValue: o.NoValue})
	return c.start(ctx, sync)
}

// MultiGetRange reads a range of the records of a hash key, in ascending order.
func (t *Table) MultiGetRange(ctx context.Context, hashKey []byte, o RangeOptions) (Records, error) {
	return waitOrCancel(ctx, t.multiGetRange(ctx, &opMultiGetRange, hashKey, o, true))
}

// MultiGetRangeAsync is MultiGetRange without waiting.
func (t *Table) MultiGetRangeAsync(ctx context.Context, hashKey []byte, o RangeOptions) *Deferred[Records] {
	return t.multiGetRange(ctx, &opMultiGetRange, hashKey, o, false)
}

func (t *Table) multiGetRange(ctx context.Context, spec *opSpec, hashKey []byte, o RangeOptions, sync bool) *Deferred[Records] {
	if !o.Filter.ok() {
		return Fail[Records](invalid(spec.name, t.name, "filter type %d", o.Filter.Type))
	}
	if err := checkKey(spec.name, t.name, hashKey, true); err != nil {
		return Fail[Records](err)
	}
	c := newOp(t, spec, key.Hash(hashKey, nil), decodeRecords)
	c.c.frame = wire.AppendRequest(c.into(), wire.MultiGet, &rrdb.MultiGetRequest{
		HashKey: base.BlobOf(hashKey), MaxKvCount: clamp(o.MaxCount), MaxKvSize: clamp(o.MaxBytes), NoValue: o.NoValue,
		StartSortkey: base.BlobOf(o.Start), StopSortkey: base.BlobOf(o.Stop),
		StartInclusive: !o.StartExclusive, StopInclusive: o.StopInclusive,
		SortKeyFilterType: rrdb.FilterType(o.Filter.Type), SortKeyFilterPattern: base.BlobOf(o.Filter.Pattern),
		Reverse: o.Reverse,
	})
	return c.start(ctx, sync)
}

// SortKeys is the answer to GetSortKeys; Complete as in Records.
type SortKeys struct {
	SortKeys [][]byte
	Complete bool
}

// GetSortKeys reads the sort keys of a hash key without the values.
func (t *Table) GetSortKeys(ctx context.Context, hashKey []byte, o MultiGetOptions) (SortKeys, error) {
	r, err := waitOrCancel(ctx, t.getSortKeys(ctx, hashKey, o, true))
	return sortKeysOf(r), err
}

// GetSortKeysAsync is GetSortKeys without waiting.
func (t *Table) GetSortKeysAsync(ctx context.Context, hashKey []byte, o MultiGetOptions) *Deferred[SortKeys] {
	d := t.getSortKeys(ctx, hashKey, o, false)
	return Then(d, func(r Records) (SortKeys, error) { return sortKeysOf(r), nil })
}

func (t *Table) getSortKeys(ctx context.Context, hashKey []byte, o MultiGetOptions, sync bool) *Deferred[Records] {
	o.NoValue = true
	return t.multiGetRange(ctx, &opGetSortKeys, hashKey, RangeOptions{MultiGetOptions: o}, sync)
}

func sortKeysOf(r Records) SortKeys {
	out := SortKeys{Complete: r.Complete}
	if len(r.Records) > 0 {
		out.SortKeys = make([][]byte, len(r.Records))
	}
	for i := range r.Records {
		out.SortKeys[i] = r.Records[i].SortKey
	}
	return out
}

func clamp(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }

// decodeRecords makes records that are parts of the body, or of one copy of it.
func decodeRecords(c *call, body []byte) (Records, error) {
	in := wire.ReadRows(c.keep(body))
	var list []Record
	if in.Len() > 0 {
		list = make([]Record, 0, in.Len())
	}
	for r := (wire.Row{}); in.Next(&r); {
		list = append(list, Record{SortKey: r.Key, Value: r.Value})
	}
	rows, err := in.End()
	if err != nil {
		return Records{}, c.badDecode(err)
	}
	if rows.Status != 0 && rows.Status != statusIncomplete {
		return Records{}, c.badStatus(rows.Status)
	}
	return Records{Records: list, Complete: rows.Status == 0}, nil
}

// MultiSet writes several records of a hash key in one atomic step. Of equal sort
// keys the last one counts.
func (t *Table) MultiSet(ctx context.Context, hashKey []byte, records []Record) error {
	return t.MultiSetTTL(ctx, hashKey, records, 0)
}

// MultiSetTTL is MultiSet with a time to live for all the records; 0 is none.
func (t *Table) MultiSetTTL(ctx context.Context, hashKey []byte, records []Record, ttl time.Duration) error {
	_, err := waitOrCancel(ctx, t.multiSet(hashKey, records, ttl).start(ctx, true))
	return err
}

// MultiSetAsync is MultiSet without waiting.
func (t *Table) MultiSetAsync(ctx context.Context, hashKey []byte, records []Record) *Deferred[struct{}] {
	return t.multiSet(hashKey, records, 0).start(ctx, false)
}

// MultiSetTTLAsync is MultiSetTTL without waiting.
func (t *Table) MultiSetTTLAsync(ctx context.Context, hashKey []byte, records []Record, ttl time.Duration) *Deferred[struct{}] {
	return t.multiSet(hashKey, records, ttl).start(ctx, false)
}

func (t *Table) multiSet(hashKey []byte, records []Record, ttl time.Duration) prepared[nothing] {
	if err := checkKey(opMultiSet.name, t.name, hashKey, true); err != nil {
		return prepared[nothing]{err: err}
	}
	if len(records) == 0 {
		return prepared[nothing]{err: invalid(opMultiSet.name, t.name, "no records")}
	}
	at, err := checkTTL(opMultiSet.name, t.name, ttl)
	if err != nil {
		return prepared[nothing]{err: err}
	}
	req := &rrdb.MultiPutRequest{HashKey: base.BlobOf(hashKey), Kvs: make([]*rrdb.KeyValue, len(records)), ExpireTsSeconds: at}
	for i, r := range records {
		req.Kvs[i] = &rrdb.KeyValue{Key: base.BlobOf(r.SortKey), Value: base.BlobOf(r.Value)}
	}
	o := newOp(t, &opMultiSet, key.Hash(hashKey, nil), decodeNothing)
	o.c.frame = wire.AppendRequest(o.into(), rpcMultiPut, req)
	return prepared[nothing]{op: o}
}

// prepared is a call ready to be started, or what is wrong with it.
type prepared[T any] struct {
	op  *op[T]
	err error
}

func (p prepared[T]) start(ctx context.Context, sync bool) *Deferred[T] {
	if p.err != nil {
		return Fail[T](p.err)
	}
	return p.op.start(ctx, sync)
}

func (p prepared[T]) startPart(ctx context.Context, then func(T, error)) {
	if p.err != nil {
		var zero T
		then(zero, p.err)
		return
	}
	p.op.startPart(ctx, then)
}

// MultiDel deletes several records of a hash key in one atomic step; those that
// do not exist are fine.
func (t *Table) MultiDel(ctx context.Context, hashKey []byte, sortKeys [][]byte) error {
	_, err := waitOrCancel(ctx, t.multiDel(hashKey, sortKeys).start(ctx, true))
	return err
}

// MultiDelAsync is MultiDel without waiting.
func (t *Table) MultiDelAsync(ctx context.Context, hashKey []byte, sortKeys [][]byte) *Deferred[struct{}] {
	return t.multiDel(hashKey, sortKeys).start(ctx, false)
}

func (t *Table) multiDel(hashKey []byte, sortKeys [][]byte) prepared[nothing] {
	if err := checkKey(opMultiDel.name, t.name, hashKey, true); err != nil {
		return prepared[nothing]{err: err}
	}
	if len(sortKeys) == 0 {
		return prepared[nothing]{err: invalid(opMultiDel.name, t.name, "no sort keys")}
	}
	req := &rrdb.MultiRemoveRequest{HashKey: base.BlobOf(hashKey), SortKeys: blobs(sortKeys)}
	o := newOp(t, &opMultiDel, key.Hash(hashKey, nil), decodeNothing)
	o.c.frame = wire.AppendRequest(o.into(), rpcMultiRemove, req)
	return prepared[nothing]{op: o}
}

func blobs(list [][]byte) []*base.Blob {
	out := make([]*base.Blob, len(list))
	for i, b := range list {
		out[i] = base.BlobOf(b)
	}
	return out
}
