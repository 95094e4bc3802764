// Package conn keeps the connections to servers: one pipelined connection per
// server and lane, dialled when first needed, with a reader that hands replies
// over.
//
// Requests are appended to a buffer, and one goroutine at a time hands it to the
// kernel: a lone caller does so itself, the reader does so for what the receivers
// of replies sent, and for all others there is a writer, which turns what many
// callers appended into one system call. Only the writer waits for the socket.
//
// Large requests are not copied. They wait in a queue of their own, and so many of
// them leave as the server may have unanswered; small ones overtake them.
package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/client/internal/wheel"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/internal/socket"
)

// Why a connection ended.
var (
	ErrClosed = errors.New("client is closed")
	ErrSilent = errors.New("server fell silent")
	ErrOpen   = errors.New("server is avoided after repeated failures")
	// ErrSlow is why a large request was not sent; the connection goes on.
	ErrSlow = errors.New("server answers more slowly than the time that is left")
	errIdle = errors.New("connection was idle")
)

// Sink receives the one outcome of a request: a reply or the loss of the
// connection. Both are called without locks held, from the reader or from
// whoever found the connection broken, and must not block. A request that was
// forgotten in time gets neither.
type Sink interface {
	// OnReply hands over a reply, whose slices are valid during the call only, unless
	// they are the receiver's own.
	OnReply(attempt uint32, r wire.Reply)
	// OnLost says that no reply will come. sent is false if the request surely did
	// not leave this process.
	OnLost(attempt uint32, sent bool, err error)
}

// Doubter is a Sink that is also told, each checkEvery, that the server has not
// said anything for a while though the request waits. It may Forget the request.
// Called like the others, and perhaps when the outcome is already known.
type Doubter interface{ OnSilent(attempt uint32) }

const (
	readBuffer = 64 << 10
	// keepBuffer is the largest buffer kept for reuse after a burst.
	keepBuffer = 1 << 20
	// smallWrite is what the writer holds back for one turn of the scheduler, so
	// that callers that are ready to run add to the same system call.
	smallWrite = 16 << 10

	// maxBurst bounds how long a request waits for the reader to hand over the
	// replies of one read, where it would otherwise be sent by the writer.
	maxBurst = wheel.Time(time.Millisecond)

	checkEvery = 100 * time.Millisecond
)

// Conn is one connection, from the decision to dial to its end. Requests may be
// sent at once; they leave when it is up.
type Conn struct {
	node  *Node
	lane  int
	dead  atomic.Bool
	timer wheel.Timer

	lastRead atomic.Int64 // wheel.Time

	mu        sync.Mutex
	bulks     bulks  // frames that are not copied into wbuf
	wbuf      []byte // appended and not yet handed to the kernel
	handed    int64  // bytes of the stream handed over before wbuf
	pending   ring
	err       error    // set once it ended
	nc        net.Conn // nil while dialling
	direct    *socket.Direct
	writing   bool       // somebody hands over, and looks at wbuf again afterwards
	sleeping  bool       // the writer waits for wake
	delivers  bool       // the reader hands replies over, and flushes afterwards
	burst     wheel.Time // when it began to
	busySince wheel.Time
	usedAt    wheel.Time
	pingSeq   int32 // 0 = none outstanding
	pingAt    wheel.Time

	spare []byte // the last wbuf, of whoever is writing
	wake  chan struct{}
}

func newConn(n *Node, lane int) *Conn {
	now := n.pool.wheel.Now()
	c := &Conn{node: n, lane: lane, wake: make(chan struct{}, 1), usedAt: now, direct: new(socket.Direct)}
	c.lastRead.Store(int64(now))
	c.timer.Wake = c
	return c
}

// Send takes a copy of frame and gives its sequence number; of a frame of BulkFrame
// bytes or more only the header is copied, and the rest must never change. An error
// means that nothing was or will be sent, and that sink will not be called.
func (c *Conn) Send(frame []byte, sink Sink, attempt uint32, now wheel.Time) (int32, error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return 0, c.err
	}
	if c.pending.n == 0 {
		c.busySince, c.usedAt = now, now
	}
	var seq int32
	wake := false
	if len(frame) >= BulkFrame {
		seq = c.sendBulkLocked(frame, sink, attempt)
		wake = !c.writing && c.bulks.ready() && c.wakeLocked()
	} else {
		seq = c.sendLocked(frame, sink, attempt)
		wake = c.forwardLocked(now)
	}
	c.mu.Unlock()
	if wake {
		c.wake <- struct{}{}
	}
	return seq, nil
}

