package client

import (
	"bytes"
	"context"
	"time"

	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

const (
	rpcCheckAndSet    = "RPC_RRDB_RRDB_CHECK_AND_SET"
	rpcCheckAndMutate = "RPC_RRDB_RRDB_CHECK_AND_MUTATE"
)

var (
	opCheckAndSet     = opSpec{name: "check-and-set", class: classWrite, write: true, once: true}
	opCheckAndMutate  = opSpec{name: "check-and-mutate", class: classWrite, write: true, once: true}
	opCompareExchange = opSpec{name: "compare-exchange", class: classWrite, write: true, once: true}
)

// CheckType is the test of a conditional write.
type CheckType int

// The tests. All but the first three need a record that exists. Byte comparison
// is unsigned, a prefix being smaller; number comparison needs value and operand
// to be integers.
const (
	NoCheck CheckType = iota
	ValueNotExist
	ValueNotExistOrEmpty
	ValueExist
	ValueNotEmpty
	ValueContains
	ValueHasPrefix
	ValueHasPostfix
	BytesLess
	BytesLessOrEqual
	BytesEqual
	BytesGreaterOrEqual
	BytesGreater
	IntLess
	IntLessOrEqual
	IntEqual
	IntGreaterOrEqual
	IntGreater
)

// Check is the condition of a conditional write: the record at SortKey against
// Operand.
type Check struct {
	SortKey []byte
	Type    CheckType
	Operand []byte
	// ReturnValue asks for the value that was tested.
	ReturnValue bool
}

// CheckResult is the outcome of a conditional write. A check that did not pass is
// a result, not an error.
type CheckResult struct {
	Passed bool
	// Value and Exist describe the record tested, as it was before; only if
	// ReturnValue was set.
	Value []byte
	Exist bool
}

// Put is a write of one record; TTL 0 is none.
type Put struct {
	SortKey, Value []byte
	TTL            time.Duration
}

// Mutation is one step of a CheckAndMutate.
type Mutation struct {
	put    Put
	delete bool
}

// PutMutation writes a record; ttl 0 is none.
func PutMutation(sortKey, value []byte, ttl time.Duration) Mutation {
	return Mutation{put: Put{sortKey, value, ttl}}
}

// DeleteMutation deletes a record.
func DeleteMutation(sortKey []byte) Mutation {
	return Mutation{put: Put{SortKey: sortKey}, delete: true}
}

// CheckAndSet writes a record if the check passes, in one atomic step. Both are
// under the same hash key. It is never repeated after an unknown outcome.
func (t *Table) CheckAndSet(ctx context.Context, hashKey []byte, c Check, p Put) (CheckResult, error) {
	return waitOrCancel(ctx, t.checkAndSet(&opCheckAndSet, hashKey, c, p).start(ctx, true))
}

// CheckAndSetAsync is CheckAndSet without waiting.
func (t *Table) CheckAndSetAsync(ctx context.Context, hashKey []byte, c Check, p Put) *Deferred[CheckResult] {
	return t.checkAndSet(&opCheckAndSet, hashKey, c, p).start(ctx, false)
}

func (t *Table) checkAndSet(spec *opSpec, hashKey []byte, c Check, p Put) prepared[CheckResult] {
	at, err := t.checkCheck(spec, hashKey, c, p.TTL)
	if err != nil {
		return prepared[CheckResult]{err: err}
	}
	req := &rrdb.CheckAndSetRequest{
		HashKey: base.BlobOf(hashKey), CheckSortKey: base.BlobOf(c.SortKey),
		CheckType: rrdb.CasCheckType(c.Type), CheckOperand: base.BlobOf(c.Operand),
		SetDiffSortKey: !bytes.Equal(c.SortKey, p.SortKey), SetSortKey: base.BlobOf(p.SortKey),
		SetValue: base.BlobOf(p.Value), SetExpireTsSeconds: at, ReturnCheckValue: c.ReturnValue,
	}
	o := newOp(t, spec, key.Hash(hashKey, nil), decodeCheck)
	o.c.frame = wire.AppendRequest(o.into(), rpcCheckAndSet, req)
	return prepared[CheckResult]{op: o}
}

func (t *Table) checkCheck(spec *opSpec, hashKey []byte, c Check, ttl time.Duration) (int32, error) {
	if err := checkKey(spec.name, t.name, hashKey, true); err != nil {
		return 0, err
	}
	if c.Type < NoCheck || c.Type > IntGreater {
		return 0, invalid(spec.name, t.name, "check type %d", c.Type)
	}
	return checkTTL(spec.name, t.name, ttl)
}

func decodeCheck(c *call, body []byte) (CheckResult, error) {
	r, err := wire.DecodeCheck(body)
	if err != nil {
		return CheckResult{}, c.badDecode(err)
	}
	if r.Status != 0 && r.Status != statusTryAgain {
		return CheckResult{}, c.badStatus(r.Status)
	}
	out := CheckResult{Passed: r.Status == 0, Exist: r.Returned && r.Exist}
	if out.Exist {
		out.Value = append([]byte{}, r.Value...)
	}
	return out, nil
}

// CheckAndMutate carries out mutations, in order, if the check passes, all in one
// atomic step. All are under the same hash key. It is never repeated after an
// unknown outcome.
func (t *Table) CheckAndMutate(ctx context.Context, hashKey []byte, c Check, mutations []Mutation) (CheckResult, error) {
	return waitOrCancel(ctx, t.checkAndMutate(hashKey, c, mutations).start(ctx, true))
}

// CheckAndMutateAsync is CheckAndMutate without waiting.
func (t *Table) CheckAndMutateAsync(ctx context.Context, hashKey []byte, c Check, mutations []Mutation) *Deferred[CheckResult] {
	return t.checkAndMutate(hashKey, c, mutations).start(ctx, false)
}

func (t *Table) checkAndMutate(hashKey []byte, c Check, mutations []Mutation) prepared[CheckResult] {
	spec := &opCheckAndMutate
	if _, err := t.checkCheck(spec, hashKey, c, 0); err != nil {
		return prepared[CheckResult]{err: err}
	}
	if len(mutations) == 0 {
		return prepared[CheckResult]{err: invalid(spec.name, t.name, "no mutations")}
	}
	req := &rrdb.CheckAndMutateRequest{
		HashKey: base.BlobOf(hashKey), CheckSortKey: base.BlobOf(c.SortKey),
		CheckType: rrdb.CasCheckType(c.Type), CheckOperand: base.BlobOf(c.Operand), ReturnCheckValue: c.ReturnValue,
	}
	for _, m := range mutations {
		at, err := checkTTL(spec.name, t.name, m.put.TTL)
		if err != nil {
			return prepared[CheckResult]{err: err}
		}
		step := &rrdb.Mutate{SortKey: base.BlobOf(m.put.SortKey), Value: base.BlobOf(m.put.Value), SetExpireTsSeconds: at}
		if m.delete {
			step.Operation = rrdb.MutateOperation_MO_DELETE
		}
		req.MutateList = append(req.MutateList, step)
	}
	o := newOp(t, spec, key.Hash(hashKey, nil), decodeCheck)
	o.c.frame = wire.AppendRequest(o.into(), rpcCheckAndMutate, req)
	return prepared[CheckResult]{op: o}
}

// ExchangeResult is the outcome of a CompareExchange. If it was not done, Actual
// and Exist describe the record as it is.
type ExchangeResult struct {
	Exchanged bool
	Actual    []byte
	Exist     bool
}

// CompareExchange sets a value if the present one equals expected; the record
// must exist. ttl is of the new value, 0 for none. It is never repeated after an
// unknown outcome.
func (t *Table) CompareExchange(ctx context.Context, hashKey, sortKey, expected, desired []byte, ttl time.Duration) (ExchangeResult, error) {
	r, err := waitOrCancel(ctx, t.compareExchange(hashKey, sortKey, expected, desired, ttl).start(ctx, true))
	if err != nil {
		return ExchangeResult{}, err
	}
	return exchangeOf(r)
}

// CompareExchangeAsync is CompareExchange without waiting.
func (t *Table) CompareExchangeAsync(ctx context.Context, hashKey, sortKey, expected, desired []byte, ttl time.Duration) *Deferred[ExchangeResult] {
	return Then(t.compareExchange(hashKey, sortKey, expected, desired, ttl).start(ctx, false), exchangeOf)
}

func (t *Table) compareExchange(hashKey, sortKey, expected, desired []byte, ttl time.Duration) prepared[CheckResult] {
	return t.checkAndSet(&opCompareExchange, hashKey,
		Check{SortKey: sortKey, Type: BytesEqual, Operand: expected, ReturnValue: true},
		Put{SortKey: sortKey, Value: desired, TTL: ttl})
}

func exchangeOf(r CheckResult) (ExchangeResult, error) {
	if r.Passed {
		return ExchangeResult{Exchanged: true}, nil
	}
	return ExchangeResult{Actual: r.Value, Exist: r.Exist}, nil
}
