package apply

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
)

func split(from, attempt int32) []byte {
	return command.AppendSplit(nil, command.Header{StampMS: stampAt(now)}, command.Split{From: from, To: 2 * from, Attempt: attempt}.AppendTo(nil))
}

// hashKeyIn returns a hash key of partition index under count.
func hashKeyIn(index, count int32) string {
	for i := 0; ; i++ {
		k := fmt.Sprintf("k%d", i)
		if key.PartitionIndex(key.Hash([]byte(k), nil), count) == index {
			return k
		}
	}
}

// TestSplitRefusesForeign: from the split entry on every kind of write leaves the
// other half alone, also if it was logged before anybody could know.
func TestSplitRefusesForeign(t *testing.T) {
	own, gone := hashKeyIn(3, 8), hashKeyIn(7, 8)
	ops := func(h string) []command.Op {
		return []command.Op{
			put(h, "s", "1", 0), incr(h, "s", 1, 0), multiPut(h, 0, "a", "1"), multiRemove(h, "a"), remove(h, "s"),
			cas(rrdb.CheckAndSetRequest{HashKey: blob(h), SetValue: blob("v")}),
			cam(rrdb.CheckAndMutateRequest{HashKey: blob(h), MutateList: []*rrdb.Mutate{{SortKey: blob("x"), Value: blob("v")}}}),
		}
	}
	r := newReplica(t) // of partition 3
	r.at(now, put(gone, "before", "1", 0), put(own, "before", "1", 0))
	for _, res := range r.at(now, append(ops(own), ops(gone)...)...) {
		require.NotEqual(t, Foreign, res, "not split yet")
	}
	require.Equal(t, []Result{nil}, r.run(split(4, 1)))
	require.EqualValues(t, 8, r.State().HashCount)
	for _, res := range r.at(now, ops(own)...) {
		require.NotEqual(t, Foreign, res)
		require.Zero(t, status(res))
	}
	before := r.dump()
	for i, res := range r.at(now, ops(gone)...) {
		require.Equal(t, Foreign, res, "op %d", i)
	}
	require.Len(t, r.dump(), len(before))
	r.requireStored(gone, "before", "1", 0)
	nonsense := command.Op{Kind: command.Remove, Payload: args(blob("\xff\xff"))}
	require.EqualValues(t, 4, status(r.do(nonsense)), "nonsense stays nonsense")
}

// TestSplitWithinARun: what a run does depends on the order of entries alone.
func TestSplitWithinARun(t *testing.T) {
	gone := hashKeyIn(7, 8)
	one, two := newReplica(t), newReplica(t)
	entries := [][]byte{
		entry(command.Header{StampMS: stampAt(now)}, incr(gone, "n", 1, 0)),
		split(4, 1),
		entry(command.Header{StampMS: stampAt(now)}, incr(gone, "n", 1, 0)),
	}
	one.run(entries...)
	for _, e := range entries {
		two.run(e)
	}
	require.Equal(t, one.dump(), two.dump())
	one.requireStored(gone, "n", "1", 0)
}

func TestSplitOnce(t *testing.T) {
	r := newReplica(t)
	r.run(split(4, 1))
	want := r.State()
	for _, again := range [][]byte{split(4, 1), split(2, 1), split(1, 9), split(16, 1)} {
		r.run(again)
		want.AppliedIndex++
		require.Equal(t, want, r.State())
	}
	r.run(split(4, 3))
	require.EqualValues(t, 3, r.State().SplitAttempt)
	r.run(split(4, 2))
	require.EqualValues(t, 3, r.State().SplitAttempt)
	r.run(split(8, 1))
	require.EqualValues(t, 16, r.State().HashCount)
	require.EqualValues(t, 1, r.State().SplitAttempt)
	st, err := Load(r.engine)
	require.NoError(t, err)
	require.Equal(t, r.State(), st)
}

func TestChildState(t *testing.T) {
	st := State{AppliedIndex: 77, ClockMS: 5, Format: firstFormat, SplitAttempt: 2}.Child(command.Split{From: 4, To: 8, Attempt: 3})
	require.Equal(t, State{ClockMS: 5, Format: Format, HashCount: 8}, st)
	var b engine.Batch
	st.AppendTo(&b)
	r := newReplica(t)
	require.NoError(t, r.engine.Apply(&b))
	got, err := Load(r.engine)
	require.NoError(t, err)
	require.Equal(t, st, got)
}

// TestSplitWithoutHashKey: then each sort key has a hash, and one foreign one is
// enough to refuse the op.
func TestSplitWithoutHashKey(t *testing.T) {
	r := newReplica(t)
	r.run(split(4, 1))
	own, gone := hashKeyIn(3, 8), hashKeyIn(7, 8)
	require.Zero(t, status(r.do(multiPut("", 0, own, "v"))))
	require.Equal(t, Foreign, r.do(multiPut("", 0, own, "w", gone, "w")))
	r.requireStored("", own, "v", 0)
	require.Equal(t, Foreign, r.do(cas(rrdb.CheckAndSetRequest{CheckSortKey: blob(own), SetDiffSortKey: true, SetSortKey: blob(gone)})))
	require.Equal(t, Foreign, r.do(put("", gone, "v", 0)))
}
