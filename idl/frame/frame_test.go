package frame_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
)

func TestDetect(t *testing.T) {
	for in, want := range map[string]frame.Kind{
		"THFT": frame.KindTHFT, "RDSN": frame.KindRDSN, "GET ": frame.KindHTTP, "POST": frame.KindHTTP,
		"_RAW": frame.KindUnknown, "\x00\x00\x00\x00": frame.KindUnknown, "THF": frame.KindUnknown,
		"THFT0": frame.KindTHFT,
	} {
		require.Equal(t, want, frame.Detect([]byte(in)), "%q", in)
	}
}

// Every header survives the trip in the fields its form has room for.
func TestRequestRoundTrip(t *testing.T) {
	full := frame.Header{
		AppID: -1, PartitionIndex: -2, TimeoutMS: 1000, ThreadHash: 15841, PartitionHash: 1<<63 + 5,
		Backup: true, Name: frame.RPCGet, Seq: -9, Oneway: true, ID: 1<<63 + 1, TraceID: 77, Local: 0x7f00000187f10001,
	}
	for _, tc := range []struct {
		proto frame.Proto
		lost  func(*frame.Header)
	}{
		{frame.ProtoTHFT0, func(h *frame.Header) { h.Backup, h.ID, h.TraceID = false, 0, 0 }},
		{frame.ProtoTHFT1, func(h *frame.Header) { h.ThreadHash, h.ID, h.TraceID = 0, 0, 0 }},
		{frame.ProtoRDSN, func(h *frame.Header) { h.Seq, h.Oneway, h.Context, h.From = 0, false, 0xc41, h.Local }},
	} {
		t.Run(tc.proto.String(), func(t *testing.T) {
			h, want := full, full
			h.Proto, want.Proto = tc.proto, tc.proto
			tc.lost(&want)
			want.Local = 0
			b := frame.AppendRequest([]byte("before"), &h, base.BlobOf([]byte("key")))
			got, args, err := frame.ParseRequest(b[len("before"):])
			require.NoError(t, err)
			require.Equal(t, want, got)
			var arg base.Blob
			require.NoError(t, frame.Decode(args, &arg))
			require.Equal(t, "key", string(arg.Data))
		})
	}
}

func TestReplyRoundTrip(t *testing.T) {
	for _, proto := range []frame.Proto{frame.ProtoTHFT0, frame.ProtoTHFT1, frame.ProtoRDSN} {
		t.Run(proto.String(), func(t *testing.T) {
			h := frame.Header{Proto: proto, Name: frame.RPCCLICall, Seq: 3, ID: 4, Context: 0x441}
			b := frame.AppendReply([]byte("before"), &h, "ERR_OK", &base.String{V: "hello"})
			got, body, err := frame.ParseReply(proto, b[len("before"):])
			require.NoError(t, err)
			require.Equal(t, "ERR_OK", got.Error)
			require.Equal(t, h.Name, got.Name)
			require.True(t, got.Seq == 3 || got.ID == 4)
			var result base.String
			require.NoError(t, frame.Decode(body, &result))
			require.Equal(t, "hello", result.V)

			b = frame.AppendReply(nil, &h, "ERR_BUSY", nil)
			got, body, err = frame.ParseReply(proto, b)
			require.NoError(t, err)
			require.Equal(t, "ERR_BUSY", got.Error)
			require.Empty(t, body)
		})
	}
}

// change gives a copy of b with some bytes overwritten.
func change(b []byte, at int, with ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	return b
}

func TestBrokenRequests(t *testing.T) {
	request := func(p frame.Proto, name string) []byte {
		return frame.AppendRequest(nil, &frame.Header{Proto: p, Name: name, Seq: 1}, base.BlobOf([]byte("key")))
	}
	v0, v1, native := request(frame.ProtoTHFT0, frame.RPCGet), request(frame.ProtoTHFT1, frame.RPCGet), request(frame.ProtoRDSN, frame.RPCGet)
	for name, b := range map[string][]byte{
		"magic":                 change(v0, 0, 'X'),
		"version 2":             change(v0, 4, 0, 0, 0, 2),
		"header length 47":      change(v0, 8, 0, 0, 0, 47),
		"body over the limit":   change(v0, 16, 4, 0, 0, 1),
		"body length negative":  change(v0, 16, 0xff, 0xff, 0xff, 0xff),
		"body cut":              v0[:len(v0)-1],
		"header cut":            v0[:40],
		"empty":                 nil,
		"old message header":    change(v0, 48, 0, 0, 0, 17),
		"kind REPLY":            change(v0, 51, byte(thrift.REPLY)),
		"kind EXCEPTION":        change(v0, 51, byte(thrift.EXCEPTION)),
		"kind 0":                change(v0, 51, 0),
		"name length negative":  change(v0, 52, 0xff, 0xff, 0xff, 0xff),
		"name past the body":    change(v0, 52, 0, 0, 1, 0),
		"name of 48 bytes":      request(frame.ProtoTHFT0, strings.Repeat("n", 48)),
		"name with a line end":  request(frame.ProtoTHFT0, "RPC\n"),
		"meta over the limit":   change(v1, 8, 0, 0, 0x10, 1),
		"v1 body over limit":    change(v1, 12, 4, 0, 0, 1),
		"meta without stop":     change(v1, 52, 2),
		"meta length short":     change(v1, 8, 0, 0, 0, 20),
		"native version":        change(native, 4, 1),
		"native header length":  change(native, 8, 191),
		"native body limit":     change(native, 16, 1, 0, 0, 4),
		"native name unended":   change(native, 40, bytes.Repeat([]byte{'n'}, 48)...),
		"native not a request":  change(native, 104, 0x40),
		"native json":           change(native, 104, 0xc1),
		"native magic reversed": change(native, 0, 'N', 'S', 'D', 'R'),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := frame.ParseRequest(b)
			require.ErrorIs(t, err, frame.ErrClose)
		})
	}
}

