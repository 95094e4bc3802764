package apply

import (
	"bytes"
	"iter"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/rrdb"
)

// outcome is what the replies of both conditional writes have in common. The
// zero fields are those of a request that did not ask for the checked value.
type outcome struct {
	status   code.Status
	returned bool
	exist    bool
	value    *base.Blob
}

var refused = outcome{status: code.StatusInvalidArgument}

func (o *op) checkAndSet(payload []byte) (Result, error) {
	var req rrdb.CheckAndSetRequest
	if !o.decode(payload, &req) || !validCheckAndSet(&req) {
		return o.checkAndSetResponse(refused, int64(o.index)), nil
	}
	if o.splits() && !o.ownsHashKey(req.HashKey.Bytes(), sortKeysOfSet(&req)) {
		return Foreign, nil
	}
	checked := o.encode(req.HashKey.Bytes(), req.CheckSortKey.Bytes())
	out, err := o.check(checked, req.CheckType, req.CheckOperand.Bytes(), req.ReturnCheckValue)
	if err != nil {
		return nil, err
	}
	if out.status == code.StatusOK {
		target := checked
		if req.SetDiffSortKey {
			target = o.encode(req.HashKey.Bytes(), req.SetSortKey.Bytes())
		}
		o.store(target, req.SetValue.Bytes(), uint32(req.SetExpireTsSeconds))
	}
	return o.checkAndSetResponse(out, int64(o.index)), nil
}

func (o *op) checkAndMutate(payload []byte) (Result, error) {
	var req rrdb.CheckAndMutateRequest
	if !o.decode(payload, &req) || !validCheckAndMutate(&req) {
		return o.checkAndMutateResponse(refused, int64(o.index)), nil
	}
	if o.splits() && !o.ownsHashKey(req.HashKey.Bytes(), sortKeysOfMutate(&req)) {
		return Foreign, nil
	}
	checked := o.encode(req.HashKey.Bytes(), req.CheckSortKey.Bytes())
	out, err := o.check(checked, req.CheckType, req.CheckOperand.Bytes(), req.ReturnCheckValue)
	if err != nil {
		return nil, err
	}
	if out.status == code.StatusOK {
		for _, m := range req.MutateList {
			o.mutate(req.HashKey.Bytes(), m)
		}
	}
	return o.checkAndMutateResponse(out, int64(o.index)), nil
}

func sortKeysOfSet(req *rrdb.CheckAndSetRequest) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if yield(req.CheckSortKey.Bytes()) && req.SetDiffSortKey {
			yield(req.SetSortKey.Bytes())
		}
	}
}

func sortKeysOfMutate(req *rrdb.CheckAndMutateRequest) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		more := yield(req.CheckSortKey.Bytes())
		for i := 0; more && i < len(req.MutateList); i++ {
			more = yield(req.MutateList[i].SortKey.Bytes())
		}
	}
}

func (o *op) mutate(hashKey []byte, m *rrdb.Mutate) {
	k := o.encode(hashKey, m.SortKey.Bytes())
	if m.Operation == rrdb.MutateOperation_MO_DELETE {
		o.erase(k)
		return
	}
	o.store(k, m.Value.Bytes(), uint32(m.SetExpireTsSeconds))
}

// check looks at the record of k. The value shown in the reply is that before
// the write, also if the check fails.
func (o *op) check(k []byte, t rrdb.CasCheckType, operand []byte, show bool) (outcome, error) {
	rec, exist, err := o.lookup(k)
	if err != nil {
		return outcome{}, err
	}
	out := outcome{status: checkPasses(t, rec.value, exist, operand)}
	if show {
		out.returned, out.exist = true, exist
	}
	if show && exist {
		out.value = base.BlobOf(bytes.Clone(rec.value))
	}
	return out, nil
}

func validCheckAndSet(req *rrdb.CheckAndSetRequest) bool {
	return validCheckType(req.CheckType) && validHashKey(req.HashKey.Bytes())
}

func validCheckAndMutate(req *rrdb.CheckAndMutateRequest) bool {
	if len(req.MutateList) == 0 || !validCheckType(req.CheckType) || !validHashKey(req.HashKey.Bytes()) {
		return false
	}
	for _, m := range req.MutateList {
		if m.Operation != rrdb.MutateOperation_MO_PUT && m.Operation != rrdb.MutateOperation_MO_DELETE {
			return false
		}
	}
	return true
}
