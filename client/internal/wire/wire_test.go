package wire

import (
	"bytes"
	"context"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/binproto"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
)

var route = Route{TableID: 2, Partition: 3, Hash: 286101286685937507, TimeoutMS: 1000}

// What is written by hand equals what the generated code writes.
func TestHandWrittenRequests(t *testing.T) {
	h, s, v := []byte("hkey1"), []byte("skey1"), []byte("value1")
	k := []byte("\x00\x05hkey1skey1")
	for _, tc := range []struct {
		rpc  string
		got  []byte
		want frame.Message
	}{
		{Get, AppendKeyRequest(nil, Get, h, s), base.BlobOf(k)},
		{TTL, AppendKeyRequest(nil, TTL, h, s), base.BlobOf(k)},
		{Remove, AppendKeyRequest(nil, Remove, h, s), base.BlobOf(k)},
		{SortKeyCount, AppendBlobRequest(nil, SortKeyCount, h), base.BlobOf(h)},
		{Put, AppendPut(nil, h, s, v, 77), &rrdb.UpdateRequest{Key: base.BlobOf(k), Value: base.BlobOf(v), ExpireTsSeconds: 77}},
		{Incr, AppendIncr(nil, h, s, -5, -1), &rrdb.IncrRequest{Key: base.BlobOf(k), Increment: -5, ExpireTsSeconds: -1}},
		{MultiGet, AppendMultiGet(nil, h, [][]byte{s, nil, v}, MultiGetLimits{Count: 3, Bytes: 1 << 20, NoValue: true}),
			&rrdb.MultiGetRequest{HashKey: base.BlobOf(h), SortKeys: []*base.Blob{base.BlobOf(s), base.BlobOf(nil), base.BlobOf(v)},
				MaxKvCount: 3, MaxKvSize: 1 << 20, NoValue: true}},
		{Scan, AppendScan(nil, 1<<40), &rrdb.ScanRequest{ContextID: 1 << 40}},
		{ClearScanner, AppendClearScanner(nil, 1<<40), &base.Int64{V: 1 << 40}},
	} {
		SetRoute(tc.got, route)
		SetSeq(tc.got, 9)
		head := frame.Header{AppID: 2, PartitionIndex: 3, TimeoutMS: 1000, ThreadHash: 2*7919 + 3,
			PartitionHash: route.Hash, Name: tc.rpc, Seq: 9}
		require.Equal(t, hex.Dump(frame.AppendRequest(nil, &head, tc.want)), hex.Dump(tc.got), tc.rpc)

		head.Proto, head.Backup = frame.ProtoTHFT1, true
		backup := AppendBackup(nil, tc.got, route)
		SetSeq(backup, 9)
		got, _, err := frame.ParseRequest(backup)
		require.NoError(t, err)
		head.ThreadHash = 0
		require.Equal(t, head, got)
	}
}

func TestSpoiledRequestIsUnknownEverywhere(t *testing.T) {
	b := AppendPut(nil, []byte("h"), []byte("s"), []byte("v"), 0)
	Spoil(b)
	h, _, err := frame.ParseRequest(b)
	require.NoError(t, err, "the frame stays whole")
	require.Equal(t, "-PC_RRDB_RRDB_PUT", h.Name)
}

func reply(m frame.Message) []byte {
	b := frame.AppendReply(nil, &frame.Header{Name: "RPC_X", Seq: 4}, "ERR_OK", m)
	r, err := ParseReply(b)
	if err != nil || !r.OK() || r.Seq != 4 {
		panic("reply")
	}
	return r.Body
}

func TestReplies(t *testing.T) {
	status, v, err := DecodeValue(reply(&rrdb.ReadResponse{Error: 1, Value: base.BlobOf([]byte("v")), Server: "s"}))
	require.NoError(t, err)
	require.EqualValues(t, 1, status)
	require.Equal(t, "v", string(v))

	status, n, err := DecodeNumber(reply(&rrdb.IncrResponse{Error: 4, NewValue_: -8}))
	require.NoError(t, err)
	require.EqualValues(t, 4, status)
	require.EqualValues(t, -8, n)
	_, n, err = DecodeNumber(reply(&rrdb.TTLResponse{TTLSeconds: -1}))
	require.NoError(t, err)
	require.EqualValues(t, -1, n)

	e := int32(-1)
	list, rows, err := readRows(reply(&rrdb.ScanResponse{Error: 7, ContextID: 5, Kvs: []*rrdb.KeyValue{
		{Key: base.BlobOf([]byte("k")), Value: base.BlobOf([]byte("v")), ExpireTsSeconds: &e}, {Key: base.NewBlob(), Value: base.NewBlob()}}}))
	require.NoError(t, err)
	require.EqualValues(t, 7, rows.Status)
	require.EqualValues(t, 5, rows.Context)
	require.Len(t, list, 2)
	require.Equal(t, uint32(1<<32-1), list[0].Expire)
	require.Equal(t, `"k"="v"`, list[0].String())

	_, found, err := DecodeFound(reply(&rrdb.BatchGetResponse{Data: []*rrdb.FullData{{HashKey: base.BlobOf([]byte("h")), SortKey: base.BlobOf([]byte("s")), Value: base.BlobOf([]byte("v"))}}}))
	require.NoError(t, err)
	require.Equal(t, []Found{{[]byte("h"), []byte("s"), []byte("v")}}, found)

	c, err := DecodeCheck(reply(&rrdb.CheckAndSetResponse{Error: 13, CheckValueReturned: true, CheckValueExist: true, CheckValue: base.BlobOf([]byte("v"))}))
	require.NoError(t, err)
	require.Equal(t, Check{Status: 13, Returned: true, Exist: true, Value: []byte("v")}, c)

	var text string
	require.NoError(t, DecodeText(reply(&base.String{V: "hello"}), &text))
	require.Equal(t, "hello", text)
}

