package rpc

import (
	"errors"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/socket"
	"github.com/sirupsen/logrus"
)

// conn is one framed connection.
//
// Its reading goroutine owns in, kind, batch, spin and the fields of its
// deadline. Whoever holds writing owns the bytes of sending, direct and
// writeDeadline.
type conn struct {
	srv    *Server
	nc     net.Conn
	remote string
	room   chan struct{} // wakes the reading goroutine when it waits

	in           inbuf
	kind         frame.Kind
	wanted       int   // length of the frame at the front, 0 while unknown
	held         int64 // budget taken for in beyond maxReadBuf
	partialSince int64 // when the frame at the front began, 0 for none
	armed        bool  // a read deadline is set
	burstSince   int64
	batch        gathered
	requests     int // in the last burst
	spin         *socket.Spinner

	direct        *socket.Direct
	writeDeadline int64

	mu         sync.Mutex
	out        []byte   // encoded small replies
	idle       []byte   // the memory of the out to come
	large      [][]byte // encoded large replies
	largeBytes int
	sending    []byte // what is being written
	sent       int    // of it
	writing    bool   // somebody writes, or will for certain
	burst      bool   // the reading goroutine will flush
	waiting    bool   // the reading goroutine waits on room
	stopping   bool   // read no more: the server closes
	closed     bool
	inFlight   int
}

func newConn(s *Server, nc net.Conn) *conn {
	return &conn{
		srv: s, nc: nc, remote: remoteOf(nc), room: make(chan struct{}, 1),
		spin: socket.NewSpinner(nc), direct: socket.NewWriter(nc),
	}
}

func remoteOf(nc net.Conn) string {
	if a := nc.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

// serve runs the connection until it ends. It reports true if the connection
// was handed to the HTTP side, which then owns the socket.
func (c *conn) serve() (handedOver bool) {
	defer func() {
		if v := recover(); v != nil {
			c.srv.panicked("connection", caught{v, debug.Stack()})
			c.abort(closeInternal)
		}
	}()
	reason := c.detect()
	if reason == "" && c.kind == frame.KindHTTP {
		return c.srv.handOver(c)
	}
	for reason == "" {
		if reason = c.handleBuffered(); reason == "" {
			reason = c.fill()
		}
	}
	c.finish(reason)
	return false
}

// detect reads the four bytes that fix the protocol.
func (c *conn) detect() closeReason {
	for len(c.in.unread()) < 4 {
		if reason := c.fill(); reason != "" {
			return reason
		}
	}
	first := c.in.unread()[:4]
	c.kind = frame.Detect(first)
	switch {
	case c.kind != frame.KindUnknown:
		return ""
	case first[0] == 0x16 && first[1] == 0x03: // record type handshake, any version
		return closeTLS
	default:
		return closeMagic
	}
}

// handleBuffered dispatches the complete frames of the input buffer.
func (c *conn) handleBuffered() closeReason {
	c.beginBurst()
	defer c.flush()
	for c.requests = 0; ; c.requests++ {
		n, reason := c.nextFrame()
		if n == 0 || reason != "" {
			return reason
		}
		now := c.srv.now()
		if reason = c.admit(now); reason != "" {
			return reason
		}
		if reason = c.dispatch(n, now); reason != "" {
			return reason
		}
	}
}

// nextFrame gives the length of the frame at the front once it is complete.
func (c *conn) nextFrame() (int, closeReason) {
	b := c.in.unread()
	c.wanted = 0
	if len(b) < 4 {
		return 0, ""
	}
	if frame.Detect(b[:4]) != c.kind {
		return 0, closeMagic
	}
	n, _, err := frame.RequestSize(b)
	if err != nil {
		return 0, c.broken(err)
	}
	c.wanted = n
	if n == 0 || n > len(b) {
		return 0, ""
	}
	return n, ""
}

// dispatch runs the handler of the complete, admitted frame at the front.
func (c *conn) dispatch(n int, now int64) closeReason {
	r := &Request{Remote: c.remote, conn: c, buf: c.takeFrame(n), start: now}
	header, args, err := frame.ParseRequest(r.buf.b)
	if err != nil && !errors.Is(err, frame.ErrNoArgs) {
		r.buf.release()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.inFlight--
		return c.broken(err)
	}
	r.Header, r.Args = header, args
	r.route = c.srv.routeOf(r.Name)
	affordable := c.srv.budget.tryAcquire(int64(n))
	if affordable {
		r.cost = int64(n)
	}
	switch {
	case !affordable:
		r.Fail(code.Busy)
	case r.route.handler == nil && r.route.batch == nil:
		r.Fail(code.HandlerNotFound)
	case err != nil:
		r.Fail(code.InvalidParameters)
	case r.route.batch != nil:
		c.gather(r)
	default:
		c.call(r)
	}
	return ""
}

// takeFrame moves the frame at the front into memory of its own.
func (c *conn) takeFrame(n int) *frameBuf {
	c.partialSince = 0
	if b := c.in.take(n); b != nil {
		c.hold(0)
		return &frameBuf{b: b, class: unpooled}
	}
	buf := newFrameBuf(c.in.unread()[:n])
	c.in.advance(n)
	return buf
}

func (c *conn) call(r *Request) {
	defer func() {
		if v := recover(); v != nil {
			c.srv.panicked(r.route.name, caught{v, debug.Stack()})
			if !r.ended.Load() {
				r.Fail(code.Unknown)
			}
		}
	}()
	r.route.handler(r)
}

// broken closes a connection whose bytes make no frame.
func (c *conn) broken(err error) closeReason {
	c.srv.throttle.Log(c.log().WithError(err), logrus.InfoLevel, string(closeFrame), "closing connection: broken frame")
	return closeFrame
}

func (c *conn) log() *logrus.Entry { return c.srv.opts.Log.WithField("remote", c.remote) }

// beginBurst makes replies gather until flush.
func (c *conn) beginBurst() {
	c.burstSince = c.srv.now()
	c.mu.Lock()
	c.burst = true
	c.mu.Unlock()
}

// admit counts one more request in flight. It waits while there are too many,
// and flushes what has gathered for too long: the first replies of a burst do
// not wait for the last.
func (c *conn) admit(now int64) closeReason {
	c.mu.Lock()
	due := c.waitingLocked() >= flushBytes || now-c.burstSince > int64(flushAfter)
	if !due && c.hasRoomLocked() {
		c.inFlight++
		c.mu.Unlock()
		return ""
	}
	c.mu.Unlock()

	c.flush()
	c.wait(c.hasRoomLocked, nil)
	if reason := c.stopReason(); reason != "" {
		return reason
	}
	c.beginBurst()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight++
	return ""
}

func (c *conn) hasRoomLocked() bool {
	o := &c.srv.opts
	return c.inFlight < o.MaxInFlightPerConn && c.pendingLocked() < o.MaxPendingOut/pauseOutFraction
}

func (c *conn) stopReason() closeReason {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return closePeer // counted already by whoever closed it
	case c.stopping:
		return closeShutdown
	default:
		return ""
	}
}

