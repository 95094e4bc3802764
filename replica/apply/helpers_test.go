package apply

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/record"
)

// now is the second at which tests start; it is also the first stamp.
const now = 1000

func stampAt(sec uint32) uint64 { return (uint64(sec) + record.EpochUnix) * 1000 }

func enc(hashKey, sortKey string) []byte { return key.Append(nil, []byte(hashKey), []byte(sortKey)) }

func blob(s string) *base.Blob { return base.BlobOf([]byte(s)) }

func args(m frame.Message) []byte { return frame.AppendMessage(nil, m) }

func put(hashKey, sortKey, value string, expire int32) command.Op {
	return command.Op{Kind: command.Put, Payload: args(&rrdb.UpdateRequest{
		Key: base.BlobOf(enc(hashKey, sortKey)), Value: blob(value), ExpireTsSeconds: expire,
	})}
}

func remove(hashKey, sortKey string) command.Op {
	return command.Op{Kind: command.Remove, Payload: args(base.BlobOf(enc(hashKey, sortKey)))}
}

func multiPut(hashKey string, expire int32, pairs ...string) command.Op {
	req := &rrdb.MultiPutRequest{HashKey: blob(hashKey), ExpireTsSeconds: expire}
	for i := 0; i < len(pairs); i += 2 {
		req.Kvs = append(req.Kvs, &rrdb.KeyValue{Key: blob(pairs[i]), Value: blob(pairs[i+1])})
	}
	return command.Op{Kind: command.MultiPut, Payload: args(req)}
}

func multiRemove(hashKey string, sortKeys ...string) command.Op {
	req := &rrdb.MultiRemoveRequest{HashKey: blob(hashKey), MaxCount: 1}
	for _, k := range sortKeys {
		req.SortKeys = append(req.SortKeys, blob(k))
	}
	return command.Op{Kind: command.MultiRemove, Payload: args(req)}
}

func incr(hashKey, sortKey string, by int64, expire int32) command.Op {
	return command.Op{Kind: command.Incr, Payload: args(&rrdb.IncrRequest{
		Key: base.BlobOf(enc(hashKey, sortKey)), Increment: by, ExpireTsSeconds: expire,
	})}
}

func cas(req rrdb.CheckAndSetRequest) command.Op {
	return command.Op{Kind: command.CheckAndSet, Payload: args(&req)}
}

func cam(req rrdb.CheckAndMutateRequest) command.Op {
	return command.Op{Kind: command.CheckAndMutate, Payload: args(&req)}
}

// replica is a partition without raft.
type replica struct {
	t testing.TB
	*Applier
	engine engine.Engine
}

func newReplica(t testing.TB) *replica {
	e, err := mem.Opener{}.Open(t.TempDir()+"/p", engine.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return &replica{t: t, Applier: New(Identity{TableID: 2, PartitionIndex: 3, Server: "h:1"}, State{}), engine: e}
}

func entry(h command.Header, ops ...command.Op) []byte {
	b := command.AppendHeader(nil, h)
	for _, op := range ops {
		b = command.AppendOp(b, op.Kind, op.Payload)
	}
	return b
}

// run applies entries as one run, from the next index on.
func (r *replica) run(entries ...[]byte) (results []Result) {
	var b engine.Batch
	for _, raw := range entries {
		e, err := command.Decode(raw)
		require.NoError(r.t, err)
		res, err := r.Apply(r.engine, e, r.State().AppliedIndex+1, &b)
		require.NoError(r.t, err)
		results = append(results, res...)
	}
	r.AppendState(&b)
	require.NoError(r.t, r.engine.Apply(&b))
	return results
}

// at runs ops in one entry stamped sec.
func (r *replica) at(sec uint32, ops ...command.Op) []Result {
	return r.run(entry(command.Header{StampMS: stampAt(sec)}, ops...))
}

// do runs one op at second now.
func (r *replica) do(op command.Op) Result { return r.at(now, op)[0] }

// stored returns what is stored of a key, expired or not.
func (r *replica) stored(hashKey, sortKey string) (h record.Header, value string, ok bool) {
	b, ok, err := r.engine.Get(enc(hashKey, sortKey), nil)
	require.NoError(r.t, err)
	if !ok {
		return h, "", false
	}
	h, v, err := record.Decode(b)
	require.NoError(r.t, err)
	return h, string(v), true
}

func (r *replica) requireStored(hashKey, sortKey, value string, expire uint32) {
	r.t.Helper()
	h, got, ok := r.stored(hashKey, sortKey)
	require.True(r.t, ok, "%s/%s is absent", hashKey, sortKey)
	require.Equal(r.t, value, got)
	require.Equal(r.t, expire, h.Expire)
}

func (r *replica) requireAbsent(hashKey, sortKey string) {
	r.t.Helper()
	_, v, ok := r.stored(hashKey, sortKey)
	require.False(r.t, ok, "%s/%s holds %q", hashKey, sortKey, v)
}

// dump is the whole content of the engine.
func (r *replica) dump() (rows []string) {
	it, err := r.engine.NewIter(engine.IterOptions{})
	require.NoError(r.t, err)
	defer it.Close()
	var p engine.Page
	for {
		require.NoError(r.t, it.Next(1000, 1<<20, &p))
		if p.Len() == 0 {
			return rows
		}
		for i := range p.Len() {
			rows = append(rows, string(p.Key(i))+" = "+string(p.Value(i)))
		}
	}
}

func status(r Result) int32 { return r.(interface{ GetError() int32 }).GetError() }
