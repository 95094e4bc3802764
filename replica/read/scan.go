package read

import (
	"bytes"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/engine"
)

// Context ids with a meaning of their own.
const (
	scanFinished = -1
	noContext    = 0 // in error replies
)

// scan is an open scan between two batches. It owns its bytes.
type scan struct {
	in                 interval // what is left to do
	batch              int
	hashKeys, sortKeys filter
	noValue            bool
	countOnly          bool
	withExpire         bool
	validate           bool  // skip foreign records if the table says so
	hashCount          int32 // of the partition when the scan began
}

// size is the memory a waiting scan takes, about.
func (s *scan) size() int {
	return scanOverhead + len(s.in.lower) + len(s.in.upper) + len(s.hashKeys.pattern) + len(s.sortKeys.pattern)
}

// maxScanSize is the most one scan may keep waiting. Keys and patterns beyond the
// write limit (1 MiB) match nothing that can exist, and a client must not push
// out everybody's contexts with a few frames.
const maxScanSize = 2 << 20

// scanOverhead is the struct, its map entry and its list elements, rounded up.
const scanOverhead = 512

// GetScanner answers a get_scanner: it opens a scan and returns the first batch.
func (r *Reader) GetScanner(v View, req *rrdb.GetScannerRequest) (*RangeReply, error) {
	s, ok := newScan(req, v.Limits)
	if !ok {
		return r.failedScan(code.StatusInvalidArgument), nil
	}
	if hashKey, confined, _ := confines(req, req.StartKey.Bytes(), req.StopKey.Bytes()); confined && !v.owns(key.Hash(hashKey, nil), r.PartitionIndex) {
		return nil, ErrForeign
	}
	s.hashCount = v.HashCount
	return r.nextBatch(v, s, v.Limits.ScanRows)
}

// Scan answers a scan: the next batch. The id is used up; the reply has another. A
// scan from before a split is refused for good: part of what it has not seen yet
// may be elsewhere now.
func (r *Reader) Scan(v View, req *rrdb.ScanRequest) (*RangeReply, error) {
	if count, ok := r.Contexts.hashCount(req.ContextID); ok && count != v.HashCount {
		return nil, ErrForeign
	}
	s, ok := r.Contexts.take(req.ContextID)
	if !ok {
		return r.failedScan(code.StatusNotFound), nil
	}
	return r.nextBatch(v, s, s.batch)
}

// ClearScanner drops a context. It is never answered.
func (r *Reader) ClearScanner(id int64) { r.Contexts.take(id) }

// newScan reads the parameters; it refuses unknown filters, a start key that
// claims a hash key it does not hold, and parameters of absurd size.
func newScan(req *rrdb.GetScannerRequest, l Limits) (*scan, bool) {
	if !validFilter(req.HashKeyFilterType) || !validFilter(req.SortKeyFilterType) {
		return nil, false
	}
	s := &scan{
		batch:      l.ScanRows,
		hashKeys:   filter{req.HashKeyFilterType, bytes.Clone(req.HashKeyFilterPattern.Bytes())},
		sortKeys:   filter{req.SortKeyFilterType, bytes.Clone(req.SortKeyFilterPattern.Bytes())},
		noValue:    req.NoValue,
		countOnly:  req.OnlyReturnCount,
		withExpire: optional(req.ReturnExpireTs, false),
		validate:   optional(req.ValidatePartitionHash, true),
	}
	if req.BatchSize > 0 {
		s.batch = min(s.batch, int(req.BatchSize))
	}
	var ok bool
	s.in, ok = scanInterval(req)
	if p := s.hashKeys.prefix(); len(p) > 0 && ok {
		s.in = s.in.and(fromHashKey(p))
	}
	return s, ok && s.size() <= maxScanSize
}

func optional(b *bool, absent bool) bool {
	if b == nil {
		return absent
	}
	return *b
}

