package conn

import (
	"io"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/arionkv/arion/client/internal/wheel"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRing(t *testing.T) {
	var r ring
	r.last = math.MaxInt32 - 100 // the numbers wrap
	sink := &collector{}
	live := map[int32]uint32{}
	for i := range uint32(20000) {
		if len(live) > 0 && rand.N(100) < 50+len(live)/100 {
			for seq, attempt := range live {
				e, ok := r.take(seq)
				require.True(t, ok)
				require.Equal(t, attempt, e.attempt)
				_, ok = r.take(seq)
				require.False(t, ok)
				delete(live, seq)
				break
			}
			continue
		}
		seq := r.add(entry{sink: sink, attempt: i}).seq
		require.Positive(t, seq)
		require.NotContains(t, live, seq)
		live[seq] = i
	}
	require.Len(t, r.drain(), len(live))
	_, ok := r.take(1)
	require.False(t, ok)
	_, ok = r.take(-1)
	require.False(t, ok)
}

// collector counts what becomes of requests.
type collector struct {
	mu      sync.Mutex
	replies int
	lost    []bool // sent
}

func (c *collector) OnReply(uint32, wire.Reply) { c.mu.Lock(); c.replies++; c.mu.Unlock() }
func (c *collector) OnLost(_ uint32, sent bool, _ error) {
	c.mu.Lock()
	c.lost = append(c.lost, sent)
	c.mu.Unlock()
}

func (c *collector) count() (replies, lost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replies, len(c.lost)
}

func testPool(t *testing.T, change func(*Options)) *Pool {
	o := Options{Lanes: 1, DialTimeout: time.Second, PingAfter: 500 * time.Millisecond, PingTimeout: time.Second,
		IdlePing: time.Hour, IdleTimeout: time.Hour, BreakerFailures: 3, BreakerPause: 20 * time.Millisecond, BreakerPauseMax: time.Second}
	if change != nil {
		change(&o)
	}
	w := wheel.New()
	p := NewPool(o, w)
	t.Cleanup(func() { p.Close(); w.Close() })
	return p
}

// server runs serve on every connection it gets.
func server(t *testing.T, serve func(net.Conn)) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, nc)
			mu.Unlock()
			wg.Add(1)
			go func() { defer wg.Done(); defer nc.Close(); serve(nc) }()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, nc := range open {
			nc.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// Whatever a server sends, a request has one outcome and nothing panics.
func TestHostileServers(t *testing.T) {
	good := frame.AppendReply(nil, &frame.Header{Name: "RPC_X", Seq: 999}, "ERR_OK", nil)
	for name, bytes := range map[string][]byte{
		"zero length":     {0, 0, 0, 0, 1, 2, 3},
		"huge length":     {0x7f, 0xff, 0xff, 0xff},
		"http":            []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"no header":       append([]byte{0, 0, 0, 24}, make([]byte, 20)...),
		"foreign seq":     good,
		"half a frame":    good[:len(good)-3],
		"liar about name": {0, 0, 0, 28, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			addr := server(t, func(nc net.Conn) {
				buf := make([]byte, 4096)
				_, _ = nc.Read(buf)
				_, _ = nc.Write(bytes)
			})
			c, err := testPool(t, nil).Node(addr).Conn(0)
			require.NoError(t, err)
			var sink collector
			_, err = c.Send(wire.AppendPing(nil), &sink, 1, c.node.pool.wheel.Now())
			require.NoError(t, err)
			require.Eventually(t, func() bool { _, lost := sink.count(); return lost == 1 }, time.Minute, time.Millisecond)
			replies, _ := sink.count()
			require.Zero(t, replies)
			require.Equal(t, []bool{true}, sink.lost)
		})
	}
}

// A dial that fails loses requests that surely were not sent.
func TestNotSent(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	ln.Close()
	c, err := testPool(t, nil).Node(addr).Conn(0)
	require.NoError(t, err)
	var sink collector
	if _, err := c.Send(wire.AppendPing(nil), &sink, 1, c.node.pool.wheel.Now()); err == nil {
		require.Eventually(t, func() bool { _, lost := sink.count(); return lost == 1 }, time.Minute, time.Millisecond)
		require.Equal(t, []bool{false}, sink.lost)
	}
	require.Eventually(t, func() bool {
		_, err := c.Send(wire.AppendPing(nil), &sink, 2, c.node.pool.wheel.Now())
		return err != nil
	}, time.Minute, time.Millisecond)
}