func TestDecreeOfEveryWrite(t *testing.T) {
	for _, m := range []frame.Message{
		&rrdb.UpdateResponse{AppID: 2, PartitionIndex: 3, Decree: 77, Server: "s"},
		&rrdb.MultiRemoveResponse{Count: 5, AppID: 2, PartitionIndex: 3, Decree: 77},
		&rrdb.IncrResponse{NewValue_: 5, AppID: 2, PartitionIndex: 3, Decree: 77},
		&rrdb.CheckAndSetResponse{CheckValueReturned: true, CheckValueExist: true, CheckValue: base.BlobOf([]byte("v")), AppID: 2, Decree: 77},
		&rrdb.CheckAndMutateResponse{AppID: 2, Decree: 77},
	} {
		require.EqualValues(t, 77, DecodeDecree(reply(m)), "%T", m)
	}
	require.Zero(t, DecodeDecree(reply(&rrdb.UpdateResponse{Error: 4, Decree: -1})), "refused before the log")
	require.Zero(t, DecodeDecree(nil))
}

func TestErrorReply(t *testing.T) {
	b := frame.AppendReply(nil, &frame.Header{Name: "RPC_X", Seq: 4}, "ERR_BUSY", nil)
	n, err := ReplySize(b)
	require.NoError(t, err)
	require.Equal(t, len(b), n)
	r, err := ParseReply(b)
	require.NoError(t, err)
	require.False(t, r.OK())
	require.Equal(t, "ERR_BUSY", string(r.Code))
	require.Nil(t, r.Body)
	_, _, err = DecodeValue(r.Body)
	require.ErrorIs(t, err, ErrMalformed)
}

func TestBrokenLengths(t *testing.T) {
	for _, b := range [][]byte{{0, 0, 0, 0}, {0, 0, 0, 19}, {0xff, 0xff, 0xff, 0xff}, {4, 0, 0, 1}} {
		_, err := ReplySize(b)
		require.ErrorIs(t, err, ErrMalformed)
	}
	n, err := ReplySize([]byte{0, 0, 1})
	require.NoError(t, err)
	require.Zero(t, n)
	// A count of rows beyond the bytes there are.
	_, _, err = readRows([]byte{15, 0, 2, 12, 0x7f, 0xff, 0xff, 0xff, 0})
	require.ErrorIs(t, err, ErrMalformed)
	// Two lists.
	one := append([]byte{15, 0, 2, 12, 0, 0, 0, 1}, rowOf("k", "v", nil)...)
	_, _, err = readRows(append(append(one[:len(one):len(one)], one...), 0))
	require.ErrorIs(t, err, ErrMalformed)
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 512)
	h, s, v := []byte("hkey1"), []byte("skey1"), bytes.Repeat([]byte("v"), 128)
	body := reply(&rrdb.ReadResponse{Value: base.BlobOf(v), Server: "127.0.0.1:34801"})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		f := AppendKeyRequest(dst, Get, h, s)
		SetRoute(f, route)
		SetSeq(f, 1)
		AppendPut(dst, h, s, v, 0)
		if _, _, err := DecodeValue(body); err != nil {
			panic(err)
		}
	}))
}

