package apply

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/rrdb"
)

func TestIncr(t *testing.T) {
	const none = "\x00none" // no record
	tests := []struct {
		name   string
		stored string
		by     int64
		want   int64
		status int32
		after  string
	}{
		{"absent", none, 5, 5, 0, "5"},
		{"absent, by 0", none, 0, 0, 0, "0"},
		{"empty", "", 3, 3, 0, "3"},
		{"number", "7", -9, -2, 0, "-2"},
		{"by 0", "7", 0, 7, 0, "7"},
		{"by 0 rewrites the text", " 0x10", 0, 16, 0, "16"},
		{"text", "12x", 1, 0, 4, "12x"},
		{"blank", " ", 1, 0, 4, " "},
		{"max", "9223372036854775806", 1, math.MaxInt64, 0, "9223372036854775807"},
		{"overflow", "9223372036854775807", 1, math.MaxInt64, 4, "9223372036854775807"},
		{"overflow by max", "1", math.MaxInt64, 1, 4, "1"},
		{"underflow", "-9223372036854775808", -1, math.MinInt64, 4, "-9223372036854775808"},
		{"underflow by min", "-1", math.MinInt64, -1, 4, "-1"},
		{"min", "0", math.MinInt64, math.MinInt64, 0, "-9223372036854775808"},
		{"too big", "9223372036854775808", 1, 0, 4, "9223372036854775808"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReplica(t)
			if tt.stored != none {
				r.do(put("h", "s", tt.stored, 0))
			} else {
				r.do(put("h", "s", "dead", now)) // expires in this very second
			}
			res := r.do(incr("h", "s", tt.by, 0))
			require.Equal(t, &rrdb.IncrResponse{
				Error: tt.status, NewValue_: tt.want, AppID: 2, PartitionIndex: 3, Decree: 2, Server: "h:1",
			}, res)
			r.requireStored("h", "s", tt.after, 0)
		})
	}
}

func TestIncrExpiry(t *testing.T) {
	tests := []struct {
		name              string
		exists            bool
		value             string
		stored, requested int32
		want              uint32
	}{
		{"absent, none", false, "", 0, 0, 0},
		{"absent, set", false, "", 0, 5000, 5000},
		{"absent, clear", false, "", 0, -1, 0},
		{"kept", true, "1", 3000, 0, 3000},
		{"none kept", true, "1", 0, 0, 0},
		{"replaced", true, "1", 3000, 5000, 5000},
		{"cleared", true, "1", 3000, -1, 0},
		{"empty value, kept", true, "", 3000, 0, 3000},
		{"empty value, cleared", true, "", 3000, math.MinInt32, 0},
		{"expired is absent", true, "1", now, 0, 0},
		{"one second before", true, "1", now + 1, 0, now + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReplica(t)
			if tt.exists {
				r.do(put("h", "s", tt.value, tt.stored))
			}
			require.Zero(t, status(r.do(incr("h", "s", 1, tt.requested))))
			h, _, _ := r.stored("h", "s")
			require.Equal(t, tt.want, h.Expire)
		})
	}
}

// checks is the table of section 8.2: for each type the status against an
// absent record and against values.
func TestCheckTypes(t *testing.T) {
	const absent = "\x00absent"
	const ok, no, bad = 0, 13, 4
	tests := []struct {
		check   rrdb.CasCheckType
		value   string
		operand string
		want    int32
	}{
		{0, absent, "", ok}, {0, "v", "x", ok},
		{1, absent, "", ok}, {1, "", "", no}, {1, "v", "", no},
		{2, absent, "", ok}, {2, "", "", ok}, {2, "v", "", no},
		{3, absent, "", no}, {3, "", "", ok}, {3, "v", "", ok},
		{4, absent, "", no}, {4, "", "", no}, {4, "v", "", ok},
		{5, absent, "", no}, {5, "hello", "", ok}, {5, "hello", "ell", ok}, {5, "hello", "elo", no}, {5, "", "", ok}, {5, "", "x", no},
		{6, absent, "", no}, {6, "hello", "", ok}, {6, "hello", "hel", ok}, {6, "hello", "ell", no}, {6, "hello", "hello!", no},
		{7, absent, "", no}, {7, "hello", "", ok}, {7, "hello", "llo", ok}, {7, "hello", "ell", no},
		{8, absent, "z", no}, {8, "a", "b", ok}, {8, "a", "a", no}, {8, "a", "ab", ok}, {8, "\xff", "a", no}, {8, "", "a", ok},
		{9, absent, "z", no}, {9, "a", "b", ok}, {9, "a", "a", ok}, {9, "b", "a", no},
		{10, absent, "", no}, {10, "a", "a", ok}, {10, "a", "b", no}, {10, "", "", ok}, {10, "10", "010", no},
		{11, absent, "", no}, {11, "a", "b", no}, {11, "a", "a", ok}, {11, "b", "a", ok},
		{12, absent, "", no}, {12, "ab", "a", ok}, {12, "a", "a", no}, {12, "a", "", ok},
		{13, absent, "x", no}, {13, "9", "10", ok}, {13, "10", "9", no}, {13, "x", "1", bad}, {13, "1", "x", bad}, {13, "1", "", bad}, {13, "", "1", bad},
		{14, absent, "", no}, {14, "10", "0xa", ok}, {14, "11", "10", no},
		{15, absent, "1", no}, {15, "10", "012", ok}, {15, "10", "11", no}, {15, "-0", "0", ok},
		{16, absent, "1", no}, {16, "10", "10", ok}, {16, "-1", "0", no},
		{17, absent, "1", no}, {17, "10", "9", ok}, {17, "10", "10", no}, {17, "9223372036854775808", "1", bad},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v of %q with %q", tt.check, tt.value, tt.operand), func(t *testing.T) {
			r := newReplica(t)
			exists := tt.value != absent
			if exists {
				r.do(put("h", "s", tt.value, 0))
			} else {
				r.do(put("h", "s", "expired", now-1))
			}
			want := &rrdb.CheckAndSetResponse{
				Error: tt.want, CheckValueReturned: true, CheckValueExist: exists,
				AppID: 2, PartitionIndex: 3, Decree: 2, Server: "h:1",
			}
			if exists {
				want.CheckValue = base.BlobOf([]byte(tt.value))
			}
			req := rrdb.CheckAndSetRequest{
				HashKey: blob("h"), CheckSortKey: blob("s"), CheckType: tt.check, CheckOperand: blob(tt.operand),
				SetDiffSortKey: true, SetSortKey: blob("target"), SetValue: blob("new"), ReturnCheckValue: true,
			}
			require.Equal(t, want, r.do(cas(req)))
			_, _, written := r.stored("h", "target")
			require.Equal(t, tt.want == ok, written)
		})
	}
}