// A server that never answers is given up, also when it does not even take our
// bytes.
func TestSilence(t *testing.T) {
	for name, size := range map[string]int{"reads": 10, "does not read": 32 << 20} {
		t.Run(name, func(t *testing.T) {
			stop := make(chan struct{})
			addr := server(t, func(net.Conn) { <-stop })
			t.Cleanup(func() { close(stop) }) // before the server waits for its goroutines
			c, err := testPool(t, func(o *Options) { o.PingAfter, o.PingTimeout = 100*time.Millisecond, 200*time.Millisecond }).Node(addr).Conn(0)
			require.NoError(t, err)
			var sink collector
			_, err = c.Send(wire.AppendBlobRequest(nil, "RPC_X", make([]byte, size)), &sink, 1, c.node.pool.wheel.Now())
			require.NoError(t, err)
			require.Eventually(t, func() bool { _, lost := sink.count(); return lost == 1 }, time.Minute, time.Millisecond)
			require.Equal(t, []bool{true}, sink.lost)
			require.ErrorIs(t, c.err, ErrSilent)
			_, err = c.node.Conn(0)
			require.ErrorIs(t, err, ErrOpen, "silence opens the breaker at once")
		})
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	addr := server(t, func(nc net.Conn) { _, _ = nc.Read(make([]byte, 1)) })
	p := testPool(t, func(o *Options) { o.IdleTimeout = 50 * time.Millisecond })
	c, err := p.Node(addr).Conn(0)
	require.NoError(t, err)
	require.Eventually(t, c.dead.Load, time.Minute, time.Millisecond)
	again, err := p.Node(addr).Conn(0)
	require.NoError(t, err, "not held against the server")
	require.NotSame(t, c, again)
}

// What was forgotten before it left is made harmless in the buffer.
func TestForgetBeforeSending(t *testing.T) {
	names := make(chan string, 10)
	addr := server(t, func(nc net.Conn) {
		eachRequest(nc, 4096, func(h frame.Header) { names <- h.Name })
	})
	dialled := make(chan struct{})
	p := testPool(t, nil)
	p.opts.OnConnect = func(string, time.Duration, error) { <-dialled }
	c, err := p.Node(addr).Conn(0)
	require.NoError(t, err)
	var sink collector
	seq, err := c.Send(wire.AppendPut(nil, []byte("h"), nil, nil, 0), &sink, 1, c.node.pool.wheel.Now())
	require.NoError(t, err)
	_, err = c.Send(wire.AppendPing(nil), &sink, 2, c.node.pool.wheel.Now())
	require.NoError(t, err)
	require.False(t, c.Forget(seq), "it was not sent")
	require.True(t, c.Forget(seq), "a second time nothing is known")
	close(dialled)
	require.Equal(t, "-PC_RRDB_RRDB_PUT", <-names)
	require.Equal(t, "RPC_ARION_PING", <-names)
}

func FuzzInput(f *testing.F) {
	f.Add(frame.AppendReply(nil, &frame.Header{Name: "RPC_X"}, "ERR_OK", nil), 3)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		in := input{buf: make([]byte, 64)}
		step = min(max(step, 1), 4096)
		for len(b) > 0 {
			n := copy(in.room(), b[:min(step, len(b))])
			in.end += n
			b = b[n:]
			if len(in.buf) > maxLead*(in.end-in.start) && len(in.buf) > 64 {
				t.Fatalf("buffer of %d for %d bytes", len(in.buf), in.end-in.start)
			}
			for {
				frame, _, err := in.frame()
				if err != nil {
					return
				}
				if frame == nil {
					break
				}
				_, _ = wire.ParseReply(frame)
			}
		}
	})
}

// answering serves well-formed requests: it answers each with its own number.
func answering(t *testing.T, begin <-chan struct{}) func(net.Conn) {
	return func(nc net.Conn) {
		<-begin
		var in []byte
		buf := make([]byte, 1<<20)
		for {
			n, err := nc.Read(buf)
			if err != nil {
				return
			}
			in = append(in, buf[:n]...)
			var out []byte
			for {
				size, _, err := frame.RequestSize(in)
				if err != nil {
					t.Errorf("the stream is damaged: %v", err)
					return
				}
				if size == 0 || size > len(in) {
					break
				}
				h, _, err := frame.ParseRequest(in[:size])
				if err != nil {
					t.Errorf("the stream is damaged: %v", err)
					return
				}
				out = frame.AppendReply(out, &h, "ERR_OK", nil)
				in = in[size:]
			}
			if _, err := nc.Write(out); err != nil {
				return
			}
		}
	}
}

