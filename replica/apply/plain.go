package apply

import (
	"iter"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

func (o *op) put(payload []byte) Result {
	req, err := decodePut(&o.dec, payload)
	if err != nil || !wellFormed(req.key) {
		return o.updated(code.StatusInvalidArgument)
	}
	if !o.ownsKey(req.key) {
		return Foreign
	}
	o.store(req.key, req.value, req.expire)
	return o.updated(code.StatusOK)
}

func (o *op) remove(payload []byte) Result {
	k, err := decodeBlob(&o.dec, payload)
	if err != nil || !wellFormed(k) {
		return o.updated(code.StatusInvalidArgument)
	}
	if !o.ownsKey(k) {
		return Foreign
	}
	o.erase(k)
	return o.updated(code.StatusOK)
}

func (o *op) multiPut(payload []byte) Result {
	var req rrdb.MultiPutRequest
	if !o.decode(payload, &req) || !validMultiPut(&req) {
		return o.updated(code.StatusInvalidArgument)
	}
	hashKey := req.HashKey.Bytes()
	if o.splits() && !o.ownsHashKey(hashKey, keysOf(req.Kvs)) {
		return Foreign
	}
	for _, kv := range req.Kvs {
		o.store(o.encode(hashKey, kv.Key.Bytes()), kv.Value.Bytes(), uint32(req.ExpireTsSeconds))
	}
	return o.updated(code.StatusOK)
}

// multiRemove counts what was asked for, not what was there: clients compare
// the count with their request.
func (o *op) multiRemove(payload []byte) Result {
	var req rrdb.MultiRemoveRequest
	if !o.decode(payload, &req) || !validMultiRemove(&req) {
		return o.multiRemoveResponse(code.StatusInvalidArgument, 0, int64(o.index))
	}
	hashKey := req.HashKey.Bytes()
	if o.splits() && !o.ownsHashKey(hashKey, blobs(req.SortKeys)) {
		return Foreign
	}
	for _, sortKey := range req.SortKeys {
		o.erase(o.encode(hashKey, sortKey.Bytes()))
	}
	return o.multiRemoveResponse(code.StatusOK, len(req.SortKeys), int64(o.index))
}

func keysOf(kvs []*rrdb.KeyValue) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, kv := range kvs {
			if !yield(kv.Key.Bytes()) {
				return
			}
		}
	}
}

func blobs(list []*base.Blob) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, b := range list {
			if !yield(b.Bytes()) {
				return
			}
		}
	}
}

func wellFormed(encoded []byte) bool {
	_, _, err := key.Decode(encoded)
	return err == nil
}

func validHashKey(hashKey []byte) bool { return len(hashKey) <= key.MaxHashKeyLen }

func validMultiPut(req *rrdb.MultiPutRequest) bool {
	return len(req.Kvs) > 0 && validHashKey(req.HashKey.Bytes())
}

func validMultiRemove(req *rrdb.MultiRemoveRequest) bool {
	return len(req.SortKeys) > 0 && validHashKey(req.HashKey.Bytes())
}
