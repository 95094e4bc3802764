package client_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
)

func TestSetGetDel(t *testing.T) {
	_, tab := setup(t)
	ctx := background(t)
	for _, tc := range []struct{ name, hash, sort, value string }{
		{"plain", "h", "s", "v"},
		{"empty sort key", "h", "", "v"},
		{"empty value", "h", "e", ""},
		{"empty hash key", "", "s", "v"},
		{"both empty", "", "", "v"},
		{"binary", "\x00\xff", "\xff\x00", "\x00\x00\xff"},
		{"longest hash key", strings.Repeat("h", 65534), "s", "v"},
		{"large value", "h", "large", strings.Repeat("v", 900<<10)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := tab.Get(ctx, b(tc.hash), b(tc.sort))
			require.ErrorIs(t, err, client.ErrNotFound)
			require.NoError(t, tab.Set(ctx, b(tc.hash), b(tc.sort), b(tc.value)))
			v, err := tab.Get(ctx, b(tc.hash), b(tc.sort))
			require.NoError(t, err)
			require.NotNil(t, v)
			require.Equal(t, tc.value, string(v))
			ok, err := tab.Exist(ctx, b(tc.hash), b(tc.sort))
			require.NoError(t, err)
			require.True(t, ok)
			require.NoError(t, tab.Del(ctx, b(tc.hash), b(tc.sort)))
			ok, err = tab.Exist(ctx, b(tc.hash), b(tc.sort))
			require.NoError(t, err)
			require.False(t, ok)
		})
	}
}

func TestTTL(t *testing.T) {
	c, tab := setup(t)
	ctx := background(t)
	_, err := tab.TTL(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrNotFound)
	require.NoError(t, tab.Set(ctx, b("h"), b("s"), b("v")))
	ttl, err := tab.TTL(ctx, b("h"), b("s"))
	require.NoError(t, err)
	require.Equal(t, client.NoTTL, ttl)

	require.NoError(t, tab.SetTTL(ctx, b("h"), b("s"), b("v"), 100*time.Second))
	ttl, err = tab.TTL(ctx, b("h"), b("s"))
	require.NoError(t, err)
	require.InDelta(t, 100, ttl.Seconds(), 1)
	c.Advance(101 * time.Second)
	_, err = tab.Get(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrNotFound)
}

func TestIncr(t *testing.T) {
	_, tab := setup(t)
	ctx := background(t)
	n, err := tab.Incr(ctx, b("h"), b("s"), 5)
	require.NoError(t, err)
	require.EqualValues(t, 5, n)
	n, err = tab.IncrTTL(ctx, b("h"), b("s"), -7, time.Minute)
	require.NoError(t, err)
	require.EqualValues(t, -2, n)
	ttl, err := tab.TTL(ctx, b("h"), b("s"))
	require.NoError(t, err)
	require.InDelta(t, 60, ttl.Seconds(), 1)
	_, err = tab.IncrTTL(ctx, b("h"), b("s"), 0, client.NoTTL)
	require.NoError(t, err)
	ttl, err = tab.TTL(ctx, b("h"), b("s"))
	require.NoError(t, err)
	require.Equal(t, client.NoTTL, ttl)

	require.NoError(t, tab.Set(ctx, b("h"), b("text"), b("x")))
	_, err = tab.Incr(ctx, b("h"), b("text"), 1)
	require.ErrorIs(t, err, client.ErrInvalidArgument)
	_, err = tab.Incr(ctx, b("h"), b("big"), math.MaxInt64)
	require.NoError(t, err)
	_, err = tab.Incr(ctx, b("h"), b("big"), 1)
	require.ErrorIs(t, err, client.ErrInvalidArgument)
}