// What the socket does not take at once follows, whole and in order, whoever
// writes it.
func TestSlowSocket(t *testing.T) {
	begin := make(chan struct{})
	c, err := testPool(t, func(o *Options) { o.PingAfter = time.Hour }).Node(server(t, answering(t, begin))).Conn(0)
	require.NoError(t, err)
	up := func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.direct.Usable() }
	require.Eventually(t, up, time.Minute, time.Millisecond)
	var sink collector
	const calls = 40
	for i := range uint32(calls) {
		size := 1000
		if i%20 == 0 {
			size = 16 << 20 // more than the socket's buffers hold
		}
		_, err := c.Send(wire.AppendBlobRequest(nil, "RPC_X", make([]byte, size)), &sink, i, c.node.pool.wheel.Now())
		require.NoError(t, err)
	}
	close(begin)
	require.Eventually(t, func() bool { replies, _ := sink.count(); return replies == calls }, time.Minute, time.Millisecond)
	_, lost := sink.count()
	require.Zero(t, lost)
}

// chain sends its next request out of the reply to the one before, as callbacks
// do, beside a goroutine that sends all the time.
type chain struct {
	t    *testing.T
	c    *Conn
	left int
	done chan struct{}
}

func (s *chain) OnReply(attempt uint32, _ wire.Reply) {
	if s.left--; s.left == 0 {
		close(s.done)
		return
	}
	_, err := s.c.Send(wire.AppendPing(nil), s, attempt+1, s.c.node.pool.wheel.Now())
	require.NoError(s.t, err)
}

func (s *chain) OnLost(_ uint32, _ bool, err error) { s.t.Errorf("lost: %v", err) }

func TestSendingFromReplies(t *testing.T) {
	begin := make(chan struct{})
	close(begin)
	p := testPool(t, nil)
	c, err := p.Node(server(t, answering(t, begin))).Conn(0)
	require.NoError(t, err)
	s := &chain{t: t, c: c, left: 2000, done: make(chan struct{})}
	_, err = c.Send(wire.AppendPing(nil), s, 1, p.wheel.Now())
	require.NoError(t, err)
	var sink collector
	sent := 0
	for over := false; !over; {
		select {
		case <-s.done:
			over = true
		default:
			_, err := c.Send(wire.AppendPing(nil), &sink, 1, p.wheel.Now())
			require.NoError(t, err)
			sent++
			require.Eventually(t, func() bool { replies, _ := sink.count(); return replies >= sent-100 }, time.Minute, time.Microsecond)
		}
	}
	require.Eventually(t, func() bool { replies, _ := sink.count(); return replies == sent }, time.Minute, time.Millisecond)
}

// A connection that is abandoned takes with it what the server has not received: a
// write that is repeated elsewhere must not arrive later.
func TestAbandonedRequestsDoNotArrive(t *testing.T) {
	begin, arrived := make(chan struct{}), make(chan error, 1)
	addr := server(t, func(nc net.Conn) {
		<-begin
		_, err := io.Copy(io.Discard, nc)
		arrived <- err
	})
	c, err := testPool(t, func(o *Options) { o.PingAfter = time.Hour }).Node(addr).Conn(0)
	require.NoError(t, err)
	up := func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.direct.Usable() }
	require.Eventually(t, up, time.Minute, time.Millisecond)
	var sink collector
	const calls = 3
	for i := range uint32(calls) { // more than the sockets' buffers hold
		_, err := c.Send(wire.AppendBlobRequest(nil, "RPC_X", make([]byte, 16<<20)), &sink, i, c.node.pool.wheel.Now())
		require.NoError(t, err)
	}
	c.Abandon()
	_, lost := sink.count()
	require.Equal(t, calls, lost)
	close(begin)
	require.ErrorIs(t, <-arrived, syscall.ECONNRESET, "the rest was sent after all")
}
