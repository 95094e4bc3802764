package apply

import (
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

func (o *op) put(payload []byte) Result {
	req, err := decodePut(&o.dec, payload)
	if err != nil || !wellFormed(req.key) {
		return o.updated(code.StatusInvalidArgument)
	}
	o.store(req.key, req.value, req.expire)
	return o.updated(code.StatusOK)
}

func (o *op) remove(payload []byte) Result {
	k, err := decodeBlob(&o.dec, payload)
	if err != nil || !wellFormed(k) {
		return o.updated(code.StatusInvalidArgument)
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
	for _, sortKey := range req.SortKeys {
		o.erase(o.encode(hashKey, sortKey.Bytes()))
	}
	return o.multiRemoveResponse(code.StatusOK, len(req.SortKeys), int64(o.index))
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