// FuzzReply feeds bytes from a hostile server to everything that reads them, and
// compares what is read by hand with the generated code.
func FuzzReply(f *testing.F) {
	for _, m := range []frame.Message{
		&rrdb.ReadResponse{Value: base.BlobOf([]byte("v")), Server: "s"}, &rrdb.IncrResponse{NewValue_: 3},
		&rrdb.ScanResponse{ContextID: 5, Kvs: []*rrdb.KeyValue{{Key: base.BlobOf([]byte("k")), Value: base.NewBlob()}}},
		&rrdb.CheckAndSetResponse{CheckValue: base.NewBlob()}, &rrdb.BatchGetResponse{Data: []*rrdb.FullData{}}, &base.String{V: "x"},
	} {
		f.Add(frame.AppendReply(nil, &frame.Header{Name: "RPC_X"}, "ERR_OK", m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := ReplySize(b)
		if err != nil || n == 0 || n > len(b) {
			return
		}
		r, err := ParseReply(b[:n])
		if err != nil {
			return
		}
		var text string
		_ = DecodeText(r.Body, &text)
		status, number, err := DecodeNumber(r.Body)
		var incr rrdb.IncrResponse
		if incr.Read(context.Background(), binproto.NewReader(r.Body)) == nil && asWritten(r.Body, &incr) &&
			(err != nil || incr.Error != status || incr.NewValue_ != number) {
			t.Fatalf("got %d %d %v, want %v", status, number, err, &incr)
		}
		_, _, _ = DecodeFound(r.Body)
		_, _ = DecodeCheck(r.Body)
		_ = DecodeDecree(r.Body)
		in := ReadRows(r.Body)
		if in.Len() > len(r.Body) {
			t.Fatal("more rows than bytes")
		}
		list, rows, err := readRows(r.Body)
		var page rrdb.ScanResponse
		if err == nil && page.Read(context.Background(), binproto.NewReader(r.Body)) == nil &&
			(len(page.Kvs) != len(list) || page.Error != rows.Status || page.ContextID != rows.Context) {
			t.Fatalf("got %v %v, want %v", rows, list, &page)
		}
		status, v, err := DecodeValue(r.Body)
		var want rrdb.ReadResponse
		if want.Read(context.Background(), binproto.NewReader(r.Body)) == nil && asWritten(r.Body, &want) &&
			(err != nil || want.Error != status || !bytes.Equal(want.Value.Bytes(), v)) {
			t.Fatalf("got %d %q %v, want %v", status, v, err, &want)
		}
	})
}

// asWritten reports that a body is what servers write for m, with no field twice.
func asWritten(body []byte, m frame.Message) bool {
	return bytes.HasPrefix(body, frame.AppendMessage(nil, m))
}

func readRows(body []byte) (list []Row, rows Rows, err error) {
	in := ReadRows(body)
	for r := (Row{}); in.Next(&r); {
		list = append(list, r)
	}
	rows, err = in.End()
	return list, rows, err
}

func rowOf(key, value string, expire *int32) []byte {
	return frame.AppendMessage(nil, &rrdb.KeyValue{Key: base.BlobOf([]byte(key)), Value: base.BlobOf([]byte(value)), ExpireTsSeconds: expire})
}

// Rows in the usual form are read at once, others field by field.
func TestPlainRows(t *testing.T) {
	e := int32(7)
	for _, b := range [][]byte{rowOf("k", "value", nil), rowOf("", "", nil), rowOf("k", "", &e), rowOf("", "v", &e)} {
		var r Row
		rest := plainRow(append(b[:len(b):len(b)], "next"...), &r)
		require.Equal(t, "next", string(rest), "%x", b)
		for n := range b { // cut short
			rest := plainRow(b[:n:n], &r)
			require.Nil(t, rest, "%x of %x", b[:n], b)
		}
	}
	value, unknown := []byte("\x0c\x00\x02\x00\x00\x00\x01v"), []byte("\x08\x00\x09\x00\x00\x00\x01")
	key := []byte("\x0c\x00\x01\x00\x00\x00\x01k")
	for _, parts := range [][][]byte{{value, key}, {key, value, unknown}, {unknown, key, value}} {
		one := append(bytes.Join(parts, nil), 0)
		require.Nil(t, plainRow(append(one[:len(one):len(one)], make([]byte, 20)...), new(Row)))
		list, _, err := readRows(append(append([]byte{15, 0, 2, 12, 0, 0, 0, 1}, one...), 0))
		require.NoError(t, err)
		require.Equal(t, []Row{{Key: []byte("k"), Value: []byte("v")}}, list)
	}
}

func FuzzPlainRow(f *testing.F) {
	e := int32(7)
	f.Add(rowOf("key", "value", nil))
	f.Add(rowOf("key", "value", &e))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Row
		rest := plainRow(b, &r)
		if rest == nil {
			return
		}
		in := fieldsOf(b)
		want := in.row()
		if in.bad || !bytes.Equal(want.Key, r.Key) || !bytes.Equal(want.Value, r.Value) || want.Expire != r.Expire || len(in.b) != len(rest) {
			t.Fatalf("%x: got %v and %x, want %v and %x", b, r, rest, want, in.b)
		}
	})
}

func BenchmarkDecodeValue(b *testing.B) {
	body := reply(&rrdb.ReadResponse{Value: base.BlobOf(make([]byte, 128)), AppID: 2, Server: "127.0.0.1:34801"})
	for b.Loop() {
		if _, _, err := DecodeValue(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeRows(b *testing.B) {
	kvs := make([]*rrdb.KeyValue, 1000)
	for i := range kvs {
		kvs[i] = &rrdb.KeyValue{Key: base.BlobOf(make([]byte, 30)), Value: base.BlobOf(make([]byte, 128))}
	}
	body := reply(&rrdb.ScanResponse{Kvs: kvs})
	rows := make([]Row, 0, len(kvs))
	b.ReportAllocs()
	for b.Loop() {
		rows = rows[:0]
		in := ReadRows(body)
		for r := (Row{}); in.Next(&r); {
			rows = append(rows, r)
		}
		if _, err := in.End(); err != nil {
			b.Fatal(err)
		}
	}
}