// wait blocks the reading goroutine until done, called under the lock, is true,
// the connection is closed or stopping, or the timer fires.
func (c *conn) wait(done func() bool, timer <-chan time.Time) {
	for {
		c.mu.Lock()
		c.waiting = !done() && !c.closed && (!c.stopping || timer != nil)
		waiting := c.waiting
		c.mu.Unlock()
		if !waiting {
			return
		}
		select {
		case <-c.room:
		case <-timer:
			return
		}
	}
}

// notifyLocked lets the reading goroutine look again.
func (c *conn) notifyLocked() {
	if !c.waiting {
		return
	}
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// finish ends the connection after its reading goroutine stopped. A peer that
// merely stopped sending, and a server that closes, still get the replies of
// requests in flight; a peer that sends rubbish gets those that are ready.
func (c *conn) finish(reason closeReason) {
	switch reason {
	case closePeer:
		timer := time.NewTimer(lingerTimeout)
		defer timer.Stop()
		c.wait(c.idleLocked, timer.C)
	case closeShutdown:
		c.wait(c.idleLocked, make(chan time.Time)) // Close ends it by abort
	default:
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		c.wait(func() bool { return !c.writing }, timer.C)
	}
	c.abort(reason)
	c.hold(0)
}

func (c *conn) idleLocked() bool {
	return c.inFlight == 0 && c.pendingLocked() == 0 && !c.writing
}

// stop makes the reading goroutine end as soon as it waits or reads.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	c.notifyLocked()
}

func (c *conn) abort(reason closeReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortLocked(reason)
}

// abortLocked closes the socket; what was not sent is lost. The first reason is
// the one that counts.
func (c *conn) abortLocked(reason closeReason) {
	if c.closed {
		return
	}
	c.closed = true
	c.srv.budget.add(int64(-c.waitingLocked()))
	c.out, c.large, c.largeBytes = nil, nil, 0
	c.srv.metrics.closes.WithLabelValues(string(reason)).Inc()
	_ = c.nc.Close() // nothing can be done about a failure, and nothing is lost
	c.notifyLocked()
}

// closeSlowOrPeer tells a peer that takes nothing from one that went away.
func closeSlowOrPeer(err error) closeReason {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return closeSlow
	}
	return closePeer
}
