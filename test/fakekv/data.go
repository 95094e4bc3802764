package fakekv

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

// request is a data call at its partition, with Cluster.mu held.
type request struct {
	n    *Node
	t    *table
	h    *frame.Header
	args []byte
	now  uint32
}

// handle carries a call out.
func (n *Node) handle(h *frame.Header, args []byte) result {
	c := n.c
	c.mu.Lock()
	defer c.mu.Unlock()
	var r result
	switch {
	case h.AppID > 0:
		r = n.data(h, args)
	case n.meta:
		r = c.metaCall(h, args)
	default:
		r = nodeCall(h, args)
	}
	if r.err == "ERR_OK" {
		c.applied[h.Name]++
	}
	return r
}

func refuse(c code.Code) result { return result{err: c.String()} }

var dataCalls = map[string]func(*request) frame.Message{
	"RPC_RRDB_RRDB_GET":              (*request).get,
	"RPC_RRDB_RRDB_PUT":              (*request).put,
	"RPC_RRDB_RRDB_REMOVE":           (*request).remove,
	"RPC_RRDB_RRDB_TTL":              (*request).ttl,
	"RPC_RRDB_RRDB_INCR":             (*request).incr,
	"RPC_RRDB_RRDB_SORTKEY_COUNT":    (*request).sortKeyCount,
	"RPC_RRDB_RRDB_MULTI_GET":        (*request).multiGet,
	"RPC_RRDB_RRDB_MULTI_PUT":        (*request).multiPut,
	"RPC_RRDB_RRDB_MULTI_REMOVE":     (*request).multiRemove,
	"RPC_RRDB_RRDB_BATCH_GET":        (*request).batchGet,
	"RPC_RRDB_RRDB_CHECK_AND_SET":    (*request).checkAndSet,
	"RPC_RRDB_RRDB_CHECK_AND_MUTATE": (*request).checkAndMutate,
	"RPC_RRDB_RRDB_GET_SCANNER":      (*request).getScanner,
	"RPC_RRDB_RRDB_SCAN":             (*request).scan,
	"RPC_RRDB_RRDB_CLEAR_SCANNER":    (*request).clearScanner,
}

func (n *Node) data(h *frame.Header, args []byte) result {
	t := n.c.byID[h.AppID]
	if t == nil || t.dropped || h.PartitionIndex < 0 || int(h.PartitionIndex) >= len(t.parts) {
		return refuse(code.ObjectNotFound)
	}
	call := dataCalls[h.Name]
	if call == nil {
		return refuse(code.HandlerNotFound)
	}
	if t.validate && h.PartitionHash%uint64(len(t.parts)) != uint64(h.PartitionIndex) {
		return refuse(code.ParentPartitionMisused)
	}
	p := t.parts[h.PartitionIndex]
	if p.leader != n && !(h.Backup && contains(p.followers, n)) {
		return refuse(code.InvalidState)
	}
	r := &request{n: n, t: t, h: h, args: args, now: n.c.nowLocked()}
	body := call(r)
	if body == nil {
		if h.Name == "RPC_RRDB_RRDB_CLEAR_SCANNER" {
			return result{}
		}
		return refuse(code.InvalidParameters)
	}
	return result{err: "ERR_OK", body: body}
}

func contains(list []*Node, n *Node) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

// into reads the argument.
func (r *request) into(m frame.Message) bool { return frame.Decode(r.args, m) == nil }

func (r *request) key() ([]byte, bool) {
	var b base.Blob
	if !r.into(&b) {
		return nil, false
	}
	_, _, err := key.Decode(b.Data)
	return b.Data, err == nil
}

func (r *request) decree() int64 {
	r.t.decree++
	return r.t.decree
}

func (r *request) updated(status code.Status) frame.Message {
	return &rrdb.UpdateResponse{Error: int32(status), AppID: r.h.AppID, PartitionIndex: r.h.PartitionIndex,
		Decree: r.decree(), Server: r.n.addr}
}

func (r *request) get() frame.Message {
	k, ok := r.key()
	if !ok {
		return nil
	}
	out := &rrdb.ReadResponse{Error: int32(code.StatusNotFound), Value: base.NewBlob(), AppID: r.h.AppID,
		PartitionIndex: r.h.PartitionIndex, Server: r.n.addr}
	if rec := r.t.store.get(k, r.now); rec != nil {
		out.Error, out.Value = 0, base.BlobOf(rec.value)
	}
	return out
}

