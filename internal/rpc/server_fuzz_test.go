package rpc

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/stretchr/testify/require"
)

// decoding is a handler that reads its argument as M and answers it.
func decoding[M frame.Message](fresh func() M) Handler {
	return func(r *Request) {
		if m := fresh(); r.DecodeOrFail(m) {
			r.Reply(m)
		}
	}
}

var fuzzHandlers = map[string]Handler{
	frame.RPCGet:          decoding(func() *base.Blob { return &base.Blob{} }),
	frame.RPCPut:          decoding(rrdb.NewUpdateRequest),
	frame.RPCMultiPut:     decoding(rrdb.NewMultiPutRequest),
	frame.RPCMultiGet:     decoding(rrdb.NewMultiGetRequest),
	frame.RPCBatchGet:     decoding(rrdb.NewBatchGetRequest),
	frame.RPCCheckAndSet:  decoding(rrdb.NewCheckAndSetRequest),
	frame.RPCGetScanner:   decoding(rrdb.NewGetScannerRequest),
	frame.RPCClearScanner: (*Request).Ignore,
	rpcPanic:              (*Request).CloseConn,
}

func fuzzSeeds() [][]byte {
	blob := func(s string) *base.Blob { return &base.Blob{Data: []byte(s)} }
	args := map[string]frame.Message{
		frame.RPCGet:         blob("\x00\x05hkey1skey1"),
		frame.RPCPut:         &rrdb.UpdateRequest{Key: blob("\x00\x01ab"), Value: blob("v")},
		frame.RPCMultiPut:    &rrdb.MultiPutRequest{HashKey: blob("h"), Kvs: []*rrdb.KeyValue{{Key: blob("a"), Value: blob("b")}}},
		frame.RPCMultiGet:    &rrdb.MultiGetRequest{HashKey: blob("h"), SortKeys: []*base.Blob{blob("a"), blob("b")}},
		frame.RPCBatchGet:    &rrdb.BatchGetRequest{Keys: []*rrdb.FullKey{{HashKey: blob("h"), SortKey: blob("s")}}},
		frame.RPCCheckAndSet: rrdb.NewCheckAndSetRequest(),
		"RPC_NOBODY_KNOWS":   blob(""),
		rpcPanic:             blob(""),
	}
	seeds := [][]byte{nil, []byte("GET / HTTP/1.1\r\n\r\n"), []byte("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), {0x16, 3, 1}}
	for name, arg := range args {
		for _, proto := range []frame.Proto{frame.ProtoTHFT0, frame.ProtoTHFT1, frame.ProtoRDSN} {
			one := frame.AppendRequest(nil, &frame.Header{Proto: proto, Name: name, Seq: 1, ID: 1}, arg)
			seeds = append(seeds, one, append(one, one...))
		}
	}
	return append(seeds, goldenFrames()...)
}

// goldenFrames are requests that real clients sent, and replies, which are as
// good as any other bytes.
func goldenFrames() (frames [][]byte) {
	file, err := os.Open("../../idl/frame/testdata/frames.jsonl")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	for dec := json.NewDecoder(file); dec.More(); {
		var golden struct{ Hex string }
		if err := dec.Decode(&golden); err != nil {
			panic(err)
		}
		b, err := hex.DecodeString(golden.Hex)
		if err != nil {
			panic(err)
		}
		frames = append(frames, b)
	}
	return frames
}

// FuzzServer sends bytes over a real connection. Whatever they are, the server
// ends the connection after the peer's end, panics nowhere, and holds nothing.
func FuzzServer(f *testing.F) {
	for _, seed := range fuzzSeeds() {
		f.Add(seed)
	}
	r := newRig(f, func(o *Options) {
		o.Mux = NewMux()
		for name, h := range fuzzHandlers {
			o.Mux.Handle(name, h)
		}
		o.MaxInFlightBytes = 1 << 20
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		nc, err := net.Dial("tcp", r.addr)
		require.NoError(t, err)
		defer nc.Close()
		require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
		_, _ = nc.Write(b) // the server may have closed it already
		_ = nc.(*net.TCPConn).CloseWrite()
		_, err = io.Copy(io.Discard, nc)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "connection hangs")
		require.Zero(t, r.metric(t, "arion_rpc_handler_panics_total"))
		require.Zero(t, r.closed(t, closeInternal))
		eventually(t, "nothing is held", func() bool { return r.budget.used.Load() == 0 })
	})
}

// A row of large frames costs little more memory than their own.
func TestInbufLargeFrames(t *testing.T) {
	const size = 1 << 20
	var in inbuf
	made := 0
	for range 10 {
		for len(in.unread()) < size {
			before := len(in.b)
			room := in.room(size)
			if len(in.b) != before {
				made += len(in.b)
			}
			in.received(min(len(room), 10_000, size-len(in.unread())))
		}
		require.Len(t, in.take(size), size)
	}
	require.Less(t, made, 10*size+3*maxReadBuf)
}

// FuzzInbuf reads a stream in random pieces and must give back its frames.
func FuzzInbuf(f *testing.F) {
	f.Add([]byte("some bytes"), uint16(3), uint32(100_000))
	f.Add([]byte{}, uint16(1), uint32(0))
	f.Fuzz(func(t *testing.T, pattern []byte, step uint16, frameLen uint32) {
		wanted := int(frameLen%(1<<20)) + 1
		if len(pattern) == 0 {
			pattern = []byte{1}
		}
		var in inbuf
		for sent := 0; sent < wanted; {
			growth := in.growth(wanted)
			before := len(in.b)
			room := in.room(wanted)
			require.NotEmpty(t, room)
			require.Equal(t, max(len(in.b), maxReadBuf)-max(before, maxReadBuf), growth)
			require.LessOrEqual(t, len(in.b), max(maxReadBuf, wanted))
			require.LessOrEqual(t, len(in.b), max(maxReadBuf, maxLead*before))
			n := min(len(room), int(step)+1, wanted-sent)
			for i := range n {
				room[i] = pattern[(sent+i)%len(pattern)]
			}
			in.received(n)
			sent += n
		}
		got := in.unread()
		require.Len(t, got, wanted)
		for i := range got {
			require.Equal(t, pattern[i%len(pattern)], got[i])
		}
		taken := in.take(wanted)
		require.Equal(t, wanted > maxReadBuf, taken != nil)
	})
}
