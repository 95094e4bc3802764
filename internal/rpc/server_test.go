package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/stretchr/testify/require"
)

func TestCall(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	for _, tc := range []struct {
		name   string
		rpc    string
		arg    frame.Message
		code   code.Code
		result string
	}{
		{"result", rpcEcho, text("one"), code.OK, "one"},
		{"unknown name", "RPC_FOO_BAR", text("x"), code.HandlerNotFound, ""},
		{"data call without handler", "RPC_RRDB_RRDB_GET", text("x"), code.HandlerNotFound, ""},
		{"panic", rpcPanic, text("x"), code.Unknown, ""},
		{"no argument", rpcEcho, nil, code.InvalidParameters, ""},
		{"argument of another type", rpcEcho, &base.Int64{V: 1 << 40}, code.InvalidParameters, ""},
		{"after all that", rpcEcho, text("two"), code.OK, "two"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p.send(request(tc.rpc, 7, tc.arg))
			h, result := p.reply()
			require.Equal(t, tc.code.String(), h.Error)
			require.Equal(t, int32(7), h.Seq)
			require.Equal(t, tc.rpc, h.Name)
			require.Equal(t, tc.result, result)
		})
	}
	require.Equal(t, 2.0, r.metric(t, "arion_rpc_requests_total", unknownName, "ERR_HANDLER_NOT_FOUND"))
	require.Equal(t, 2.0, r.metric(t, "arion_rpc_requests_total", rpcEcho, "ERR_OK"))
	require.Equal(t, 1.0, r.metric(t, "arion_rpc_handler_panics_total"))
	require.Equal(t, 4.0, r.metric(t, "arion_rpc_request_duration_seconds", rpcEcho))
	require.Equal(t, 1.0, r.metric(t, "arion_rpc_connections"))
}

func TestNoReply(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	p.send(append(request(rpcQuiet, 1, text("")), request(rpcEcho, 2, text("x"))...))
	h, _ := p.reply()
	require.Equal(t, int32(2), h.Seq)
	require.Equal(t, 1.0, r.metric(t, "arion_rpc_requests_total", rpcQuiet, outcomeIgnored))
}

// A one-way call is answered like any other: upstream makes no difference, and
// callers skip a sequence id they do not wait for.
func TestOnewayIsAnswered(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	p.send(frame.AppendRequest(nil, &frame.Header{Name: rpcEcho, Seq: 3, Oneway: true}, text("x")))
	h, _ := p.reply()
	require.Equal(t, int32(3), h.Seq)
}

func TestAnswerOnce(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	p.send(request(rpcHold, 1, text("first")))
	eventually(t, "held", func() bool { return r.heldCount() == 1 })
	held := r.held[0]
	r.release()
	held.Fail(code.Busy)
	held.Ignore()
	held.CloseConn()
	p.send(request(rpcEcho, 2, text("second")))
	_, got := p.reply()
	require.Equal(t, "first", got)
	_, got = p.reply()
	require.Equal(t, "second", got)
	require.Equal(t, 3.0, r.metric(t, "arion_rpc_duplicate_replies_total"))
}

func TestFrameSafeErrors(t *testing.T) {
	for _, tc := range []struct {
		proto frame.Proto
		code  code.Code
		want  code.Code
	}{
		{frame.ProtoTHFT0, code.InvalidState, code.InvalidState},
		{frame.ProtoTHFT0, code.DiskIOError, code.Unknown},
		{frame.ProtoTHFT1, code.RetryExhausted, code.Unknown},
		{frame.ProtoRDSN, code.DiskIOError, code.DiskIOError},
	} {
		q := &Request{Header: frame.Header{Proto: tc.proto}}
		require.Equal(t, tc.want, q.readable(tc.code), "%v to %v", tc.code, tc.proto)
	}
}

func TestHostPorts(t *testing.T) {
	for _, option := range []bool{false, true} {
		s := NewServer(Options{Mux: NewMux(), ThftHostPorts: option})
		for proto, want := range map[frame.Proto]bool{frame.ProtoTHFT0: option, frame.ProtoTHFT1: option, frame.ProtoRDSN: true} {
			q := &Request{Header: frame.Header{Proto: proto}, conn: &conn{srv: s}}
			require.Equal(t, want, q.HostPorts())
		}
	}
}

func TestNativeProtocol(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	p.send(frame.AppendRequest(nil, &frame.Header{Proto: frame.ProtoRDSN, Name: rpcEcho, ID: 1 << 40}, text("native")))
	var b [1024]byte
	total := 0
	for {
		n, err := p.Read(b[total:])
		require.NoError(t, err)
		total += n
		if want, _, err := frame.ReplySize(frame.ProtoRDSN, b[:total]); err == nil && want > 0 && want <= total {
			break
		}
	}
	h, body, err := frame.ParseReply(frame.ProtoRDSN, b[:total])
	require.NoError(t, err)
	require.Equal(t, uint64(1<<40), h.ID)
	var got base.String
	require.NoError(t, frame.Decode(body, &got))
	require.Equal(t, "native", got.V)
}