// An argument that is missing leaves a frame that can be answered.
func TestRequestWithoutArgument(t *testing.T) {
	for _, proto := range []frame.Proto{frame.ProtoTHFT0, frame.ProtoTHFT1, frame.ProtoRDSN} {
		b := frame.AppendRequest(nil, &frame.Header{Proto: proto, Name: frame.RPCGet}, nil)
		h, args, err := frame.ParseRequest(b)
		require.ErrorIs(t, err, frame.ErrNoArgs)
		require.NotErrorIs(t, err, frame.ErrClose)
		require.Empty(t, args)
		require.Equal(t, frame.RPCGet, h.Name)
	}
}

// Any id and any tag will do for the one argument, and an unknown meta field is
// passed over.
func TestLenientWherePeersDiffer(t *testing.T) {
	b := frame.AppendRequest(nil, &frame.Header{Name: frame.RPCGet}, base.BlobOf([]byte("key")))
	field := bytes.Index(b, []byte{thrift.STRUCT, 0, 1})
	_, args, err := frame.ParseRequest(change(b, field, thrift.STRING, 0x7f, 0xff))
	require.NoError(t, err)
	var arg base.Blob
	require.NoError(t, frame.Decode(args, &arg))
	require.Equal(t, "key", string(arg.Data))

	v1 := frame.AppendRequest(nil, &frame.Header{Proto: frame.ProtoTHFT1, Name: frame.RPCGet, AppID: 3}, nil)
	h, _, _ := frame.ParseRequest(change(v1, 16+7, thrift.I32, 0, 99))
	require.Equal(t, int32(3), h.AppID)
}

func TestBrokenReplies(t *testing.T) {
	h := frame.Header{Name: frame.RPCGet, Context: 0x441}
	good := frame.AppendReply(nil, &h, "ERR_OK", rrdb.NewReadResponse())
	h.Proto = frame.ProtoRDSN
	native := frame.AppendReply(nil, &h, "ERR_OK", rrdb.NewReadResponse())
	for _, tc := range []struct {
		name  string
		proto frame.Proto
		b     []byte
	}{
		{"length below its own header", frame.ProtoTHFT0, change(good, 0, 0, 0, 0, 3)},
		{"length negative", frame.ProtoTHFT0, change(good, 0, 0xff)},
		{"cut", frame.ProtoTHFT0, good[:len(good)-1]},
		{"error name past the end", frame.ProtoTHFT0, change(good, 4, 0, 1)},
		{"error name too long", frame.ProtoTHFT0, change(good, 4, 0, 0, 0, 48)},
		{"kind CALL", frame.ProtoTHFT0, change(good, 17, byte(thrift.CALL))},
		{"native request", frame.ProtoRDSN, change(native, 104, 0x41)},
		{"native error unended", frame.ProtoRDSN, change(native, 136, bytes.Repeat([]byte{'E'}, 48)...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := frame.ParseReply(tc.proto, tc.b)
			require.ErrorIs(t, err, frame.ErrClose)
		})
	}
}

// The client stops reading a connection on an error name it cannot look up.
func TestErrorNameIsNeverEmptyOrLong(t *testing.T) {
	for _, proto := range []frame.Proto{frame.ProtoTHFT0, frame.ProtoRDSN} {
		for _, name := range []string{"", strings.Repeat("E", 48)} {
			b := frame.AppendReply(nil, &frame.Header{Proto: proto, Name: "X", Context: 0x441}, name, nil)
			h, _, err := frame.ParseReply(proto, b)
			require.NoError(t, err)
			require.Equal(t, "ERR_UNKNOWN", h.Error)
		}
	}
}

type unwritable struct{ frame.Message }

func (unwritable) Write(_ context.Context, p thrift.TProtocol) error {
	_ = p.WriteI64(context.Background(), 1)
	return errors.New("no")
}