// forwardLocked sees to it that what was appended leaves. It reports whether the
// caller is to wake the writer.
func (c *Conn) forwardLocked(now wheel.Time) (wake bool) {
	switch {
	case c.writing:
	case c.delivers && now-c.burst < maxBurst && len(c.wbuf) < smallWrite:
	case c.pending.n == 1 && c.direct.Usable():
		return c.handOverLocked()
	default:
		return c.wakeLocked()
	}
	return false
}

// wakeLocked reports whether the caller is to wake the writer: it sleeps, and
// nobody else is about to wake it.
func (c *Conn) wakeLocked() (wake bool) {
	wake, c.sleeping = c.sleeping, false
	return wake
}

// handOverLocked gives the kernel what it takes of wbuf without waiting. The lock
// is released meanwhile. It reports whether the caller is to wake the writer, for
// the rest. Nobody else may be writing.
func (c *Conn) handOverLocked() (wake bool) {
	buf := c.takeLocked()
	c.mu.Unlock()
	n := c.direct.Do(buf)
	c.mu.Lock()
	c.writing = false
	if n == len(buf) || c.err != nil {
		c.recycle(buf)
		return c.readyLocked() && c.wakeLocked()
	}
	// An error shows up again when the writer sends the rest.
	rest := append([]byte(nil), buf[n:]...)
	c.wbuf = append(rest, c.wbuf...)
	c.handed -= int64(len(rest))
	c.recycle(buf)
	return c.wakeLocked()
}

// takeLocked makes the caller the one that is writing.
func (c *Conn) takeLocked() []byte {
	buf := c.wbuf
	c.writing, c.wbuf, c.spare = true, c.spare[:0], nil
	c.handed += int64(len(buf))
	return buf
}

// recycle keeps what was written for the next wbuf, unless it is large.
func (c *Conn) recycle(buf []byte) {
	if cap(buf) <= keepBuffer {
		c.spare = buf
	}
}

func (c *Conn) sendLocked(frame []byte, sink Sink, attempt uint32) int32 {
	at := len(c.wbuf)
	c.wbuf = append(c.wbuf, frame...)
	var seq int32
	if sink != nil {
		seq = c.pending.add(entry{sink: sink, attempt: attempt, start: c.handed + int64(at)}).seq
	}
	wire.SetSeq(c.wbuf[at:], seq)
	return seq
}

func (c *Conn) sendBulkLocked(frame []byte, sink Sink, attempt uint32) (seq int32) {
	e := c.pending.add(entry{sink: sink, attempt: attempt})
	e.bulk = newBulk(frame, sink, e.seq)
	c.bulks.waiting = append(c.bulks.waiting, e.bulk)
	return e.seq
}

// readyLocked reports whether the writer has something to do.
func (c *Conn) readyLocked() bool { return len(c.wbuf) > 0 || c.bulks.ready() }

// sentLocked reports whether a request may have reached the server.
func (c *Conn) sentLocked(e *entry) bool {
	if e.bulk != nil {
		return e.bulk.begun != 0
	}
	return e.start < c.handed
}

// SendOneway queues a request that is never answered. It is dropped if the
// connection is gone.
func (c *Conn) SendOneway(frame []byte) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.sendLocked(frame, nil, 0)
	wake := c.wakeLocked()
	c.mu.Unlock()
	if wake {
		c.wake <- struct{}{}
	}
}

// Forget gives up a request: its reply will be dropped. It reports whether the
// request may have reached the server; one still in the buffer is made harmless
// there, a large one will not be sent.
func (c *Conn) Forget(seq int32) (sent bool) {
	c.mu.Lock()
	e, ok := c.pending.take(seq)
	sent = !ok || c.sentLocked(&e)
	if !sent && e.bulk == nil {
		wire.Spoil(c.wbuf[e.start-c.handed:])
	}
	if e.bulk != nil {
		c.bulks.forgotten(e.bulk, c.node.pool.wheel.Now())
	}
	wake := e.bulk != nil && !c.writing && c.bulks.ready() && c.wakeLocked()
	c.mu.Unlock()
	if wake {
		c.wake <- struct{}{}
	}
	return sent
}