func TestHTTPOnTheSamePort(t *testing.T) {
	r := newRig(t, nil)
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for range 3 {
		resp, err := c.Get("http://" + r.addr + "/somewhere")
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "hello /somewhere", string(body))
	}
	require.Equal(t, 1.0, r.metric(t, "arion_rpc_connections"))
	c.CloseIdleConnections()
	eventually(t, "slot is free again", func() bool { return r.metric(t, "arion_rpc_connections") == 0 })
}

// Ten thousand requests in one go, more than may be in flight, answered out of
// order by other goroutines.
func TestPipelinedOutOfOrder(t *testing.T) {
	const n = 10_000
	r := newRig(t, func(o *Options) {
		mux := NewMux()
		mux.Handle(rpcEcho, func(q *Request) {
			if rand.IntN(2) == 0 {
				echo(q)
				return
			}
			go echo(q)
		})
		o.Mux, o.MaxInFlightPerConn = mux, 100
	})
	p := r.dial(t)
	go func() {
		var all []byte
		for i := range n {
			all = frame.AppendRequest(all, &frame.Header{Name: rpcEcho, Seq: int32(i)}, text(fmt.Sprint(i)))
		}
		_, _ = p.Write(all)
	}()
	seen := make([]bool, n)
	for range n {
		h, got := p.reply()
		require.False(t, seen[h.Seq], "answered twice")
		seen[h.Seq] = true
		require.Equal(t, fmt.Sprint(h.Seq), got)
	}
	require.Equal(t, float64(n), r.metric(t, "arion_rpc_requests_total", rpcEcho, "ERR_OK"))
}

func TestInFlightBound(t *testing.T) {
	const limit = 5
	r := newRig(t, func(o *Options) { o.MaxInFlightPerConn = limit })
	p := r.dial(t)
	for i := range 4 * limit {
		p.send(request(rpcHold, int32(i), text("x")))
	}
	for answered := 0; answered < 4*limit; answered += limit {
		eventually(t, "limit reached", func() bool { return r.heldCount() == limit })
		require.Equal(t, float64(limit), r.metric(t, "arion_rpc_in_flight_requests"))
		r.release()
		for range limit {
			p.reply()
		}
	}
}

func TestProcessBytesBound(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxInFlightBytes = 1000 })
	p := r.dial(t)
	p.send(request(rpcHold, 1, text(string(make([]byte, 800)))))
	eventually(t, "held", func() bool { return r.heldCount() == 1 })
	p.send(request(rpcEcho, 2, text(string(make([]byte, 300)))))
	h, _ := p.reply()
	require.Equal(t, "ERR_BUSY", h.Error)
	r.release()
	p.reply()
	p.send(request(rpcEcho, 3, text("x")))
	h, _ = p.reply()
	require.Equal(t, "ERR_OK", h.Error)
}

func TestTooManyConnections(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxConns = 1 })
	first := r.dial(t)
	first.send(request(rpcEcho, 1, text("x")))
	first.reply()
	r.dial(t).expectClosed()
	require.Equal(t, 1.0, r.closed(t, closeTooMany))
	require.NoError(t, first.Close())
	eventually(t, "slot is free", func() bool { return r.metric(t, "arion_rpc_connections") == 0 })
	again := r.dial(t)
	again.send(request(rpcEcho, 1, text("x")))
	again.reply()
}

// A peer that writes everything before it reads must not lock up.
func TestReplyLargerThanSocketBuffers(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	const size = 30 << 20
	p.send(request(rpcBig, 1, &base.Int64{V: size}))
	for i := range 100 {
		p.send(request(rpcEcho, int32(2+i), text("x")))
	}
	total := 0
	for range 101 {
		_, got := p.reply()
		total += len(got)
	}
	require.Equal(t, size+100, total)
}

func TestSlowReader(t *testing.T) {
	t.Run("paused", func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.MaxPendingOut = 8 << 20 })
		p := r.dial(t)
		for i := range 8 {
			if _, err := p.Write(request(rpcBig, int32(i), &base.Int64{V: 6 << 20})); err != nil {
				break
			}
		}
		// The second request is not admitted before the first reply is nearly
		// gone: it is the pause that holds here, not the close.
		for range 8 {
			p.reply()
		}
		require.Zero(t, r.closed(t, closeSlow))
	})
	t.Run("no progress", func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.WriteTimeout = 50 * time.Millisecond })
		p := r.dial(t)
		p.send(request(rpcBig, 1, &base.Int64{V: 50 << 20}))
		eventually(t, "closed", func() bool { return r.closed(t, closeSlow) == 1 })
	})
	t.Run("overfull", func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.MaxPendingOut = 1 << 20 })
		p := r.dial(t)
		p.send(request(rpcBig, 1, &base.Int64{V: 30 << 20}))
		p.expectClosed()
		require.Equal(t, 1.0, r.closed(t, closeSlow))
	})
}

