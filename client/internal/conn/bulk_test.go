package conn

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client/internal/wheel"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
)

const mb = 1 << 20

// script is a server that answers when it is told to.
type script struct {
	addr  string
	mu    sync.Mutex
	nc    net.Conn
	names []string
	open  []frame.Header // arrived, not answered
}

func newScript(t *testing.T) *script {
	s := &script{}
	s.addr = server(t, func(nc net.Conn) {
		s.mu.Lock()
		s.nc = nc
		s.mu.Unlock()
		eachRequest(nc, 32*mb, func(h frame.Header) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.names = append(s.names, h.Name)
			s.open = append(s.open, h)
		})
	})
	return s
}

// eachRequest reads requests until the connection ends; no more than bytes of them
// may be there at once.
func eachRequest(nc net.Conn, bytes int, then func(frame.Header)) {
	buf := make([]byte, bytes)
	for have := 0; ; {
		n, err := nc.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		for {
			size, _, err := frame.RequestSize(buf[:have])
			if err != nil || size == 0 || size > have {
				break
			}
			h, _, _ := frame.ParseRequest(buf[:size])
			then(h)
			have = copy(buf, buf[size:have])
		}
	}
}

func (s *script) arrived(name string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, have := range s.names {
		if have == name {
			n++
		}
	}
	return n
}

// answer answers up to n requests of a name and gives how many those were.
func (s *script) answer(t *testing.T, name string, n int) (answered int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.open[:0]
	for _, h := range s.open {
		if h.Name != name || answered == n {
			kept = append(kept, h)
			continue
		}
		answered++
		_, err := s.nc.Write(frame.AppendReply(nil, &h, "ERR_OK", nil))
		require.NoError(t, err)
	}
	s.open = kept
	return answered
}

func (c *Conn) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sleeping
}

const (
	bulkName = "RPC_BULK"
	pingName = "RPC_ARION_PING"
)

func bulkFrame(bytes int) []byte { return wire.AppendBlobRequest(nil, bulkName, make([]byte, bytes)) }

func patientPool(t *testing.T) *Pool {
	return testPool(t, func(o *Options) { o.PingAfter = time.Hour })
}

// A server is sent so much as it may leave unanswered. Small requests pass by what
// waits, and what is forgotten there never leaves.
func TestBulkWindow(t *testing.T) {
	s := newScript(t)
	p := patientPool(t)
	c, err := p.Node(s.addr).Conn(0)
	require.NoError(t, err)
	var sink collector
	const calls = 20
	var last int32
	for i := range uint32(calls) {
		last, err = c.Send(bulkFrame(mb-1000), &sink, i, p.wheel.Now())
		require.NoError(t, err)
	}
	const fits = bulkWindow / mb
	require.Eventually(t, func() bool { return s.arrived(bulkName) == fits && c.idle() }, time.Minute, time.Millisecond)
	_, err = c.Send(wire.AppendPing(nil), &sink, calls, p.wheel.Now())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.arrived(pingName) == 1 && c.idle() }, time.Minute, time.Millisecond)
	require.Equal(t, fits, s.arrived(bulkName))
	require.False(t, c.Forget(last), "it has not left")

	s.answer(t, pingName, 1)
	for answered := 0; answered < calls-1; {
		answered += s.answer(t, bulkName, calls)
	}
	require.Eventually(t, func() bool { replies, _ := sink.count(); return replies == calls }, time.Minute, time.Millisecond)
	require.Equal(t, calls-1, s.arrived(bulkName))
	require.Zero(t, c.bulks.out)
}

// One that is forgotten after it left makes room for the next.
func TestForgottenBulkMakesRoom(t *testing.T) {
	s := newScript(t)
	p := patientPool(t)
	c, err := p.Node(s.addr).Conn(0)
	require.NoError(t, err)
	var sink collector
	first, err := c.Send(bulkFrame(bulkWindow), &sink, 1, p.wheel.Now())
	require.NoError(t, err)
	_, err = c.Send(bulkFrame(mb), &sink, 2, p.wheel.Now())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.arrived(bulkName) == 1 && c.idle() }, time.Minute, time.Millisecond)
	require.True(t, c.Forget(first))
	require.Eventually(t, func() bool { return s.arrived(bulkName) == 2 }, time.Minute, time.Millisecond)
}

