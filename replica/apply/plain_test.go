package apply

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/record"
)

func TestPut(t *testing.T) {
	r := newReplica(t)
	res := r.do(put("h", "s", "v", 0))
	require.Equal(t, &rrdb.UpdateResponse{AppID: 2, PartitionIndex: 3, Decree: 1, Server: "h:1"}, res)
	h, value, _ := r.stored("h", "s")
	require.Equal(t, "v", value)
	require.Equal(t, record.Header{Index: 1, WriteTimeMS: stampAt(now)}, h)

	r.do(put("h", "s", "", 5000))
	r.requireStored("h", "s", "", 5000)
	r.do(put("", "", "x", -5)) // unsigned on disk: far in the future
	r.requireStored("", "", "x", math.MaxUint32-4)
	r.do(put("h", "old", "born dead", 7))
	r.requireStored("h", "old", "born dead", 7)
}

func TestRemove(t *testing.T) {
	r := newReplica(t)
	r.do(put("h", "s", "v", 0))
	require.Zero(t, status(r.do(remove("h", "s"))))
	r.requireAbsent("h", "s")
	require.Zero(t, status(r.do(remove("h", "s"))), "an absent record is fine")
}

func TestMultiPut(t *testing.T) {
	r := newReplica(t)
	res := r.do(multiPut("h", 2000, "a", "1", "b", "2", "a", "3", "", "empty sort key"))
	require.Equal(t, &rrdb.UpdateResponse{AppID: 2, PartitionIndex: 3, Decree: 1, Server: "h:1"}, res)
	r.requireStored("h", "a", "3", 2000)
	r.requireStored("h", "b", "2", 2000)
	r.requireStored("h", "", "empty sort key", 2000)
	require.Zero(t, status(r.do(multiPut("", 0, "a", "1"))), "an empty hash key is legal")
}

func TestMultiRemove(t *testing.T) {
	r := newReplica(t)
	r.do(multiPut("h", 0, "a", "1", "b", "2", "c", "3"))
	res := r.do(multiRemove("h", "a", "c", "absent", "a"))
	require.Equal(t, &rrdb.MultiRemoveResponse{Count: 4, AppID: 2, PartitionIndex: 3, Decree: 2, Server: "h:1"}, res)
	r.requireAbsent("h", "a")
	r.requireAbsent("h", "c")
	r.requireStored("h", "b", "2", 0)
}

func TestDefaultTTL(t *testing.T) {
	const ttl = 60
	tests := []struct {
		name string
		op   command.Op
		want uint32 // expiry of h/s
	}{
		{"put", put("h", "s", "v", 0), now + ttl},
		{"put with expiry", put("h", "s", "v", 5000), 5000},
		{"multi_put", multiPut("h", 0, "s", "v"), now + ttl},
		{"incr of nothing", incr("h", "s", 1, 0), now + ttl},
		{"incr that clears", incr("h", "number", 1, -1), now + ttl},
		{"incr that keeps none", incr("h", "forever", 1, 0), now + ttl},
		{"incr that keeps", incr("h", "number", 1, 0), 3000},
		{"check_and_set", cas(rrdb.CheckAndSetRequest{HashKey: blob("h"), CheckSortKey: blob("s")}), now + ttl},
		{"check_and_mutate", cam(rrdb.CheckAndMutateRequest{HashKey: blob("h"), MutateList: []*rrdb.Mutate{
			{SortKey: blob("s"), Value: blob("v")},
		}}), now + ttl},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReplica(t)
			r.at(now, put("h", "number", "1", 3000), put("h", "forever", "1", 0))
			r.run(entry(command.Header{StampMS: stampAt(now), DefaultTTL: ttl}, tt.op))
			sortKey := "s"
			for _, other := range []string{"number", "forever"} {
				if h, _, _ := r.stored("h", other); h.Index == 2 {
					sortKey = other
				}
			}
			h, _, ok := r.stored("h", sortKey)
			require.True(t, ok)
			require.Equal(t, tt.want, h.Expire)
		})
	}
	t.Run("saturates", func(t *testing.T) {
		r := newReplica(t)
		r.run(entry(command.Header{StampMS: stampAt(now), DefaultTTL: math.MaxUint32}, put("h", "s", "v", 0)))
		r.requireStored("h", "s", "v", math.MaxUint32)
	})
}

func TestNoop(t *testing.T) {
	r := newReplica(t)
	require.Equal(t, []Result{nil}, r.at(now, command.Op{Kind: command.Noop}))
	require.Equal(t, State{AppliedIndex: 1, ClockMS: stampAt(now), Format: firstFormat}, r.State())
}