// run dials, reads and writes until the connection ends.
func (c *Conn) run() {
	p := c.node.pool
	defer p.wg.Done()
	start := time.Now()
	nc, err := p.dial(c.node.addr)
	p.opts.onConnect(c.node.addr, time.Since(start), err)
	if err != nil {
		c.fail(fmt.Errorf("connect: %w", err), 1)
		return
	}
	if !c.up(nc) {
		nc.Close()
		return
	}
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		c.read(nc)
	}()
	c.write(nc)
}

// up publishes the dialled connection, unless it was closed meanwhile.
func (c *Conn) up(nc net.Conn) bool {
	now := c.node.pool.wheel.Now()
	c.lastRead.Store(int64(now))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.nc, c.busySince = nc, now
	c.direct = socket.NewWriter(nc)
	c.node.pool.wheel.Arm(&c.timer, now+wheel.Time(checkEvery))
	return true
}

// write is the writer.
func (c *Conn) write(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for (!c.readyLocked() || c.writing) && c.err == nil {
			c.sleeping = true
			c.mu.Unlock()
			<-c.wake
			c.mu.Lock()
		}
		if c.err == nil && len(c.wbuf) < smallWrite && !c.bulks.ready() {
			c.writing = true
			c.mu.Unlock()
			runtime.Gosched()
			c.mu.Lock()
		}
		if c.err != nil {
			return
		}
		buf := c.takeLocked()
		bufs := c.bulks.vectors[:0]
		if len(buf) > 0 {
			bufs = append(bufs, buf)
		}
		bufs, refused := c.takeBulksLocked(bufs)
		c.mu.Unlock()
		for _, e := range refused {
			e.sink.OnLost(e.attempt, false, ErrSlow)
		}
		err := send(nc, bufs)
		clear(bufs)
		if err != nil {
			c.fail(fmt.Errorf("write: %w", err), 1)
		}
		c.mu.Lock()
		c.writing = false
		c.bulks.vectors = bufs
		c.recycle(buf)
	}
}

// takeBulksLocked appends the large frames that are to leave, and gives the requests
// that are not worth it any more.
func (c *Conn) takeBulksLocked(bufs net.Buffers) (_ net.Buffers, refused []entry) {
	if !c.bulks.ready() {
		return bufs, nil
	}
	bufs = c.bulks.take(bufs, c.node.pool.wheel.Now())
	for i, b := range c.bulks.refused {
		if e, ok := c.pending.take(b.seq); ok {
			refused = append(refused, e)
		}
		c.bulks.refused[i] = nil
	}
	c.bulks.refused = c.bulks.refused[:0]
	return bufs, refused
}

// send writes all of bufs.
func send(nc net.Conn, bufs net.Buffers) error {
	switch len(bufs) {
	case 0:
		return nil
	case 1:
		_, err := nc.Write(bufs[0])
		return err
	}
	_, err := bufs.WriteTo(nc)
	return err
}

// fail ends the connection, once, and tells every waiting request. weight is how
// much it counts against the server.
func (c *Conn) fail(err error, weight int) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	c.dead.Store(true)
	nc := c.nc
	lost := c.pending.drain()
	sent := make([]bool, len(lost))
	for i := range lost {
		sent[i] = c.sentLocked(&lost[i])
	}
	c.wbuf, c.bulks = nil, bulks{}
	wake := c.wakeLocked()
	c.mu.Unlock()

	c.node.pool.wheel.Disarm(&c.timer)
	if nc != nil {
		if len(lost) > 0 {
			discard(nc)
		}
		nc.Close()
		c.node.pool.opts.onDisconnect(c.node.addr, err)
	}
	c.node.ended(c, weight)
	if wake {
		c.wake <- struct{}{}
	}
	for i, e := range lost {
		e.sink.OnLost(e.attempt, sent[i], err)
	}
}