func (r *request) ttl() frame.Message {
	k, ok := r.key()
	if !ok {
		return nil
	}
	out := &rrdb.TTLResponse{Error: int32(code.StatusNotFound), AppID: r.h.AppID, PartitionIndex: r.h.PartitionIndex, Server: r.n.addr}
	if rec := r.t.store.get(k, r.now); rec != nil {
		out.Error, out.TTLSeconds = 0, -1
		if rec.expire > 0 {
			out.TTLSeconds = int32(rec.expire - r.now)
		}
	}
	return out
}

func (r *request) put() frame.Message {
	var q rrdb.UpdateRequest
	if !r.into(&q) {
		return nil
	}
	r.t.store.put(q.Key.Bytes(), q.Value.Bytes(), uint32(q.ExpireTsSeconds))
	return r.updated(0)
}

func (r *request) remove() frame.Message {
	k, ok := r.key()
	if !ok {
		return nil
	}
	r.t.store.remove(k)
	return r.updated(0)
}

func (r *request) multiPut() frame.Message {
	var q rrdb.MultiPutRequest
	if !r.into(&q) {
		return nil
	}
	if len(q.Kvs) == 0 {
		return r.updated(code.StatusInvalidArgument)
	}
	for _, kv := range q.Kvs {
		r.t.store.put(key.Append(nil, q.HashKey.Bytes(), kv.Key.Bytes()), kv.Value.Bytes(), uint32(q.ExpireTsSeconds))
	}
	return r.updated(0)
}

func (r *request) multiRemove() frame.Message {
	var q rrdb.MultiRemoveRequest
	if !r.into(&q) {
		return nil
	}
	out := &rrdb.MultiRemoveResponse{AppID: r.h.AppID, PartitionIndex: r.h.PartitionIndex, Decree: r.decree(),
		Server: r.n.addr, Count: int64(len(q.SortKeys))}
	if len(q.SortKeys) == 0 {
		out.Error = int32(code.StatusInvalidArgument)
	}
	for _, s := range q.SortKeys {
		r.t.store.remove(key.Append(nil, q.HashKey.Bytes(), s.Bytes()))
	}
	return out
}

func (r *request) sortKeyCount() frame.Message {
	var b base.Blob
	if !r.into(&b) {
		return nil
	}
	out := &rrdb.CountResponse{AppID: r.h.AppID, PartitionIndex: r.h.PartitionIndex, Server: r.n.addr}
	lo, hi := r.t.store.bounds(hashSpan(b.Data))
	for i := lo; i < hi; i++ {
		if !r.t.store.records[i].dead(r.now) {
			out.Count++
		}
	}
	return out
}

// hashSpan is all of a hash key.
func hashSpan(hashKey []byte) span {
	k := key.Append(nil, hashKey, nil)
	return span{start: k, startIncl: true, stop: key.Successor(k)}
}

func (r *request) batchGet() frame.Message {
	var q rrdb.BatchGetRequest
	if !r.into(&q) {
		return nil
	}
	out := &rrdb.BatchGetResponse{AppID: r.h.AppID, PartitionIndex: r.h.PartitionIndex, Server: r.n.addr, Data: []*rrdb.FullData{}}
	if len(q.Keys) == 0 {
		out.Error = int32(code.StatusInvalidArgument)
	}
	for _, k := range q.Keys {
		if rec := r.t.store.get(key.Append(nil, k.HashKey.Bytes(), k.SortKey.Bytes()), r.now); rec != nil {
			out.Data = append(out.Data, &rrdb.FullData{HashKey: k.HashKey, SortKey: k.SortKey, Value: base.BlobOf(rec.value)})
		}
	}
	return out
}

// number reads an integer the way the protocol wants, as C's strtoll with base 0.
func number(b []byte) (int64, bool) {
	s := strings.TrimLeft(string(b), " \t\n\v\f\r")
	if strings.ContainsRune(s, '_') || strings.HasPrefix(strings.TrimLeft(s, "+-"), "0b") || strings.HasPrefix(strings.TrimLeft(s, "+-"), "0o") {
		return 0, false
	}
	v, err := strconv.ParseInt(s, 0, 64)
	return v, err == nil
}