// TestRefusals holds Validate and Apply together: what one refuses before a log
// entry exists, the other refuses from the log.
func TestRefusals(t *testing.T) {
	long := strings.Repeat("x", 65535)
	badKey := base.BlobOf([]byte{0, 9, 'x'})
	tests := []struct {
		name string
		op   command.Op
	}{
		{"put without a key", command.Op{Kind: command.Put, Payload: []byte{0}}},
		{"put, short key", command.Op{Kind: command.Put, Payload: args(&rrdb.UpdateRequest{Key: blob("\x00")})}},
		{"put, lying length", command.Op{Kind: command.Put, Payload: args(&rrdb.UpdateRequest{Key: badKey})}},
		{"put, length 65535", command.Op{Kind: command.Put, Payload: args(&rrdb.UpdateRequest{Key: blob("\xff\xff" + long)})}},
		{"remove, empty key", command.Op{Kind: command.Remove, Payload: args(blob(""))}},
		{"remove, lying length", command.Op{Kind: command.Remove, Payload: args(badKey)}},
		{"multi_put of nothing", multiPut("h", 0)},
		{"multi_put, hash key too long", multiPut(long, 0, "a", "b")},
		{"multi_remove of nothing", multiRemove("h")},
		{"multi_remove, hash key too long", multiRemove(long, "a")},
		{"incr, lying length", command.Op{Kind: command.Incr, Payload: args(&rrdb.IncrRequest{Key: badKey})}},
		{"check_and_set, type 18", cas(rrdb.CheckAndSetRequest{CheckType: 18, ReturnCheckValue: true})},
		{"check_and_set, type -1", cas(rrdb.CheckAndSetRequest{CheckType: -1})},
		{"check_and_set, hash key too long", cas(rrdb.CheckAndSetRequest{HashKey: blob(long)})},
		{"check_and_mutate of nothing", cam(rrdb.CheckAndMutateRequest{ReturnCheckValue: true})},
		{"check_and_mutate, operation 2", cam(rrdb.CheckAndMutateRequest{MutateList: []*rrdb.Mutate{{}, {Operation: 2}}})},
		{"check_and_mutate, type 99", cam(rrdb.CheckAndMutateRequest{CheckType: 99, MutateList: []*rrdb.Mutate{{}}})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReplica(t)
			refusal, err := r.Validate(tt.op.Kind, tt.op.Payload)
			require.NoError(t, err)
			require.NotNil(t, refusal)
			applied := r.do(tt.op)
			require.EqualValues(t, 4, status(applied))
			require.EqualValues(t, -1, refusal.(interface{ GetDecree() int64 }).GetDecree())
			require.EqualValues(t, 1, applied.(interface{ GetDecree() int64 }).GetDecree())
			require.Len(t, r.dump(), 1, "only the bookkeeping is stored")

			setDecree(refusal, 1)
			require.Equal(t, refusal, applied)
		})
	}
}

func setDecree(r Result, d int64) {
	switch r := r.(type) {
	case *rrdb.UpdateResponse:
		r.Decree = d
	case *rrdb.MultiRemoveResponse:
		r.Decree = d
	case *rrdb.IncrResponse:
		r.Decree = d
	case *rrdb.CheckAndSetResponse:
		r.Decree = d
	case *rrdb.CheckAndMutateResponse:
		r.Decree = d
	}
}

func TestUndecodable(t *testing.T) {
	for k := command.Put; k <= command.CheckAndMutate; k++ {
		for _, payload := range [][]byte{nil, {12}, {12, 0, 1, 0x7f, 0xff, 0xff, 0xff}, []byte("GET / HTTP/1.1")} {
			r := newReplica(t)
			_, err := r.Validate(k, payload)
			require.ErrorIs(t, err, ErrUndecodable, "%v of %q", k, payload)
			require.EqualValues(t, 4, status(r.do(command.Op{Kind: k, Payload: payload})), "%v of %q", k, payload)
			require.Len(t, r.dump(), 1, "only the bookkeeping is stored")
		}
	}
	_, err := Identity{}.Validate(command.Noop, nil)
	require.ErrorIs(t, err, ErrUndecodable, "a client cannot send a noop")
}

func TestValidatePasses(t *testing.T) {
	for _, op := range []command.Op{
		put("", "", "", 0), remove("h", ""), multiPut("", 0, "", ""), multiRemove("", ""), incr("h", "s", 0, 0),
		cas(rrdb.CheckAndSetRequest{}), cam(rrdb.CheckAndMutateRequest{MutateList: []*rrdb.Mutate{{Operation: 1}}}),
	} {
		refusal, err := Identity{}.Validate(op.Kind, op.Payload)
		require.NoError(t, err, op.Kind)
		require.Nil(t, refusal, op.Kind)
	}
}
