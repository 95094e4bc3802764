package fakekv

import (
	"bytes"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

const (
	maxRecords = 3000 // of one multi-get, given and examined
	maxBatch   = 1000
)

func (r *request) multiGet() frame.Message {
	var q rrdb.MultiGetRequest
	if !r.into(&q) {
		return nil
	}
	out := &rrdb.MultiGetResponse{AppID: r.h.AppID, PartitionIndex: r.h.PartitionIndex, Server: r.n.addr, Kvs: []*rrdb.KeyValue{}}
	limit := maxRecords
	if q.MaxKvCount > 0 {
		limit = min(limit, int(q.MaxKvCount))
	}
	if len(q.SortKeys) > 0 {
		r.points(&q, out, limit)
	} else {
		r.walk(&q, out, limit)
	}
	return out
}

func (r *request) points(q *rrdb.MultiGetRequest, out *rrdb.MultiGetResponse, limit int) {
	size := 0
	for _, s := range q.SortKeys {
		rec := r.t.store.get(key.Append(nil, q.HashKey.Bytes(), s.Bytes()), r.now)
		if rec == nil {
			continue
		}
		if len(out.Kvs) >= limit || (q.MaxKvSize > 0 && size >= int(q.MaxKvSize)) {
			out.Error = int32(code.StatusIncomplete)
			return
		}
		out.Kvs = append(out.Kvs, keyValue(bytes.Clone(s.Bytes()), rec, q.NoValue))
		size += s.Len() + len(rec.value)
	}
}

func keyValue(k []byte, rec *record, noValue bool) *rrdb.KeyValue {
	kv := &rrdb.KeyValue{Key: base.BlobOf(k), Value: base.NewBlob()}
	if !noValue {
		kv.Value = base.BlobOf(rec.value)
	}
	return kv
}

func (r *request) walk(q *rrdb.MultiGetRequest, out *rrdb.MultiGetResponse, limit int) {
	hashKey := q.HashKey.Bytes()
	p := hashSpan(hashKey)
	p.start, p.startIncl = key.Append(nil, hashKey, q.StartSortkey.Bytes()), q.StartInclusive
	if q.StopSortkey.Len() > 0 {
		p.stop, p.stopIn = key.Append(nil, hashKey, q.StopSortkey.Bytes()), q.StopInclusive
	}
	lo, hi := r.t.store.bounds(p)
	size, examined := 0, 0
	for n := 0; n < hi-lo; n++ {
		if len(out.Kvs) >= limit || examined >= maxRecords || (q.MaxKvSize > 0 && size >= int(q.MaxKvSize)) {
			out.Error = int32(code.StatusIncomplete)
			break
		}
		rec := &r.t.store.records[lo+n]
		if q.Reverse {
			rec = &r.t.store.records[hi-1-n]
		}
		examined++
		_, sortKey, _ := key.Decode(rec.key)
		if rec.dead(r.now) || !pass(int64(q.SortKeyFilterType), q.SortKeyFilterPattern.Bytes(), sortKey) {
			continue
		}
		out.Kvs = append(out.Kvs, keyValue(sortKey, rec, q.NoValue))
		size += len(sortKey) + len(rec.value)
	}
	if q.Reverse {
		for i, j := 0, len(out.Kvs)-1; i < j; i, j = i+1, j-1 {
			out.Kvs[i], out.Kvs[j] = out.Kvs[j], out.Kvs[i]
		}
	}
}

// scan is a scanner context: a range that shrinks.
type scan struct {
	table     int32
	partition int32
	q         *rrdb.GetScannerRequest
	p         span
}

func (r *request) getScanner() frame.Message {
	q := rrdb.NewGetScannerRequest()
	if !r.into(q) {
		return nil
	}
	s := &scan{table: r.h.AppID, partition: r.h.PartitionIndex, q: q, p: span{
		start: bytes.Clone(q.StartKey.Bytes()), startIncl: q.StartInclusive,
		stop: bytes.Clone(q.StopKey.Bytes()), stopIn: q.StopInclusive}}
	if hashKey, _, err := key.Decode(s.p.start); err == nil && len(hashKey) > 0 && !q.GetFullScan() {
		if end := hashSpan(hashKey).stop; bytes.Compare(s.p.stop, end) > 0 {
			s.p.stop, s.p.stopIn = end, false
		}
	}
	// The request's bytes do not outlive the call.
	q.HashKeyFilterPattern = base.BlobOf(bytes.Clone(q.HashKeyFilterPattern.Bytes()))
	q.SortKeyFilterPattern = base.BlobOf(bytes.Clone(q.SortKeyFilterPattern.Bytes()))
	return r.page(s)
}

func (r *request) scan() frame.Message {
	var q rrdb.ScanRequest
	if !r.into(&q) {
		return nil
	}
	s := r.n.scans[q.ContextID]
	if s == nil || s.table != r.h.AppID || s.partition != r.h.PartitionIndex {
		return &rrdb.ScanResponse{Error: int32(code.StatusNotFound), Kvs: []*rrdb.KeyValue{}, AppID: r.h.AppID,
			PartitionIndex: r.h.PartitionIndex, Server: r.n.addr}
	}
	delete(r.n.scans, q.ContextID)
	return r.page(s)
}

func (r *request) clearScanner() frame.Message {
	var id base.Int64
	if r.into(&id) {
		delete(r.n.scans, id.V)
	}
	return nil
}

// page delivers the next records of a scan.
func (r *request) page(s *scan) frame.Message {
	out := &rrdb.ScanResponse{Kvs: []*rrdb.KeyValue{}, ContextID: -1, AppID: r.h.AppID,
		PartitionIndex: r.h.PartitionIndex, Server: r.n.addr}
	batch := int(s.q.BatchSize)
	if batch <= 0 || batch > maxBatch {
		batch = maxBatch
	}
	lo, hi := r.t.store.bounds(s.p)
	for i := lo; i < hi; i++ {
		// What belongs to other partitions is not there, so it does not count.
		rec := &r.t.store.records[i]
		if hash, _ := key.HashOf(rec.key); hash%uint64(len(r.t.parts)) != uint64(s.partition) {
			continue
		}
		if batch == 0 {
			out.ContextID = r.remember(s)
			break
		}
		batch--
		s.p.start, s.p.startIncl = bytes.Clone(rec.key), false
		if kv := r.row(s.q, rec); kv != nil {
			out.Kvs = append(out.Kvs, kv)
		}
	}
	return out
}

func (r *request) remember(s *scan) int64 {
	r.n.nextID++
	r.n.scans[r.n.nextID] = s
	return r.n.nextID
}

func (r *request) row(q *rrdb.GetScannerRequest, rec *record) *rrdb.KeyValue {
	hashKey, sortKey, _ := key.Decode(rec.key)
	if rec.dead(r.now) || !pass(int64(q.HashKeyFilterType), q.HashKeyFilterPattern.Bytes(), hashKey) ||
		!pass(int64(q.SortKeyFilterType), q.SortKeyFilterPattern.Bytes(), sortKey) {
		return nil
	}
	kv := keyValue(rec.key, rec, q.NoValue)
	if q.GetReturnExpireTs() {
		e := int32(rec.expire)
		kv.ExpireTsSeconds = &e
	}
	return kv
}