func (r *request) incr() frame.Message {
	var q rrdb.IncrRequest
	if !r.into(&q) {
		return nil
	}
	out := &rrdb.IncrResponse{AppID: r.h.AppID, PartitionIndex: r.h.PartitionIndex, Server: r.n.addr, Decree: r.decree()}
	old, expire := int64(0), uint32(max(q.ExpireTsSeconds, 0))
	if rec := r.t.store.get(q.Key.Bytes(), r.now); rec != nil {
		if q.ExpireTsSeconds == 0 {
			expire = rec.expire
		}
		n, ok := number(rec.value)
		if !ok && len(rec.value) > 0 {
			out.Error = int32(code.StatusInvalidArgument)
			return out
		}
		old = n
	}
	if (q.Increment > 0 && old > math.MaxInt64-q.Increment) || (q.Increment < 0 && old < math.MinInt64-q.Increment) {
		out.Error, out.NewValue_ = int32(code.StatusInvalidArgument), old
		return out
	}
	out.NewValue_ = old + q.Increment
	r.t.store.put(q.Key.Bytes(), strconv.AppendInt(nil, out.NewValue_, 10), expire)
	return out
}

func (r *request) checkAndSet() frame.Message {
	var q rrdb.CheckAndSetRequest
	if !r.into(&q) {
		return nil
	}
	out := &rrdb.CheckAndSetResponse{AppID: r.h.AppID, PartitionIndex: r.h.PartitionIndex, Server: r.n.addr, Decree: r.decree(),
		CheckValue: base.NewBlob()}
	rec := r.t.store.get(key.Append(nil, q.HashKey.Bytes(), q.CheckSortKey.Bytes()), r.now)
	if out.CheckValueReturned = q.ReturnCheckValue; q.ReturnCheckValue && rec != nil {
		out.CheckValueExist, out.CheckValue = true, base.BlobOf(rec.value)
	}
	status := check(int(q.CheckType), rec, q.CheckOperand.Bytes())
	out.Error = int32(status)
	if status == 0 {
		to := q.CheckSortKey
		if q.SetDiffSortKey {
			to = q.SetSortKey
		}
		r.t.store.put(key.Append(nil, q.HashKey.Bytes(), to.Bytes()), q.SetValue.Bytes(), uint32(q.SetExpireTsSeconds))
	}
	return out
}

func (r *request) checkAndMutate() frame.Message {
	var q rrdb.CheckAndMutateRequest
	if !r.into(&q) {
		return nil
	}
	out := &rrdb.CheckAndMutateResponse{AppID: r.h.AppID, PartitionIndex: r.h.PartitionIndex, Server: r.n.addr, Decree: r.decree(),
		CheckValue: base.NewBlob()}
	rec := r.t.store.get(key.Append(nil, q.HashKey.Bytes(), q.CheckSortKey.Bytes()), r.now)
	if out.CheckValueReturned = q.ReturnCheckValue; q.ReturnCheckValue && rec != nil {
		out.CheckValueExist, out.CheckValue = true, base.BlobOf(bytes.Clone(rec.value))
	}
	status := check(int(q.CheckType), rec, q.CheckOperand.Bytes())
	if len(q.MutateList) == 0 {
		status = code.StatusInvalidArgument
	}
	out.Error = int32(status)
	if status != 0 {
		return out
	}
	for _, m := range q.MutateList {
		k := key.Append(nil, q.HashKey.Bytes(), m.SortKey.Bytes())
		if m.Operation == rrdb.MutateOperation_MO_DELETE {
			r.t.store.remove(k)
		} else {
			r.t.store.put(k, m.Value.Bytes(), uint32(m.SetExpireTsSeconds))
		}
	}
	return out
}

// check evaluates the condition of a conditional write.
func check(kind int, rec *record, operand []byte) code.Status {
	verdict := func(ok bool) code.Status {
		if ok {
			return code.StatusOK
		}
		return code.StatusTryAgain
	}
	switch {
	case kind < 0 || kind > 17:
		return code.StatusInvalidArgument
	case kind == 0:
		return code.StatusOK
	case kind == 1:
		return verdict(rec == nil)
	case kind == 2:
		return verdict(rec == nil || len(rec.value) == 0)
	case rec == nil:
		return code.StatusTryAgain
	case kind == 3:
		return code.StatusOK
	case kind == 4:
		return verdict(len(rec.value) > 0)
	case kind <= 7:
		return verdict(pass(int64(kind-4), operand, rec.value))
	case kind <= 12:
		return verdict(holds(kind-8, bytes.Compare(rec.value, operand)))
	}
	a, ok1 := number(rec.value)
	b, ok2 := number(operand)
	if !ok1 || !ok2 {
		return code.StatusInvalidArgument
	}
	order := 0
	if a < b {
		order = -1
	} else if a > b {
		order = 1
	}
	return verdict(holds(kind-13, order))
}

// holds: relation 0 to 4 is <, <=, =, >=, >.
func holds(relation, order int) bool {
	return [...]bool{order < 0, order <= 0, order == 0, order >= 0, order > 0}[relation]
}