func TestGracefulClose(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	p.send(request(rpcHold, 1, text("last words")))
	idle := r.dial(t)
	eventually(t, "held", func() bool { return r.heldCount() == 1 })

	done := make(chan error, 1)
	go func() { done <- r.Close(context.Background()) }()
	idle.expectClosed()
	select {
	case err := <-done:
		t.Fatalf("closed with a request in flight: %v", err)
	default:
	}
	r.release()
	_, got := p.reply()
	require.Equal(t, "last words", got)
	require.NoError(t, <-done)
	p.expectClosed()
	_, err := net.Dial("tcp", r.addr)
	require.Error(t, err)
}

func TestCloseCutsOff(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	p.send(request(rpcHold, 1, text("x")))
	eventually(t, "held", func() bool { return r.heldCount() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, r.Close(ctx), context.DeadlineExceeded)
	p.expectClosed()
	r.release() // answers into the void
}

func TestHalfClosedPeerGetsItsReplies(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	p.send(request(rpcHold, 1, text("x")))
	require.NoError(t, p.Conn.(*net.TCPConn).CloseWrite())
	eventually(t, "held", func() bool { return r.heldCount() == 1 })
	r.release()
	_, got := p.reply()
	require.Equal(t, "x", got)
	p.expectClosed()
}

func TestArgsAreTheRequestsOwn(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	values := [][]byte{bytes.Repeat([]byte("a"), 100), bytes.Repeat([]byte("b"), 3000), bytes.Repeat([]byte("c"), 60_000), bytes.Repeat([]byte("d"), 3<<20)}
	for i, v := range values {
		p.send(request(rpcHold, int32(i), text(string(v))))
	}
	eventually(t, "held", func() bool { return r.heldCount() == len(values) })
	r.release()
	for range values {
		h, got := p.reply()
		require.Equal(t, string(values[h.Seq]), got)
	}
}

// failingListener fails a few times before it accepts, and then for good.
type failingListener struct {
	net.Listener
	errs []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		return l.Listener.Accept()
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

func TestAcceptErrors(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := NewServer(Options{Mux: NewMux()})
	broken := errors.New("broken for good")
	l := &failingListener{inner, []error{
		&net.OpError{Err: os.NewSyscallError("accept4", syscall.EMFILE)},
		&net.OpError{Err: os.NewSyscallError("accept4", syscall.ECONNABORTED)},
		broken,
	}}
	require.ErrorIs(t, s.Serve(l), broken)
	require.Empty(t, l.errs, "passing errors were passed over")
	require.NoError(t, s.Close(t.Context()))
	require.NoError(t, s.Serve(inner), "a closed server serves nothing and says nothing")
}

// Every recorded request of a real client is answered or, when it is a clear
// scanner, is not; none breaks its connection.
func TestGoldenRequests(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Mux = NewMux()
		for name, h := range fuzzHandlers {
			o.Mux.Handle(name, h)
		}
	})
	answered := 0
	for _, b := range goldenFrames() {
		h, _, err := frame.ParseRequest(b)
		if err != nil || h.Proto == frame.ProtoRDSN {
			continue
		}
		p := r.dial(t)
		p.send(b)
		if h.Name == frame.RPCClearScanner {
			p.send(request("RPC_FOO_BAR", h.Seq, nil))
			h.Name = "RPC_FOO_BAR"
		}
		var length [4]byte
		_, err = io.ReadFull(p, length[:])
		require.NoError(t, err)
		reply := append(length[:], make([]byte, binary.BigEndian.Uint32(length[:])-4)...)
		_, err = io.ReadFull(p, reply[4:])
		require.NoError(t, err)
		got, _, err := frame.ParseReply(h.Proto, reply)
		require.NoError(t, err)
		require.Equal(t, h.Name, got.Name)
		require.Equal(t, h.Seq, got.Seq)
		answered++
	}
	require.Greater(t, answered, 10)
}

func TestManyConnections(t *testing.T) {
	r := newRig(t, nil)
	const conns, calls = 100, 50
	var wg sync.WaitGroup
	for range conns {
		p := r.dial(t)
		wg.Go(func() {
			for i := range calls {
				_, err := p.Write(request(rpcEcho, int32(i), text("x")))
				if err != nil {
					t.Error(err)
					return
				}
				p.reply()
			}
		})
	}
	wg.Wait()
	require.Equal(t, float64(conns*calls), r.metric(t, "arion_rpc_requests_total", rpcEcho, "ERR_OK"))
}