func TestMulti(t *testing.T) {
	_, tab := setup(t)
	ctx := background(t)
	var records []client.Record
	for i := range 10 {
		records = append(records, client.Record{SortKey: b(fmt.Sprintf("s%d", i)), Value: b(fmt.Sprintf("v%d", i))})
	}
	require.NoError(t, tab.MultiSet(ctx, b("h"), records))
	require.NoError(t, tab.Set(ctx, b("h2"), b("s0"), b("other")))

	r, err := tab.MultiGet(ctx, b("h"), [][]byte{b("s7"), b("nope"), b("s1")}, client.MultiGetOptions{})
	require.NoError(t, err)
	require.True(t, r.Complete)
	require.Equal(t, []client.Record{records[7], records[1]}, r.Records)

	for _, tc := range []struct {
		name     string
		o        client.RangeOptions
		want     string
		complete bool
	}{
		{"all", client.RangeOptions{}, "0123456789", true},
		{"half open", client.RangeOptions{Range: client.Range{Start: b("s2"), Stop: b("s5")}}, "234", true},
		{"other ends", client.RangeOptions{Range: client.Range{Start: b("s2"), Stop: b("s5"), StartExclusive: true, StopInclusive: true}}, "345", true},
		{"limit", client.RangeOptions{MultiGetOptions: client.MultiGetOptions{MaxCount: 3}}, "012", false},
		{"limit of bytes", client.RangeOptions{MultiGetOptions: client.MultiGetOptions{MaxBytes: 5}}, "01", false},
		{"reverse", client.RangeOptions{MultiGetOptions: client.MultiGetOptions{MaxCount: 3}, Reverse: true}, "789", false},
		{"filter", client.RangeOptions{Range: client.Range{Filter: client.Filter{Type: client.MatchPostfix, Pattern: b("4")}}}, "4", true},
		{"empty", client.RangeOptions{Range: client.Range{Start: b("x")}}, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := tab.MultiGetRange(ctx, b("h"), tc.o)
			require.NoError(t, err)
			got := ""
			for _, rec := range r.Records {
				got += string(rec.SortKey[1:])
				require.Equal(t, "v"+string(rec.SortKey[1:]), string(rec.Value))
			}
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.complete, r.Complete)
		})
	}

	keys, err := tab.GetSortKeys(ctx, b("h"), client.MultiGetOptions{MaxCount: 2})
	require.NoError(t, err)
	require.Equal(t, client.SortKeys{SortKeys: [][]byte{b("s0"), b("s1")}}, keys)
	n, err := tab.SortKeyCount(ctx, b("h"))
	require.NoError(t, err)
	require.EqualValues(t, 10, n)
	require.NoError(t, tab.MultiDel(ctx, b("h"), [][]byte{b("s0"), b("nope")}))
	n, err = tab.SortKeyCount(ctx, b("h"))
	require.NoError(t, err)
	require.EqualValues(t, 9, n)

	deleted, err := tab.DelRange(ctx, b("h"), client.Range{Start: b("s5")})
	require.NoError(t, err)
	require.EqualValues(t, 5, deleted)
	n, err = tab.SortKeyCount(ctx, b("h"))
	require.NoError(t, err)
	require.EqualValues(t, 4, n)
}

func TestDelRangeOverManyPages(t *testing.T) {
	c, tab := setup(t)
	for i := range 950 {
		c.Put("temp", b("h"), b(fmt.Sprintf("s%04d", i)), b("v"))
	}
	c.Put("temp", b("h"), b("t"), b("v"))
	n, err := tab.DelRange(background(t), b("h"), client.Range{Stop: b("t")})
	require.NoError(t, err)
	require.EqualValues(t, 950, n)
	require.Equal(t, 1, c.Len("temp"))
}

func TestConditionalWrites(t *testing.T) {
	_, tab := setup(t)
	ctx := background(t)
	check := client.Check{SortKey: b("s"), Type: client.ValueNotExist, ReturnValue: true}
	r, err := tab.CheckAndSet(ctx, b("h"), check, client.Put{SortKey: b("s"), Value: b("1")})
	require.NoError(t, err)
	require.Equal(t, client.CheckResult{Passed: true}, r)
	r, err = tab.CheckAndSet(ctx, b("h"), check, client.Put{SortKey: b("s"), Value: b("2")})
	require.NoError(t, err)
	require.Equal(t, client.CheckResult{Exist: true, Value: b("1")}, r)

	r, err = tab.CheckAndMutate(ctx, b("h"), client.Check{SortKey: b("s"), Type: client.IntLess, Operand: b("5")},
		[]client.Mutation{client.PutMutation(b("t"), b("x"), 0), client.DeleteMutation(b("s"))})
	require.NoError(t, err)
	require.True(t, r.Passed)
	_, err = tab.Get(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrNotFound)

	x, err := tab.CompareExchange(ctx, b("h"), b("t"), b("x"), b("y"), 0)
	require.NoError(t, err)
	require.Equal(t, client.ExchangeResult{Exchanged: true}, x)
	x, err = tab.CompareExchange(ctx, b("h"), b("t"), b("x"), b("z"), 0)
	require.NoError(t, err)
	require.Equal(t, client.ExchangeResult{Actual: b("y"), Exist: true}, x)
	x, err = tab.CompareExchange(ctx, b("h"), b("none"), b("x"), b("z"), 0)
	require.NoError(t, err)
	require.Equal(t, client.ExchangeResult{}, x)
}

