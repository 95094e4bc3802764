package rpc

import (
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/arionkv/arion/idl/frame"
	"github.com/stretchr/testify/require"
)

// rawCall is a v0 frame with any body.
func rawCall(body []byte) []byte {
	b := make([]byte, 48, 48+len(body))
	copy(b, "THFT")
	binary.BigEndian.PutUint32(b[8:], 48)
	binary.BigEndian.PutUint32(b[16:], uint32(len(body)))
	return append(b, body...)
}

// message is the start of a body: a call header and an argument field.
func message(name string, kind byte) []byte {
	b := []byte{0x80, 1, 0, kind}
	b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
	b = append(b, name...)
	b = binary.BigEndian.AppendUint32(b, 1)
	return append(b, 12, 0, 1)
}

func TestHostileBytesClose(t *testing.T) {
	valid := request(rpcEcho, 1, text("x"))
	patched := func(at int, b ...byte) string {
		f := append([]byte(nil), valid...)
		copy(f[at:], b)
		return string(f)
	}
	for _, tc := range []struct {
		name   string
		bytes  string
		reason closeReason
	}{
		{"wrong magic", "XXXX" + string(valid[4:]), closeMagic},
		{"random bytes", "\x00\x01\x02\x03\x04\x05", closeMagic},
		{"raw protocol", "_RAW", closeMagic},
		{"ssh banner", "SSH-2.0-OpenSSH_9.2\r\n", closeMagic},
		{"tls hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", closeTLS},
		{"header version 2", patched(4, 0, 0, 0, 2), closeFrame},
		{"header length 47", patched(8, 0, 0, 0, 47), closeFrame},
		{"reply as request", string(rawCall(message(rpcEcho, 2))), closeFrame},
		{"exception as request", string(rawCall(message(rpcEcho, 3))), closeFrame},
		{"body of 4 GB", patched(16, 0xff, 0xff, 0xff, 0xff), closeFrame},
		{"body just too large", patched(16, 4, 0, 0, 1), closeFrame},
		{"empty body", string(rawCall(nil)), closeFrame},
		{"name of 2 GB", string(rawCall([]byte{0x80, 1, 0, 1, 0x7f, 0xff, 0xff, 0xff, 'x'})), closeFrame},
		{"name of 48", string(rawCall(message(strings.Repeat("N", 48), 1))), closeFrame},
		{"old message header", string(rawCall([]byte("\x00\x00\x00\x03GET\x01\x00\x00\x00\x01\x00"))), closeFrame},
		{"v1 meta of 1 GB", "THFT\x00\x00\x00\x01\x40\x00\x00\x00\x00\x00\x00\x10" + strings.Repeat("\x00", 64), closeFrame},
		{"change of protocol", string(valid) + "RDSN" + strings.Repeat("\x00", 188), closeMagic},
		{"HTTP after a frame", string(valid) + "GET / HTTP/1.1\r\n\r\n", closeMagic},
		{"native header length", "RDSN\x00\x00\x00\x00\xc1" + strings.Repeat("\x00", 183), closeFrame},
		{"nothing, then gone", "", closePeer},
		{"half a frame, then gone", string(valid[:60]), closePeer},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, nil)
			p := r.dial(t)
			p.send([]byte(tc.bytes))
			if tc.reason == closePeer {
				require.NoError(t, p.Close())
			} else {
				p.expectClosed()
			}
			eventually(t, "closed and counted", func() bool { return r.closed(t, tc.reason) == 1 })
			other := r.dial(t)
			other.send(valid)
			other.reply()
		})
	}
}

// Arguments that lie are the handler's to refuse; the connection lives on.
func TestHostileArguments(t *testing.T) {
	deep := message("RPC_TEST_STRUCT", 1)
	for range 200_000 {
		deep = append(deep, 12, 0, 1)
	}
	list := append(message("RPC_TEST_STRUCT", 1), 15, 0, 2, 11, 0x7f, 0xff, 0xff, 0xff)
	for name, b := range map[string][]byte{
		"string of 2 GB":      rawCall(append(message("RPC_TEST_STRUCT", 1), 11, 0, 1, 0x7f, 0xff, 0xff, 0xff, 'x')),
		"negative length":     rawCall(append(message("RPC_TEST_STRUCT", 1), 11, 0, 1, 0xff, 0xff, 0xff, 0xff, 'x')),
		"deep nest":           rawCall(deep),
		"list of 2 G strings": rawCall(list),
		"cut short":           rawCall(append(message("RPC_TEST_STRUCT", 1), 11, 0)),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) {
				o.Mux.Handle("RPC_TEST_STRUCT", func(q *Request) {
					if q.DecodeOrFail(&skipStruct{}) {
						q.Reply(text("decoded"))
					}
				})
			})
			p := r.dial(t)
			p.send(b)
			h, _ := p.reply()
			require.Equal(t, "ERR_INVALID_PARAMETERS", h.Error)
			p.send(request(rpcEcho, 2, text("alive")))
			_, got := p.reply()
			require.Equal(t, "alive", got)
		})
	}
}

