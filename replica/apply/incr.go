package apply

import (
	"strconv"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/rrdb"
)

func (o *op) incr(payload []byte) (Result, error) {
	var req rrdb.IncrRequest
	if !o.decode(payload, &req) || !wellFormed(req.Key.Bytes()) {
		return o.incrResponse(code.StatusInvalidArgument, 0, int64(o.index)), nil
	}
	k := req.Key.Bytes()
	if !o.ownsKey(k) {
		return Foreign, nil
	}
	rec, exists, err := o.lookup(k)
	if err != nil {
		return nil, err
	}
	value, expire, status := req.Increment, uint32(max(req.ExpireTsSeconds, 0)), code.StatusOK
	if exists {
		value, status = add(rec.value, req.Increment)
		expire = keptExpiry(rec.expire, req.ExpireTsSeconds)
	}
	if status == code.StatusOK {
		o.store(k, strconv.AppendInt(nil, value, 10), expire)
	}
	return o.incrResponse(status, value, int64(o.index)), nil
}

// add returns the sum and status 0, or status 4 with what the reply shows: 0 if
// stored is no number, the old value if the sum does not fit.
func add(stored []byte, increment int64) (int64, code.Status) {
	if len(stored) == 0 {
		return increment, code.StatusOK
	}
	old, ok := parseInt(stored)
	if !ok {
		return 0, code.StatusInvalidArgument
	}
	sum := old + increment
	if (sum > old) != (increment > 0) && increment != 0 {
		return old, code.StatusInvalidArgument
	}
	return sum, code.StatusOK
}

// keptExpiry is the expiry of a record that existed: a request of 0 keeps it, a
// negative one clears it.
func keptExpiry(stored uint32, requested int32) uint32 {
	switch {
	case requested == 0:
		return stored
	case requested < 0:
		return 0
	}
	return uint32(requested)
}