func TestBatches(t *testing.T) {
	c, tab := setup(t)
	ctx := background(t)
	var entries []client.Entry
	var keys []client.Key
	for h := range 40 {
		for s := range 3 {
			e := client.Entry{HashKey: b(fmt.Sprint("h", h)), SortKey: b(fmt.Sprint("s", s)), Value: b(fmt.Sprint(h, s))}
			if h == 0 {
				e.HashKey = nil
			}
			entries = append(entries, e)
			keys = append(keys, client.Key{HashKey: e.HashKey, SortKey: e.SortKey})
		}
	}
	errs, err := tab.BatchSet(ctx, entries)
	require.NoError(t, err)
	require.Len(t, errs, len(entries))
	require.Equal(t, len(entries), c.Len("temp"))

	got, err := tab.BatchGet(ctx, append([]client.Key{{HashKey: b("none"), SortKey: b("x")}}, keys...))
	require.NoError(t, err)
	require.ErrorIs(t, got[0].Err, client.ErrNotFound)
	for i, e := range entries {
		require.NoError(t, got[i+1].Err)
		require.Equal(t, e.Value, got[i+1].Value)
	}
	require.LessOrEqual(t, c.Count("BATCH_GET"), 8, "one call per partition")

	_, err = tab.BatchDel(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, 0, c.Len("temp"))

	got, err = tab.BatchGet(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestBatchReportsEachItem(t *testing.T) {
	_, tab := setup(t)
	long := []byte(strings.Repeat("h", 70000))
	errs, err := tab.BatchSet(background(t), []client.Entry{
		{HashKey: b("h"), SortKey: b("s"), Value: b("v")},
		{HashKey: long, SortKey: b("s"), Value: b("v")},
	})
	var be *client.BatchError
	require.ErrorAs(t, err, &be)
	require.Equal(t, 1, be.Failed)
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], client.ErrInvalidArgument)

	got, err := tab.BatchGet(background(t), []client.Key{{HashKey: b("h"), SortKey: b("s")}, {HashKey: long}})
	require.ErrorIs(t, err, client.ErrInvalidArgument)
	require.Equal(t, "v", string(got[0].Value))
	require.Error(t, got[1].Err)
}

func TestInvalidArgumentsNeverLeave(t *testing.T) {
	c, tab := setup(t)
	ctx := background(t)
	long := make([]byte, 65535)
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	_, err := tab.Get(ctx, long, nil)
	note(err)
	note(tab.Set(ctx, long, nil, nil))
	note(tab.SetTTL(ctx, b("h"), nil, nil, -5))
	note(tab.Del(ctx, long, nil))
	_, err = tab.Incr(ctx, nil, b("s"), 1)
	note(err)
	_, err = tab.MultiGet(ctx, b("h"), nil, client.MultiGetOptions{})
	note(err)
	_, err = tab.MultiGetRange(ctx, nil, client.RangeOptions{})
	note(err)
	note(tab.MultiSet(ctx, b("h"), nil))
	note(tab.MultiDel(ctx, b("h"), nil))
	_, err = tab.CheckAndSet(ctx, b("h"), client.Check{Type: 99}, client.Put{})
	note(err)
	_, err = tab.CheckAndMutate(ctx, b("h"), client.Check{}, nil)
	note(err)
	_, err = tab.Scan(nil, client.Range{}, client.ScanOptions{}).Next(ctx)
	note(err)
	_, err = tab.DelRange(ctx, nil, client.Range{})
	note(err)
	_, err = tab.UnorderedScanners(ctx, 0, client.ScanOptions{})
	note(err)
	for i, err := range errs {
		require.ErrorIs(t, err, client.ErrInvalidArgument, "case %d", i)
	}
	require.Zero(t, c.Count("RPC_CM_QUERY_PARTITION_CONFIG_BY_INDEX"))
}

func TestMissingTable(t *testing.T) {
	c, tab := setup(t)
	ctx := background(t)
	_, err := open(t, c).Table("none").Get(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrTableNotFound)
	require.Equal(t, "get none: table not found", err.Error())

	// Dropped under the client: the node's refusal leads to the meta server's word.
	_, err = tab.Exist(ctx, b("h"), b("s"))
	require.NoError(t, err)
	c.DropTable("temp")
	_, err = tab.Get(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, client.ErrTableNotFound)
}

func TestContext(t *testing.T) {
	_, tab := setup(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := tab.Get(ctx, b("h"), b("s"))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, client.ErrCanceled)
	_, err = tab.GetAsync(ctx, b("h"), b("s")).Wait(background(t))
	require.ErrorIs(t, err, client.ErrCanceled)
}