// discard makes the close to come throw away what has not reached the server. The
// kernel would go on sending it: to a server that is cut off, perhaps until it is
// back and leads again, seconds after the same write was repeated elsewhere and
// overwritten by a later one.
func discard(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails on a connection that is gone
	}
}

// Abandon ends the connection: every waiting request is told that it is lost, and
// what has not reached the server will not.
func (c *Conn) Abandon() { c.fail(ErrSilent, 1) }

// Wake checks the connection's health.
func (c *Conn) Wake(now wheel.Time) {
	if err := c.check(now); err != nil {
		weight := c.node.pool.opts.BreakerFailures
		if errors.Is(err, errIdle) {
			weight = 0
		}
		c.fail(err, weight)
		return
	}
	c.mu.Lock()
	if c.err == nil {
		c.node.pool.wheel.Arm(&c.timer, now+wheel.Time(checkEvery))
	}
	c.mu.Unlock()
	for _, e := range c.doubtful(now) {
		if d, ok := e.sink.(Doubter); ok {
			d.OnSilent(e.attempt)
		}
	}
}

// doubtful gives the requests that wait while the server is silent for longer than
// three fifths of what it takes to be asked: 300 ms by default, the least time in
// which another server may have been elected in its place.
func (c *Conn) doubtful(now wheel.Time) []entry {
	read := wheel.Time(c.lastRead.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.pending.n == 0 || now-max(c.busySince, read) <= wheel.Time(c.node.pool.opts.PingAfter*3/5) {
		return nil
	}
	return c.pending.all()
}

// check judges by traffic: any bytes from the server prove it alive. Without
// them, and with requests waiting, it asks; without an answer it gives up.
func (c *Conn) check(now wheel.Time) error {
	o := &c.node.pool.opts
	read := wheel.Time(c.lastRead.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending.n > 1 || (c.pending.n == 1 && c.pingSeq == 0) {
		c.usedAt = now
	}
	switch {
	case c.err != nil:
		return nil
	case c.pingSeq != 0:
		if now-max(c.pingAt, read) > wheel.Time(o.PingTimeout) {
			return ErrSilent
		}
	case c.pending.n > 0:
		if now-max(c.busySince, read) > wheel.Time(o.PingAfter) {
			c.pingLocked(now)
		}
	case now-c.usedAt > wheel.Time(o.IdleTimeout):
		return errIdle
	case now-read > wheel.Time(o.IdlePing):
		c.pingLocked(now)
	}
	return nil
}

func (c *Conn) pingLocked(now wheel.Time) {
	if c.pending.n == 0 {
		c.busySince = now
	}
	c.pingAt = now
	c.pingSeq = c.sendLocked(c.node.pool.ping, (*pinger)(c), 0)
	if c.wakeLocked() {
		c.wake <- struct{}{} // has room: it was taken by the sleeper's last waking
	}
}

// pinger is the Conn as the sink of its own pings.
type pinger Conn

func (p *pinger) OnReply(uint32, wire.Reply) {
	p.mu.Lock()
	p.pingSeq = 0
	p.mu.Unlock()
}

func (p *pinger) OnLost(uint32, bool, error) {}

// Call sends frame and waits for the reply, whose body is a copy. It is for rare
// calls, to meta servers and administration.
func (c *Conn) Call(ctx context.Context, frame []byte) (wire.Reply, error) {
	w := &waiter{done: make(chan struct{})}
	seq, err := c.Send(frame, w, 0, c.node.pool.wheel.Now())
	if err != nil {
		return wire.Reply{}, err
	}
	select {
	case <-w.done:
		return w.reply, w.err
	case <-ctx.Done():
		c.Forget(seq)
		return wire.Reply{}, ctx.Err()
	}
}

type waiter struct {
	done  chan struct{}
	reply wire.Reply
	err   error
}

func (w *waiter) OnReply(_ uint32, r wire.Reply) {
	w.reply = wire.Reply{Code: append([]byte(nil), r.Code...), Seq: r.Seq, Body: r.Keep()}
	close(w.done)
}

func (w *waiter) OnLost(_ uint32, _ bool, err error) {
	w.err = err
	close(w.done)
}
