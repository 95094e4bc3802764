package binproto_test

import (
	"context"
	"math"
	"runtime"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/binproto"
	"github.com/arionkv/arion/idl/rrdb"
)

var ctx = context.Background()

// library encodes with the thrift library, the dumb twin of our Writer.
func library(t testing.TB, write func(thrift.TProtocol) error) []byte {
	t.Helper()
	mem := thrift.NewTMemoryBuffer()
	p := thrift.NewTBinaryProtocolConf(mem, nil)
	require.NoError(t, write(p))
	require.NoError(t, p.Flush(ctx))
	return mem.Bytes()
}

func writeEverything(p thrift.TProtocol) error {
	for _, err := range []error{
		p.WriteMessageBegin(ctx, "RPC_X", thrift.CALL, -7),
		p.WriteFieldBegin(ctx, "", thrift.LIST, 300),
		p.WriteBool(ctx, true),
		p.WriteBool(ctx, false),
		p.WriteByte(ctx, -3),
		p.WriteI16(ctx, math.MinInt16),
		p.WriteI32(ctx, math.MaxInt32),
		p.WriteI64(ctx, math.MinInt64),
		p.WriteDouble(ctx, -1.5),
		p.WriteString(ctx, "text"),
		p.WriteBinary(ctx, []byte{0, 1}),
		p.WriteUUID(ctx, thrift.Tuuid{1, 15: 9}),
		p.WriteListBegin(ctx, thrift.BYTE, 2),
		p.WriteByte(ctx, 1), p.WriteByte(ctx, 2),
		p.WriteSetBegin(ctx, thrift.STRING, 0),
		p.WriteMapBegin(ctx, thrift.BYTE, thrift.BYTE, 1),
		p.WriteByte(ctx, 1), p.WriteByte(ctx, 2),
		p.WriteFieldStop(ctx),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestWriterMatchesLibrary(t *testing.T) {
	var w binproto.Writer
	require.NoError(t, writeEverything(&w))
	require.Equal(t, library(t, writeEverything), w.Buf)
}

func TestReaderReadsWhatWasWritten(t *testing.T) {
	r := binproto.NewReader(library(t, writeEverything))
	name, kind, seq, err := r.ReadMessageBegin(ctx)
	require.NoError(t, err)
	require.Equal(t, []any{"RPC_X", thrift.TMessageType(thrift.CALL), int32(-7)}, []any{name, kind, seq})
	_, ft, id, err := r.ReadFieldBegin(ctx)
	require.NoError(t, err)
	require.Equal(t, []any{thrift.TType(thrift.LIST), int16(300)}, []any{ft, id})
	got := func(v any, err error) any {
		require.NoError(t, err)
		return v
	}
	require.Equal(t, true, got(r.ReadBool(ctx)))
	require.Equal(t, false, got(r.ReadBool(ctx)))
	require.Equal(t, int8(-3), got(r.ReadByte(ctx)))
	require.Equal(t, int16(math.MinInt16), got(r.ReadI16(ctx)))
	require.Equal(t, int32(math.MaxInt32), got(r.ReadI32(ctx)))
	require.Equal(t, int64(math.MinInt64), got(r.ReadI64(ctx)))
	require.Equal(t, -1.5, got(r.ReadDouble(ctx)))
	require.Equal(t, "text", got(r.ReadString(ctx)))
	require.Equal(t, []byte{0, 1}, got(r.ReadBinary(ctx)))
	require.Equal(t, thrift.Tuuid{1, 15: 9}, got(r.ReadUUID(ctx)))
	for _, ft := range []thrift.TType{thrift.LIST, thrift.SET, thrift.MAP, thrift.STRUCT} {
		require.NoError(t, r.Skip(ctx, ft))
	}
	require.Zero(t, r.Remaining())
}

func TestReaderRefuses(t *testing.T) {
	deep := make([]byte, 0, 400)
	for range 100 {
		deep = append(deep, thrift.LIST, 0, 0, 0, 1)
	}
	for _, tc := range []struct {
		name string
		in   []byte
		read func(*binproto.Reader) error
		want error
	}{
		{"negative blob", []byte{0xff, 0xff, 0xff, 0xff}, readBlob, binproto.ErrSize},
		{"blob past the end", []byte{0, 0, 0, 2, 1}, readBlob, binproto.ErrSize},
		{"blob without length", []byte{0, 0, 0}, readBlob, binproto.ErrTruncated},
		{"negative list", []byte{thrift.BYTE, 0x80, 0, 0, 0}, readList, binproto.ErrSize},
		{"list past the end", []byte{thrift.I64, 0, 0, 0, 2, 15: 0}, readList, binproto.ErrSize},
		{"list of nothing", []byte{thrift.VOID, 0, 0, 0, 1, 0}, readList, binproto.ErrType},
		{"map past the end", []byte{thrift.BYTE, thrift.I32, 0, 0, 0, 2, 14: 0}, readMap, binproto.ErrSize},
		{"map of nothing", []byte{thrift.BYTE, 99, 0, 0, 0, 1, 1, 1}, readMap, binproto.ErrType},
		{"too deep", deep, skip(thrift.LIST), binproto.ErrDepth},
		{"unknown type", []byte{1, 2, 3}, skip(77), binproto.ErrType},
		{"struct without stop", []byte{thrift.BYTE, 0, 1, 5}, skip(thrift.STRUCT), binproto.ErrTruncated},
		{"old message header", []byte{0, 0, 0, 1, 'x', 1, 0, 0, 0, 0}, readMessage, binproto.ErrVersion},
		{"message name past the end", []byte{0x80, 1, 0, 1, 0, 0, 1, 0}, readMessage, binproto.ErrSize},
		{"writing", nil, func(r *binproto.Reader) error { return r.WriteI32(ctx, 1) }, binproto.ErrDirection},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.ErrorIs(t, tc.read(binproto.NewReader(tc.in)), tc.want)
		})
	}
	var w binproto.Writer
	_, err := w.ReadI32(ctx)
	require.ErrorIs(t, err, binproto.ErrDirection)
}