func TestUnwritableResultBecomesErrorFrame(t *testing.T) {
	for _, proto := range []frame.Proto{frame.ProtoTHFT0, frame.ProtoRDSN} {
		h := frame.Header{Proto: proto, Name: "X", Context: 0x441}
		got := frame.AppendReply([]byte("before"), &h, "ERR_OK", unwritable{})
		require.Equal(t, frame.AppendReply([]byte("before"), &h, "ERR_UNKNOWN", nil), got)
	}
}

// Replies carry every field of default requiredness, and nil blobs and addresses
// are empty ones: clients use them without looking.
func TestNilFieldsAreWritten(t *testing.T) {
	got := frame.AppendMessage(nil, &rrdb.ReadResponse{})
	require.Equal(t, "0800010000000"+"00c000200000000080003000000000800040000000"+"00b00060000000000", hex.EncodeToString(got))

	cfg := frame.AppendMessage(nil, &admin.QueryCfgResponse{Partitions: []*admin.PartitionConfiguration{{}}})
	back := admin.NewQueryCfgResponse()
	require.NoError(t, frame.Decode(cfg, back))
	require.Equal(t, "ERR_UNKNOWN", back.Err.Errno)
	require.NotNil(t, back.Partitions[0].Pid)
	require.NotNil(t, back.Partitions[0].Primary)
	require.Nil(t, back.Partitions[0].HpPrimary)
}

// Maps whose keys are addresses have pointers for keys in Go.
func TestMapKeyedByAddress(t *testing.T) {
	a := base.RPCAddressFromRaw(0x7f00000187f10001)
	sent := admin.NewQueryBulkLoadResponse()
	sent.BulkLoadStates = []map[*base.RPCAddress]*admin.PartitionBulkLoadState{{&a: {DownloadProgress: 50}}}
	sent.HpBulkLoadStates = []map[*base.HostPort]*admin.PartitionBulkLoadState{{a.HostPort(): {IsPaused: true}}}
	got := admin.NewQueryBulkLoadResponse()
	require.NoError(t, frame.Decode(frame.AppendMessage(nil, sent), got))
	for k, v := range got.BulkLoadStates[0] {
		require.Equal(t, "127.0.0.1:34801", k.String())
		require.Equal(t, int32(50), v.DownloadProgress)
	}
	for k, v := range got.HpBulkLoadStates[0] {
		require.Equal(t, "127.0.0.1:34801", k.String())
		require.True(t, v.IsPaused)
	}
}

// A request that says it is huge must cost nothing before its bytes arrive.
func TestClaimsCostNothing(t *testing.T) {
	b := frame.AppendRequest(nil, &frame.Header{Name: frame.RPCMultiPut}, rrdb.NewMultiPutRequest())
	list := bytes.Index(b, []byte{thrift.LIST, 0, 2})
	binary.BigEndian.PutUint32(b[list+4:], 1<<30)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, args, err := frame.ParseRequest(b)
	require.NoError(t, err)
	require.Error(t, frame.Decode(args, rrdb.NewMultiPutRequest()))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10))
}

// The hot path allocates nothing for a get: its name is interned, its argument
// stays where it is, its reply goes into the caller's buffer.
func TestAllocations(t *testing.T) {
	b, dst, reply := getRequest(), make([]byte, 0, 4096), readResponse()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		h, _, err := frame.ParseRequest(b)
		if err != nil {
			t.Fatal(err)
		}
		dst = frame.AppendReply(dst[:0], &h, "ERR_OK", reply)
	}))
}

func getRequest() []byte {
	h := frame.Header{AppID: 2, PartitionIndex: 3, TimeoutMS: 1000, Name: frame.RPCGet, Seq: 42}
	return frame.AppendRequest(nil, &h, base.BlobOf([]byte("\x00\x05hkey1skey1")))
}

func readResponse() *rrdb.ReadResponse {
	return &rrdb.ReadResponse{
		Value: base.BlobOf(make([]byte, 1000)), AppID: 2, PartitionIndex: 3, Server: "127.0.0.1:34801",
	}
}

func BenchmarkParseRequest(b *testing.B) {
	in := getRequest()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := frame.ParseRequest(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendReply(b *testing.B) {
	h, reply := frame.Header{Name: frame.RPCGet, Seq: 42}, readResponse()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = frame.AppendReply(dst[:0], &h, "ERR_OK", reply)
	}
	b.SetBytes(int64(len(dst)))
}

func BenchmarkDecodeUpdate(b *testing.B) {
	payload := frame.AppendMessage(nil, &rrdb.UpdateRequest{Key: base.BlobOf(make([]byte, 20)), Value: base.BlobOf(make([]byte, 1000))})
	b.ReportAllocs()
	for b.Loop() {
		if err := frame.Decode(payload, rrdb.NewUpdateRequest()); err != nil {
			b.Fatal(err)
		}
	}
}