func TestHalfFrameTimesOut(t *testing.T) {
	valid := request(rpcEcho, 1, text("x"))
	for _, length := range []int{1, 3, 4, 20, 48, len(valid) - 1} {
		r := newRig(t, func(o *Options) { o.FrameTimeout = 30 * time.Millisecond })
		p := r.dial(t)
		p.send(append(append([]byte(nil), valid...), valid[:length]...))
		p.reply()
		p.expectClosed()
		require.Equal(t, 1.0, r.closed(t, closeTimeout))
	}
}

// Between frames, and before the first, a connection may rest as long as it
// likes, whatever deadlines half frames have left behind.
func TestIdleConnectionLives(t *testing.T) {
	const timeout = 20 * time.Millisecond
	r := newRig(t, func(o *Options) { o.FrameTimeout = timeout })
	p := r.dial(t)
	valid := request(rpcEcho, 1, text("x"))
	rest := func() {
		// A second connection's timeout proves that the time has passed.
		other := r.dial(t)
		other.send(valid[:5])
		other.expectClosed()
	}
	rest()
	for range 3 {
		p.send(valid[:10])
		p.send(valid[10:])
		p.reply()
		rest()
		rest()
	}
}

// A length alone must not cost memory.
func TestAnnouncedLengthCostsNothing(t *testing.T) {
	r := newRig(t, nil)
	before := heapBytes()
	const conns = 100
	for range conns {
		p := r.dial(t)
		b := rawCall(nil)
		binary.BigEndian.PutUint32(b[16:], frame.MaxBody)
		p.send(b)
	}
	eventually(t, "all are read", func() bool { return r.metric(t, "arion_rpc_received_bytes_total") == 48*conns })
	require.Less(t, heapBytes()-before, int64(conns*200<<10), "64 MB each were announced")
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestLargeFrameWaitsForMemory(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxInFlightBytes, o.FrameTimeout = 1<<20, time.Second })
	holder := r.dial(t)
	holder.send(request(rpcHold, 1, text(strings.Repeat("x", 900<<10))))
	eventually(t, "held", func() bool { return r.heldCount() == 1 })

	waiter := r.dial(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = waiter.Write(request(rpcEcho, 2, text(strings.Repeat("y", 600<<10))))
	}()
	eventually(t, "its start arrived", func() bool { return r.metric(t, "arion_rpc_received_bytes_total") > 940<<10 })
	r.release()
	holder.reply()
	_, got := waiter.reply()
	require.Len(t, got, 600<<10)
	<-done
}

func TestLargeFrameWithoutMemory(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxInFlightBytes, o.FrameTimeout = 1<<20, 50*time.Millisecond })
	p := r.dial(t)
	go func() { _, _ = p.Write(request(rpcEcho, 2, text(strings.Repeat("y", 8<<20)))) }()
	p.expectClosed()
	require.Equal(t, 1.0, r.closed(t, closeMemory))
}

// The recorded bad frames of a real server: what it closes, we close.
func TestRecordedBadFrames(t *testing.T) {
	for name, tc := range map[string]struct {
		hex    string
		reason closeReason
	}{
		"bad.magic":   {"585858580000000000000030000000000000002b0000000000000001000000020000138800001ef1aae1fd17e635e4da80010001000000115250435f525244425f525244425f474554000000050c00010000000600026831733100", closeMagic},
		"bad.hdrlen":  {"54484654000000000000002f000000000000002b0000000000000001000000020000138800001ef1aae1fd17e635e4da80010001000000115250435f525244425f525244425f474554000000050c00010000000600026831733100", closeFrame},
		"bad.version": {"544846540000000200000030000000000000002b0000000000000001000000020000138800001ef1aae1fd17e635e4da80010001000000115250435f525244425f525244425f474554000000050c00010000000600026831733100", closeFrame},
		"bad.msgtype": {"544846540000000000000030000000000000002b0000000000000001000000020000138800001ef1aae1fd17e635e4da80010002000000115250435f525244425f525244425f474554000000050c00010000000600026831733100", closeFrame},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := hex.DecodeString(tc.hex)
			require.NoError(t, err)
			r := newRig(t, nil)
			p := r.dial(t)
			p.send(b)
			require.Empty(t, p.expectClosed())
			require.Equal(t, 1.0, r.closed(t, tc.reason))
		})
	}
}