func TestBulkIsNotCopied(t *testing.T) {
	dialled := make(chan struct{})
	p := testPool(t, func(o *Options) { o.OnConnect = func(string, time.Duration, error) { <-dialled } })
	c, err := p.Node("127.0.0.1:1").Conn(0)
	require.NoError(t, err)
	defer close(dialled)
	request := bulkFrame(BulkFrame)
	_, err = c.Send(request, &collector{}, 1, p.wheel.Now())
	require.NoError(t, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.bulks.waiting[0]
	require.Same(t, &request[wire.HeadLen(request)], &b.body[0])
	require.Less(t, len(b.head), 100)
	require.Empty(t, c.wbuf)
}

// hurried is a collector whose requests have a deadline.
type hurried struct {
	collector
	at    wheel.Time
	cause error
}

func (h *hurried) Deadline() wheel.Time { return h.at }

func (h *hurried) OnLost(attempt uint32, sent bool, err error) {
	h.cause = err
	h.collector.OnLost(attempt, sent, err)
}

// What would be answered too late is not sent, and the connection goes on.
func TestBulkIsRefusedInTime(t *testing.T) {
	s := newScript(t)
	p := patientPool(t)
	c, err := p.Node(s.addr).Conn(0)
	require.NoError(t, err)
	var sink collector
	for i := range uint32(2) {
		_, err = c.Send(bulkFrame(bulkWindow/2-1000), &sink, i, p.wheel.Now())
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return s.arrived(bulkName) == 2 }, time.Minute, time.Millisecond)
	c.mu.Lock()
	c.bulks.took = estimate{mean: wheel.Time(time.Hour)}
	c.mu.Unlock()
	soon := &hurried{at: p.wheel.Now() + wheel.Time(time.Minute)}
	later := &hurried{at: p.wheel.Now() + wheel.Time(24*time.Hour)}
	for _, sink := range []Sink{soon, later} {
		_, err = c.Send(bulkFrame(mb), sink, 3, p.wheel.Now())
		require.NoError(t, err)
	}
	s.answer(t, bulkName, 1)
	require.Eventually(t, func() bool { return s.arrived(bulkName) == 3 }, time.Minute, time.Millisecond)
	_, lost := soon.count()
	require.Equal(t, 1, lost)
	require.Equal(t, []bool{false}, soon.lost)
	require.Equal(t, ErrSlow, soon.cause)
	s.answer(t, bulkName, 2)
	require.Eventually(t, func() bool { replies, _ := later.count(); return replies == 1 }, time.Minute, time.Millisecond)
	require.False(t, c.dead.Load())
}

// With nothing under way one is tried whatever the last answers took.
func TestBulkIsTriedOnAQuietConnection(t *testing.T) {
	q := bulks{took: estimate{mean: wheel.Time(time.Hour)}}
	for range 2 {
		b := newBulk(bulkFrame(BulkFrame), &hurried{at: 2}, 1)
		q.waiting = append(q.waiting, b)
	}
	require.Len(t, q.take(nil, 1), 2)
	require.Len(t, q.refused, 1)
	q.forgotten(&bulk{begun: 1}, wheel.Time(3*time.Hour))
	require.Greater(t, q.took.mean, wheel.Time(time.Hour), "an answer that never came was slow")
}

// keeper keeps replies that it may keep.
type keeper struct {
	mu   sync.Mutex
	kept [][]byte
}

func (k *keeper) OnReply(_ uint32, r wire.Reply) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.Own != nil {
		k.kept = append(k.kept, r.Body)
	}
}

func (k *keeper) OnLost(uint32, bool, error) {}

// The memory of large replies is handed over, not used again.
func TestLargeRepliesAreHandedOver(t *testing.T) {
	const calls, size = 5, mb
	addr := server(t, func(nc net.Conn) {
		buf := make([]byte, 1000)
		for i := 0; ; {
			n, err := nc.Read(buf)
			if err != nil {
				return
			}
			for in := buf[:n]; len(in) > 0; i++ {
				n, _, _ := frame.RequestSize(in)
				h, _, _ := frame.ParseRequest(in[:n])
				in = in[n:]
				value := bytes.Repeat([]byte{byte('a' + i)}, size)
				out := frame.AppendReply(nil, &h, "ERR_OK", &rrdb.ReadResponse{Value: base.BlobOf(value)})
				if _, err := nc.Write(out); err != nil {
					return
				}
			}
		}
	})
	p := patientPool(t)
	c, err := p.Node(addr).Conn(0)
	require.NoError(t, err)
	var k keeper
	for i := range calls {
		_, err := c.Send(wire.AppendKeyRequest(nil, wire.Get, []byte("h"), nil), &k, 1, p.wheel.Now())
		require.NoError(t, err)
		require.Eventually(t, func() bool { k.mu.Lock(); defer k.mu.Unlock(); return len(k.kept) == i+1 }, time.Minute, time.Millisecond)
	}
	for i, body := range k.kept {
		_, value, err := wire.DecodeValue(body)
		require.NoError(t, err)
		require.True(t, bytes.Equal(bytes.Repeat([]byte{byte('a' + i)}, size), value), i)
		require.Equal(t, len(value), cap(value))
	}
}