func TestCheckAndSet(t *testing.T) {
	r := newReplica(t)
	r.do(put("h", "a", "old", 0))
	res := r.do(cas(rrdb.CheckAndSetRequest{
		HashKey: blob("h"), CheckSortKey: blob("a"), CheckType: rrdb.CasCheckType_CT_VALUE_BYTES_EQUAL, CheckOperand: blob("old"),
		SetSortKey: blob("ignored"), SetValue: blob("new"), SetExpireTsSeconds: 4000,
	}))
	require.Equal(t, &rrdb.CheckAndSetResponse{AppID: 2, PartitionIndex: 3, Decree: 2, Server: "h:1"}, res,
		"nothing of the checked value unless asked for")
	r.requireStored("h", "a", "new", 4000)
	r.requireAbsent("h", "ignored")
}

func TestCheckAndMutate(t *testing.T) {
	list := []*rrdb.Mutate{
		{Operation: rrdb.MutateOperation_MO_PUT, SortKey: blob("a"), Value: blob("1"), SetExpireTsSeconds: 4000},
		{Operation: rrdb.MutateOperation_MO_DELETE, SortKey: blob("b")},
		{Operation: rrdb.MutateOperation_MO_PUT, SortKey: blob("c"), Value: blob("2")},
		{Operation: rrdb.MutateOperation_MO_DELETE, SortKey: blob("c")},
		{Operation: rrdb.MutateOperation_MO_DELETE, SortKey: blob("d")},
		{Operation: rrdb.MutateOperation_MO_PUT, SortKey: blob("d"), Value: blob("3")},
	}
	req := rrdb.CheckAndMutateRequest{HashKey: blob("h"), CheckSortKey: blob("b"), ReturnCheckValue: true, MutateList: list}
	r := newReplica(t)
	r.do(multiPut("h", 0, "b", "before", "d", "before"))

	req.CheckType = rrdb.CasCheckType_CT_VALUE_NOT_EXIST
	before := r.dump()[:2]
	require.Equal(t, &rrdb.CheckAndMutateResponse{
		Error: 13, CheckValueReturned: true, CheckValueExist: true, CheckValue: blob("before"),
		AppID: 2, PartitionIndex: 3, Decree: 2, Server: "h:1",
	}, r.do(cam(req)))
	require.Equal(t, before, r.dump()[:2], "not passed: nothing written")

	req.CheckType, req.ReturnCheckValue = rrdb.CasCheckType_CT_VALUE_EXIST, false
	require.Equal(t, &rrdb.CheckAndMutateResponse{AppID: 2, PartitionIndex: 3, Decree: 3, Server: "h:1"}, r.do(cam(req)))
	r.requireStored("h", "a", "1", 4000)
	r.requireAbsent("h", "b")
	r.requireAbsent("h", "c")
	r.requireStored("h", "d", "3", 0)
}

func TestCheckedValueIsACopy(t *testing.T) {
	r := newReplica(t)
	r.do(put("h", "s", "value", 0))
	req := rrdb.CheckAndSetRequest{HashKey: blob("h"), CheckSortKey: blob("s"), SetValue: blob("other"), ReturnCheckValue: true}
	res := r.at(now, cas(req), cas(req))
	for i := range r.buf {
		r.buf[i] = 'x'
	}
	require.Equal(t, "value", string(res[0].(*rrdb.CheckAndSetResponse).CheckValue.Data))
	require.Equal(t, "other", string(res[1].(*rrdb.CheckAndSetResponse).CheckValue.Data), "the run's own write is seen")
}