// scanInterval is what the bounds of a request select. Bounds of less than two
// bytes are taken as bytes: an empty start is the beginning, an empty stop the
// end of the partition.
func scanInterval(req *rrdb.GetScannerRequest) (interval, bool) {
	start, stop := req.StartKey.Bytes(), req.StopKey.Bytes()
	in := interval{lower: from(start, req.StartInclusive), upper: engine.InternalPrefix}
	hashKey, confined, ok := confines(req, start, stop)
	if !ok {
		return in, false
	}
	// python ends a scan of one hash key by a stop key that lacks the length
	// prefix. Such a stop says nothing about key order: the hash key ends the scan.
	_, _, malformed := key.Decode(stop)
	if len(stop) > 0 && !(confined && malformed != nil) {
		in = in.and(interval{upper: upTo(stop, req.StopInclusive)})
	}
	if confined {
		in = in.and(ofHashKey(hashKey))
	}
	return in, true
}

// confines tells whether the scan stays within one hash key: that of the start
// key, whatever the stop key says.
func confines(req *rrdb.GetScannerRequest, start, stop []byte) (hashKey []byte, confined, ok bool) {
	if optional(req.FullScan, false) || len(start) < 2 {
		return nil, false, true
	}
	hashKey, _, err := key.Decode(start)
	if err != nil {
		return nil, false, false
	}
	return hashKey, len(hashKey) > 0 && !resumesFullScan(req, hashKey, stop), true
}

// resumesFullScan recognises how go and java go on with a broken scan of a
// partition: from the last key, exclusive, to ff ff, and without full_scan. Only
// a python scan of the hash key whose successor is ff ff looks alike, and that
// one starts inclusive.
func resumesFullScan(req *rrdb.GetScannerRequest, hashKey, stop []byte) bool {
	if !bytes.Equal(stop, engine.InternalPrefix) {
		return false
	}
	return !req.StartInclusive || !bytes.Equal(key.Successor(hashKey), stop)
}

// fromHashKey is everything from a hash key on. The length prefix orders keys,
// so hash keys with a common prefix are not together and the end stays open. No
// hash key starts with a pattern longer than hash keys can be.
func fromHashKey(prefix []byte) interval {
	in := all()
	in.lower = in.upper
	if len(prefix) <= key.MaxHashKeyLen {
		in.lower = key.Append(nil, prefix, nil)
	}
	return in
}

// nextBatch walks on and parks the scan if more is left. A batch may be empty
// and yet not the last, when everything in it was filtered or expired.
func (r *Reader) nextBatch(v View, s *scan, maxExamined int) (*RangeReply, error) {
	w := walk{
		src: v.Engine, now: v.NowSec, in: s.in, headersOnly: s.noValue || s.countOnly,
		timer:       r.timer(v.Limits.Time),
		maxExamined: maxExamined, maxRows: s.batch,
		keep: s.filter(v, r.PartitionIndex),
	}
	resp := r.newReply(true)
	resp.noValue, resp.withExpire, resp.contextID = s.noValue, s.withExpire, scanFinished
	flush := resp.flush
	if s.countOnly {
		flush = nil
	} else {
		w.maxBytes = v.Limits.ScanBytes
	}
	end, err := w.run(resp.s, flush)
	if err != nil {
		resp.fail(statusOf(err))
		return resp, err
	}
	if s.countOnly {
		resp.s.picks = resp.s.picks[:0]
		resp.counted, resp.kvCount = true, int32(w.rows)
	} else {
		resp.rows, resp.bytes = w.rows, w.bytes
	}
	switch end {
	case limited:
		s.in.lower = w.next
		resp.contextID = r.Contexts.put(s)
	case timedOut:
		resp.status, resp.contextID = code.StatusIncomplete, noContext
	}
	return resp, nil
}

// filter returns the condition on encoded keys, nil if there is none.
func (s *scan) filter(v View, index int32) func([]byte) bool {
	partitions := v.HashCount
	if partitions <= 0 && s.validate {
		partitions = v.PartitionCount
	}
	checkHash := partitions > 0
	if !checkHash && s.hashKeys.trivial() && s.sortKeys.trivial() {
		return nil
	}
	return func(encoded []byte) bool {
		hashKey, sortKey, err := key.Decode(encoded)
		if err != nil || !s.hashKeys.passes(hashKey) || !s.sortKeys.passes(sortKey) {
			return false
		}
		return !checkHash || key.PartitionIndex(key.Hash(hashKey, sortKey), partitions) == index
	}
}

func (r *Reader) failedScan(s code.Status) *RangeReply {
	p := r.newReply(true)
	p.fail(s)
	return p
}
