package read

import (
	"slices"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

// MultiGet answers a multi_get: records of one hash key, by their sort keys or
// by a range. Status Incomplete means that a limit left records of the request
// unexamined, and only that; a client pages on exactly as long as it sees it.
func (r *Reader) MultiGet(v View, req *rrdb.MultiGetRequest) (*RangeReply, error) {
	valid := validFilter(req.SortKeyFilterType) && req.HashKey.Len() <= key.MaxHashKeyLen
	if valid && !v.ownsAll(r.PartitionIndex, req.HashKey.Bytes(), req.SortKeys) {
		return nil, ErrForeign
	}
	resp := r.newReply(false)
	if !valid {
		resp.fail(code.StatusInvalidArgument)
		return resp, nil
	}
	fill := r.multiGetRange
	if len(req.SortKeys) > 0 {
		fill = r.multiGetPoints
	}
	more, err := fill(v, req, resp)
	switch {
	case err != nil:
		resp.fail(statusOf(err))
	case more:
		resp.status = code.StatusIncomplete
	}
	return resp, err
}

// limitOf is a server limit that a request may lower.
func limitOf(server int, requested int32) int {
	if requested > 0 {
		return min(server, int(requested))
	}
	return server
}

func (r *Reader) multiGetRange(v View, req *rrdb.MultiGetRequest, resp *RangeReply) (bool, error) {
	sortKeys := filter{req.SortKeyFilterType, req.SortKeyFilterPattern.Bytes()}
	hashKey := req.HashKey.Bytes()
	prefixLen := len(key.Append(nil, hashKey, nil))
	w := walk{
		src: v.Engine, now: v.NowSec, in: multiGetInterval(req, sortKeys), reverse: req.Reverse,
		hides:       v.hides(r.PartitionIndex, hashKey),
		headersOnly: req.NoValue, keyFrom: prefixLen, timer: r.timer(v.Limits.Time),
		maxExamined: v.Limits.Examined,
		maxRows:     limitOf(v.Limits.Rows, req.MaxKvCount),
		maxBytes:    limitOf(v.Limits.Bytes, req.MaxKvSize),
	}
	if !sortKeys.trivial() && sortKeys.prefix() == nil {
		w.keep = func(encoded []byte) bool { return sortKeys.passes(encoded[prefixLen:]) }
	}
	resp.keyFrom, resp.noValue, resp.reversed = prefixLen, req.NoValue, req.Reverse
	end, err := w.run(resp.s, resp.flush)
	resp.rows, resp.bytes = w.rows, w.bytes
	return end != complete, err
}

// multiGetInterval lies within the hash key always. A prefix filter narrows it,
// so rows without the prefix are not even examined.
func multiGetInterval(req *rrdb.MultiGetRequest, sortKeys filter) interval {
	hashKey := req.HashKey.Bytes()
	in := ofHashKey(hashKey)
	in.lower = from(key.Append(nil, hashKey, req.StartSortkey.Bytes()), req.StartInclusive)
	if stop := req.StopSortkey.Bytes(); len(stop) > 0 {
		in.upper = upTo(key.Append(nil, hashKey, stop), req.StopInclusive)
	}
	if p := sortKeys.prefix(); len(p) > 0 {
		in = in.and(ofPrefix(hashKey, p))
	}
	return in
}

// multiGetPoints keeps the request's order; a key asked for twice is returned
// twice. A limit counts only once one more existing record is behind it.
func (r *Reader) multiGetPoints(v View, req *rrdb.MultiGetRequest, resp *RangeReply) (bool, error) {
	hashKey := req.HashKey.Bytes()
	l := lookup{
		src: v.Engine, pace: &r.pace, now: v.NowSec, timer: r.timer(v.Limits.Time), n: len(req.SortKeys),
		encode: func(dst []byte, i int) []byte { return key.Append(dst, hashKey, req.SortKeys[i].Bytes()) },
	}
	maxRows, maxBytes := limitOf(v.Limits.Rows, req.MaxKvCount), limitOf(v.Limits.Bytes, req.MaxKvSize)
	return l.each(resp.s, func(i int, value []byte) bool {
		if resp.rows >= maxRows || resp.bytes >= maxBytes {
			return false
		}
		if req.NoValue {
			value = nil
		}
		resp.add(req.SortKeys[i].Bytes(), value)
		return true
	})
}

// BatchGet answers a batch_get: records of any hash keys of the partition, in
// the request's order, absent ones left out. Pegasus has no size limit here and
// may build a reply no frame can hold; we stop at Limits.Bytes with Incomplete.
func (r *Reader) BatchGet(v View, req *rrdb.BatchGetRequest) (*rrdb.BatchGetResponse, error) {
	resp := &rrdb.BatchGetResponse{AppID: r.TableID, PartitionIndex: r.PartitionIndex, Server: r.Server}
	if !validBatchGet(req) {
		resp.Error = int32(code.StatusInvalidArgument)
		return resp, nil
	}
	for _, k := range req.Keys {
		if v.HashCount > 0 && !v.owns(key.Hash(k.HashKey.Bytes(), k.SortKey.Bytes()), r.PartitionIndex) {
			return nil, ErrForeign
		}
	}
	more, err := r.batchGet(v, req, resp)
	switch {
	case err != nil:
		resp.Error, resp.Data = int32(statusOf(err)), nil
	case more:
		resp.Error = int32(code.StatusIncomplete)
	}
	return resp, err
}

func validBatchGet(req *rrdb.BatchGetRequest) bool {
	return len(req.Keys) > 0 && !slices.ContainsFunc(req.Keys, func(k *rrdb.FullKey) bool {
		return k.HashKey.Len() > key.MaxHashKeyLen
	})
}

func (r *Reader) batchGet(v View, req *rrdb.BatchGetRequest, resp *rrdb.BatchGetResponse) (bool, error) {
	l := lookup{
		src: v.Engine, pace: &r.pace, now: v.NowSec, timer: r.timer(v.Limits.Time), n: len(req.Keys),
		encode: func(dst []byte, i int) []byte {
			return key.Append(dst, req.Keys[i].HashKey.Bytes(), req.Keys[i].SortKey.Bytes())
		},
	}
	s := getScratch()
	defer putScratch(s)
	size := 0
	return l.each(s, func(i int, value []byte) bool {
		if size >= v.Limits.Bytes {
			return false
		}
		k := req.Keys[i]
		resp.Data = append(resp.Data, fullData(k, value))
		size += k.HashKey.Len() + k.SortKey.Len() + len(value)
		return true
	})
}

// fullData copies a record into one allocation of bytes and one of structs.
func fullData(k *rrdb.FullKey, value []byte) *rrdb.FullData {
	d := &struct {
		rrdb.FullData
		hash, sort, value base.Blob
	}{}
	arena := make([]byte, 0, k.HashKey.Len()+k.SortKey.Len()+len(value))
	arena, d.hash.Data = stow(arena, k.HashKey.Bytes())
	arena, d.sort.Data = stow(arena, k.SortKey.Bytes())
	_, d.value.Data = stow(arena, value)
	d.HashKey, d.SortKey, d.Value = &d.hash, &d.sort, &d.value
	return &d.FullData
}

// stow copies b into the arena, whose capacity suffices, and returns the copy.
func stow(arena, b []byte) (rest, kept []byte) {
	n := len(arena)
	arena = append(arena, b...)
	return arena, arena[n:len(arena):len(arena)]
}
