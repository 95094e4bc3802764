package read

import (
	"math"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

// SortKeyCount answers a sortkey_count: the live records of a hash key, however
// many; -1, with status 0, if the time limit strikes first.
func (r *Reader) SortKeyCount(v View, hashKey []byte) (*rrdb.CountResponse, error) {
	resp := &rrdb.CountResponse{AppID: r.TableID, PartitionIndex: r.PartitionIndex, Server: r.Server}
	if len(hashKey) > key.MaxHashKeyLen {
		resp.Error = int32(code.StatusInvalidArgument)
		return resp, nil
	}
	if !v.ownsAll(r.PartitionIndex, hashKey, nil) {
		return nil, ErrForeign
	}
	w := walk{
		src: v.Engine, hides: v.hides(r.PartitionIndex, hashKey), now: v.NowSec, in: ofHashKey(hashKey), headersOnly: true,
		timer: r.timer(v.Limits.Time), maxExamined: math.MaxInt, maxRows: math.MaxInt,
	}
	scratch := getScratch()
	defer putScratch(scratch)
	end, err := w.run(scratch, nil)
	switch {
	case err != nil:
		resp.Error = int32(statusOf(err))
	case end == timedOut:
		resp.Count = -1
	default:
		resp.Count = int64(w.rows)
	}
	return resp, err
}