func readBlob(r *binproto.Reader) error {
	_, err := r.Blob()
	return err
}

func readList(r *binproto.Reader) error {
	_, _, err := r.ReadListBegin(ctx)
	return err
}

func readMap(r *binproto.Reader) error {
	_, _, _, err := r.ReadMapBegin(ctx)
	return err
}

func readMessage(r *binproto.Reader) error {
	_, _, _, err := r.ReadMessageBegin(ctx)
	return err
}

func skip(t thrift.TType) func(*binproto.Reader) error {
	return func(r *binproto.Reader) error { return r.Skip(ctx, t) }
}

// The memory a lie costs must not grow with what it claims.
func TestLyingCountCostsLittle(t *testing.T) {
	body := make([]byte, 1<<20)
	// multi_get_request, field 2, list of a million structs; the first of them is
	// a blob longer than the input.
	copy(body, []byte{thrift.LIST, 0, 2, thrift.STRUCT, 0, 0x0f, 0xff, 0x00, 0x7f, 0xff, 0xff, 0xff})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := rrdb.NewMultiGetRequest().Read(ctx, binproto.NewReader(body))
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, binproto.ErrSize)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10))
}

// A megabyte of one-byte elements is honest about its bytes and still refused
// before its structs fill the memory.
func TestElementsAreCounted(t *testing.T) {
	body := make([]byte, 8<<20)
	copy(body, []byte{thrift.LIST, 0, 2, thrift.STRUCT, 0, 0x50, 0, 0})
	err := rrdb.NewMultiPutRequest().Read(ctx, binproto.NewReader(body))
	require.ErrorIs(t, err, binproto.ErrSize)
}

func TestBlobAliasesInputAndIsCapped(t *testing.T) {
	in := []byte{0, 0, 0, 2, 'a', 'b', 'c'}
	b, err := binproto.NewReader(in).Blob()
	require.NoError(t, err)
	require.Same(t, &in[4], &b[0])
	_ = append(b, 'X')
	require.Equal(t, byte('c'), in[6])
}

func FuzzSkip(f *testing.F) {
	f.Add(byte(thrift.STRUCT), library(f, writeEverything))
	f.Add(byte(thrift.MAP), []byte{thrift.BYTE, thrift.LIST, 0, 0, 0, 1, 1, thrift.I32, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		r := binproto.NewReader(in)
		if err := r.Skip(ctx, thrift.TType(kind)); err != nil {
			return
		}
		// Whatever we accept the library must accept too, to the same byte.
		mem := thrift.NewTMemoryBuffer()
		mem.Write(in)
		p := thrift.NewTBinaryProtocolConf(mem, nil)
		if err := thrift.SkipDefaultDepth(ctx, p, thrift.TType(kind)); err != nil {
			t.Fatalf("skipped %d bytes of %x that the library refuses: %v", len(in)-r.Remaining(), in, err)
		}
		if mem.Len() != r.Remaining() {
			t.Fatalf("%d bytes left of %x, the library leaves %d", r.Remaining(), in, mem.Len())
		}
	})
}
