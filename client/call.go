package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/arionkv/arion/client/internal/conn"
	"github.com/arionkv/arion/client/internal/route"
	"github.com/arionkv/arion/client/internal/wheel"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/code"
)

// opSpec is what is known about a kind of call.
type opSpec struct {
	name  string
	class timeoutClass
	// write: it may change something, so its outcome can be unknown.
	write bool
	// once: it must not run twice; not repeated when a try may have run.
	once bool
	// hedge: a follower may answer it.
	hedge bool
	// single: never repeated by the call itself (its caller does, differently).
	single bool
}

type timeoutClass uint8

const (
	classRead timeoutClass = iota
	classWrite
	classScan
)

func (t *Timeouts) of(c timeoutClass) time.Duration {
	switch c {
	case classWrite:
		return t.Write
	case classScan:
		return t.Scan
	}
	return t.Read
}

type callState uint8

const (
	stateNew     callState = iota
	stateRouting           // waits for OnRoute
	stateSent              // waits for OnReply or OnLost
	stateWaiting           // waits for its timer, to be sent again
	stateDone
)

// anyPartition: the call goes where its hash belongs.
const anyPartition = -1

// keep gives the body of the reply, for good; c has ended.
func (c *call) keep(body []byte) []byte {
	r := wire.Reply{Body: body, Own: c.own}
	return r.Keep()
}

// finisher is told the outcome of a call, once, without locks held. body is
// valid during the call only.
type finisher interface{ finish(body []byte, err *Error) }

// call is one request on its way: routed, sent, sent again. Its parts are moved
// by five parties that know nothing of each other: the caller, the connection's
// reader, whoever found a connection broken, the routing refresh, and the timer
// wheel. Each takes mu, looks at state and attempt, and acts if it is still
// concerned. The one that sets stateDone calls fin: hence exactly once.
//
// Lock order: call.mu, then those of conn, wheel and route, none of which calls
// back with its lock held.
type call struct {
	t    *Table
	op   *opSpec
	fin  finisher
	hash uint64
	// fixed is the partition of a call that has no key, or anyPartition.
	fixed int32
	// sameCount, if not 0, is the partition count the request was made for.
	sameCount int32

	start    wheel.Time
	deadline wheel.Time
	size     int64 // what the limiter was charged

	mu     sync.Mutex
	state  callState
	maybe  bool   // a try may have taken effect
	silent uint32 // the attempt whose server has fallen silent
	asking bool   // for routing, on account of that
	hedged bool
	kind   backoffKind
	// frame is the whole request; header and sequence number are set per try.
	frame    []byte
	buffer   *[]byte // where frame's memory goes back to
	timer    wheel.Timer
	attempts uint32
	primary  flight
	hedge    flight
	snap     *route.Snapshot
	placed   int32 // partition of the last try, -1 before
	node     *conn.Node
	lastErr  error
	lastCode code.Code
	waits    [backoffKinds]uint8
	stop     func() bool // ends watching the context
	own      []byte      // the memory of the reply if it may be kept
}

// flight is one try under way.
type flight struct {
	conn    *conn.Conn
	seq     int32
	attempt uint32
}

type backoffKind uint8

const (
	backoffBusy backoffKind = iota
	backoffRoute
	backoffConnect
	backoffKinds
)

var (
	errNoLeader = errors.New("no leader known")
	errRecount  = errors.New("number of partitions changed")
	errUnsent   = errors.New("the request had not left: larger ones than the server answers in time were before it")
)

// begin admits the call and sends it. force: as an inner step of another call.
func (c *call) begin(ctx context.Context, watch, force bool) {
	cl := c.t.c
	c.timer.Wake = c
	c.placed = -1
	c.start = cl.wheel.Now()
	c.deadline = c.start + wheel.Time(cl.cfg.timeouts.of(c.op.class))
	if at, ok := ctx.Deadline(); ok {
		c.deadline = cl.wheel.At(at)
	}
	c.size = int64(len(c.frame))
	err := ctx.Err()
	if err == nil && cl.closed.Load() {
		err = ErrClosed
	}
	if err == nil {
		err = c.admit(ctx, force)
	}
	c.mu.Lock()
	if err != nil {
		c.size = 0
		c.failLocked(err)
		return
	}
	if watch && ctx.Done() != nil {
		c.stop = context.AfterFunc(ctx, func() { c.cancel(ctx.Err()) })
	}
	c.dispatchLocked(c.start)
}

// admit takes a place among the calls in flight.
func (c *call) admit(ctx context.Context, force bool) error {
	cl := c.t.c
	if force {
		cl.limit.Force(c.size)
		return nil
	}
	if cl.exec.waiting() <= int64(cl.cfg.maxCalls) && cl.limit.TryAcquire(c.size) {
		return nil
	}
	if cl.cfg.overload == FailFast {
		return ErrOverloaded
	}
	// Answers whose callbacks have not run yet take memory too. A caller that is
	// faster than its callbacks is slowed down, and never stopped: the caller may be
	// the callback they are waiting for.
	for i := 0; i < 5 && cl.exec.waiting() > int64(cl.cfg.maxCalls); i++ {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.deadline-cl.wheel.Now()))
	defer cancel()
	if err := cl.limit.Acquire(ctx, c.size); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return ErrOverloaded
		}
		return err
	}
	return nil
}

// dispatchLocked sends the call to whoever leads its partition. It unlocks.
func (c *call) dispatchLocked(now wheel.Time) {
	snap := c.t.route.Current()
	if snap == nil {
		c.state = stateRouting
		c.t.c.wheel.Arm(&c.timer, c.deadline)
		if !c.t.route.Refresh(nil, c) {
			c.dispatchLocked(now) // known since a moment ago
			return
		}
		c.mu.Unlock()
		return
	}
	c.snap = snap
	if (c.sameCount != 0 && c.sameCount != snap.Count) || c.fixed >= snap.Count {
		c.failLocked(errRecount)
		return
	}
	if c.fixed != anyPartition {
		c.placed = snap.Serving(c.fixed)
	} else {
		c.placed = snap.Pick(c.hash)
	}
	c.node = snap.Partitions[c.placed].Leader
	if c.node == nil {
		c.retryLocked(backoffRoute, errNoLeader, now)
		return
	}
	if err := c.sendLocked(now); err != nil {
		c.retryLocked(backoffConnect, err, now)
		return
	}
	c.mu.Unlock()
}

func (c *call) sendLocked(now wheel.Time) error {
	cn, err := c.node.Conn(c.hash)
	if err != nil {
		return err
	}
	wire.SetRoute(c.frame, c.address(now))
	c.attempts++
	seq, err := cn.Send(c.frame, c, c.attempts, now)
	if err != nil {
		return err
	}
	c.primary = flight{cn, seq, c.attempts}
	c.state = stateSent
	c.t.c.wheel.Arm(&c.timer, c.nextWake(now))
	return nil
}

func (c *call) address(now wheel.Time) wire.Route {
	left := max(1, time.Duration(c.deadline-now).Milliseconds())
	return wire.Route{TableID: c.snap.TableID, Partition: c.placed, Hash: c.hash, TimeoutMS: int32(min(left, 1<<30))}
}

// nextWake is when a call that was sent needs attention.
func (c *call) nextWake(now wheel.Time) wheel.Time {
	if after := c.t.c.cfg.hedgeAfter; after > 0 && c.op.hedge && !c.hedged {
		return min(c.deadline, now+wheel.Time(after))
	}
	return c.deadline
}

// OnReply takes an answer.
func (c *call) OnReply(attempt uint32, r wire.Reply) {
	c.mu.Lock()
	hedge := c.hedge.conn != nil && attempt == c.hedge.attempt
	if c.state == stateDone || (!hedge && (c.primary.conn == nil || attempt != c.primary.attempt)) {
		c.mu.Unlock()
		return
	}
	if hedge {
		c.hedge.conn = nil
	} else {
		c.primary.conn = nil
	}
	if r.OK() {
		c.own = r.Own
		c.finishLocked(r.Body, nil)
		return
	}
	if hedge {
		c.mu.Unlock() // the leader's answer counts
		return
	}
	c.refusedLocked(codeError(r.Code))
}

// refusedLocked acts upon a server's error. It unlocks.
func (c *call) refusedLocked(e *code.Error) {
	now := c.t.c.wheel.Now()
	c.lastCode = e.Code
	switch e.Code.Class() {
	case code.ClassRetryHere:
		c.retryLocked(backoffBusy, e, now)
	case code.ClassRetryElsewhere:
		c.retryLocked(backoffRoute, e, now)
	case code.ClassUnknownOutcome:
		c.maybe = c.maybe || c.op.write
		c.retryLocked(backoffBusy, e, now)
	default:
		c.failLocked(e)
	}
}

// Deadline implements conn.Patient.
func (c *call) Deadline() wheel.Time { return c.deadline }

// OnLost takes the loss of a connection.
func (c *call) OnLost(attempt uint32, sent bool, err error) {
	c.mu.Lock()
	switch {
	case c.state == stateDone:
	case c.hedge.conn != nil && attempt == c.hedge.attempt:
		c.hedge.conn = nil
	case c.primary.conn != nil && attempt == c.primary.attempt:
		c.primary.conn = nil
		c.lastCode = code.OK
		if err == conn.ErrSlow {
			c.failLocked(err)
			return
		}
		c.maybe = c.maybe || (sent && c.op.write)
		c.retryLocked(backoffConnect, err, c.t.c.wheel.Now())
		return
	}
	c.mu.Unlock()
}

// retryLocked plans another try, or gives up. It unlocks.
func (c *call) retryLocked(kind backoffKind, err error, now wheel.Time) {
	c.lastErr = err
	if c.t.c.closed.Load() {
		c.failLocked(ErrClosed)
		return
	}
	if !c.repeatableLocked(c.maybe) {
		c.failLocked(err)
		return
	}
	delay := c.pause(kind)
	if now+wheel.Time(delay) >= c.deadline {
		c.failLocked(err)
		return
	}
	for _, h := range c.t.c.cfg.hooks.retry {
		h.OnRetry(RetryEvent{Op: c.op.name, Table: c.t.name, Partition: c.placed, Node: addrOf(c.node),
			Code: c.lastCode, Err: err, Attempt: int(c.attempts), Delay: delay})
	}
	c.state, c.kind = stateWaiting, kind
	c.t.c.wheel.Arm(&c.timer, now+wheel.Time(delay))
	// New routing ends the pause early, if it names another server.
	if kind != backoffBusy && !c.t.route.Refresh(c.snap, c) && c.movedLocked() {
		c.dispatchLocked(now)
		return
	}
	c.mu.Unlock()
}

// repeatableLocked reports whether the call may be tried again; maybe says that a
// try may have taken effect.
func (c *call) repeatableLocked(maybe bool) bool {
	policy := &c.t.c.cfg.retry
	barred := maybe && (c.op.once || policy.NoRepeatAfterUnknown)
	return !barred && !c.op.single && (policy.MaxAttempts == 0 || int(c.attempts) < policy.MaxAttempts)
}

// OnSilent takes that the server of a try says nothing. If the partition has
// another leader by now, the call goes there without waiting for the keepalive to
// give the connection up, unless it must not run twice.
func (c *call) OnSilent(attempt uint32) {
	c.mu.Lock()
	if c.state != stateSent || c.primary.conn == nil || c.primary.attempt != attempt || !c.repeatableLocked(c.maybe || c.op.write) {
		c.mu.Unlock()
		return
	}
	c.silent = attempt
	if !c.movedLocked() && !c.asking {
		c.asking = c.t.route.Refresh(c.t.route.Current(), c)
	}
	if c.movedLocked() {
		c.abandonLocked()
		return
	}
	c.mu.Unlock()
}

// abandonLocked gives up the try under way and tries again. It unlocks. A write
// takes the connection with it: it might reach the server later, after the
// repetition and after what was written since.
func (c *call) abandonLocked() {
	if c.op.write {
		cn := c.primary.conn
		c.mu.Unlock()
		cn.Abandon() // ends in OnLost
		return
	}
	c.primary.conn.Forget(c.primary.seq)
	c.primary.conn = nil
	c.lastCode = code.OK
	c.retryLocked(backoffConnect, conn.ErrSilent, c.t.c.wheel.Now())
}

func (c *call) pause(kind backoffKind) time.Duration {
	p := &c.t.c.cfg.retry
	b := [backoffKinds]Backoff{p.Busy, p.Route, p.Connect}[kind]
	d := min(b.Min<<min(c.waits[kind], 20), b.Max)
	c.waits[kind]++
	return d - rand.N(d/4+1)
}

// movedLocked reports whether the present routing sends the call elsewhere than
// its last try went.
func (c *call) movedLocked() bool {
	s := c.t.route.Current()
	if s == nil || s == c.snap || c.placed < 0 {
		return s != nil && s != c.snap
	}
	if s.TableID != c.snap.TableID || s.Count != c.snap.Count {
		return true
	}
	leader := s.Partitions[c.placed].Leader
	return leader != nil && leader != c.node
}

// OnRoute takes the end of a routing refresh.
func (c *call) OnRoute(err error) {
	c.mu.Lock()
	c.asking = false
	now := c.t.c.wheel.Now()
	switch c.state {
	case stateRouting:
		c.routedLocked(err, now)
		return
	case stateWaiting:
		if code.Of(err) == code.ObjectNotFound {
			c.failLocked(errNoTable)
			return
		}
		if err == nil && c.kind != backoffBusy && c.movedLocked() {
			c.dispatchLocked(now)
			return
		}
	case stateSent:
		if err == nil && c.primary.conn != nil && c.primary.attempt == c.silent && c.movedLocked() {
			c.abandonLocked()
			return
		}
	}
	c.mu.Unlock()
}

// errNoTable is what the meta servers' ObjectNotFound means for a call.
var errNoTable = &code.Error{Code: code.AppNotExist}

func (c *call) routedLocked(err error, now wheel.Time) {
	switch {
	case err == nil:
		c.dispatchLocked(now)
	case code.Of(err) == code.ObjectNotFound:
		c.failLocked(errNoTable)
	case kindOfLocal(err) == ErrDenied:
		c.failLocked(err)
	default:
		c.retryLocked(backoffRoute, err, now)
	}
}

// Wake takes the passing of time.
func (c *call) Wake(now wheel.Time) {
	c.mu.Lock()
	switch {
	case c.state == stateDone:
	case c.t.c.closed.Load():
		c.failLocked(ErrClosed)
		return
	case now >= c.deadline:
		c.failLocked(context.DeadlineExceeded)
		return
	case c.state == stateWaiting:
		c.dispatchLocked(now)
		return
	case c.state == stateSent:
		if !c.hedged && c.op.hedge && c.t.c.cfg.hedgeAfter > 0 {
			c.hedgeLocked(now)
		}
		c.t.c.wheel.Arm(&c.timer, c.deadline)
	}
	c.mu.Unlock()
}

// hedgeLocked sends a read to a follower as well.
func (c *call) hedgeLocked(now wheel.Time) {
	c.hedged = true
	followers := c.snap.Partitions[c.placed].Followers
	if len(followers) == 0 || c.primary.conn == nil {
		return
	}
	node := followers[rand.IntN(len(followers))]
	cn, err := node.Conn(c.hash)
	if err != nil {
		return
	}
	c.attempts++
	frame := wire.AppendBackup(make([]byte, 0, len(c.frame)+8), c.frame, c.address(now))
	seq, err := cn.Send(frame, c, c.attempts, now)
	if err != nil {
		return
	}
	c.hedge = flight{cn, seq, c.attempts}
	for _, h := range c.t.c.cfg.hooks.hedge {
		h.OnHedge(c.t.name, c.placed, node.Addr())
	}
}

// cancel gives the call up.
func (c *call) cancel(cause error) {
	if cause == nil {
		cause = ErrCanceled
	}
	c.mu.Lock()
	if c.state == stateDone {
		c.mu.Unlock()
		return
	}
	c.failLocked(cause)
}

// failLocked ends the call without a result. It unlocks.
func (c *call) failLocked(err error) {
	if c.state == stateDone {
		c.mu.Unlock()
		return
	}
	c.forgetLocked()
	c.finishLocked(nil, c.errorLocked(err))
}

// forgetLocked gives up the tries under way, noting whether they may have run.
func (c *call) forgetLocked() {
	if c.primary.conn != nil {
		sent := c.primary.conn.Forget(c.primary.seq)
		c.maybe = c.maybe || sent && c.op.write
		if !sent && c.lastErr == nil {
			c.lastErr = errUnsent
		}
		c.primary.conn = nil
	}
	if c.hedge.conn != nil {
		c.hedge.conn.Forget(c.hedge.seq)
		c.hedge.conn = nil
	}
}

// finishLocked ends the call. It unlocks.
func (c *call) finishLocked(body []byte, err *Error) {
	began := c.state != stateNew
	c.state = stateDone
	c.forgetLocked()
	if began {
		c.t.c.wheel.Disarm(&c.timer)
	}
	stop := c.stop
	c.stop = nil
	putFrame(c.buffer, c.frame)
	c.frame, c.buffer = nil, nil
	c.mu.Unlock()
	if c.size > 0 {
		c.t.c.limit.Release(c.size)
	}
	if stop != nil {
		stop()
	}
	c.report(body, err)
	c.fin.finish(body, err)
}

func (c *call) report(body []byte, err *Error) {
	hooks := c.t.c.cfg.hooks.call
	if len(hooks) == 0 {
		return
	}
	took := time.Duration(c.t.c.wheel.Now() - c.start)
	e := CallEvent{Op: c.op.name, Table: c.t.name, Partition: c.placed, Node: addrOf(c.node),
		Attempts: int(c.attempts), Start: time.Now().Add(-took), Duration: took}
	if err != nil {
		e.Err = err
	} else if c.op.write {
		e.Index = wire.DecodeDecree(body)
	}
	for _, h := range hooks {
		h.OnCall(e)
	}
}

func addrOf(n *conn.Node) string {
	if n == nil {
		return ""
	}
	return n.Addr()
}

// describe starts an Error with what is known about the call. It is called
// when nobody else moves the call: with mu held, or after the end.
func (c *call) describe() *Error {
	e := &Error{Op: c.op.name, Table: c.t.name, Partition: c.placed, Node: addrOf(c.node), Attempts: int(c.attempts)}
	if c.snap != nil {
		e.TableID = c.snap.TableID
	}
	return e
}

func (c *call) errorLocked(err error) *Error {
	e := c.describe()
	e.Unknown = c.maybe && c.op.write
	var refused *code.Error
	switch {
	case errors.As(err, &refused):
		e.Code, e.Class, e.Kind = refused.Code, refused.Code.Class(), kindOfCode(refused.Code, c.op.write)
		if refused == errNoTable {
			e.Code = code.OK
		}
	case err == ErrOverloaded:
		e.Kind, e.Class = err, code.ClassRetryHere
	case err == conn.ErrSlow:
		e.Kind, e.Class, e.Cause = ErrBusy, code.ClassRetryHere, err
	case err == ErrClosed || err == ErrCanceled:
		e.Kind, e.Class = err, code.ClassPermanent
	default:
		e.Kind, e.Class, e.Cause = kindOfLocal(err), code.ClassRetryElsewhere, err
		if e.Kind == ErrTimeout {
			// What kept it from succeeding says more than that time passed.
			e.Cause = c.lastErr
		}
	}
	if e.Unknown {
		e.Class = code.ClassUnknownOutcome
	}
	return e
}

// codeError reads an error name, which comes from outside: an unknown one may
// mean anything.
func codeError(name []byte) *code.Error {
	c, ok := code.Parse(string(name))
	e := &code.Error{Code: c}
	if !ok || c == code.OK {
		e.Code, e.Hint = code.Unknown, "server says "+printable(name)
	}
	return e
}

func printable(b []byte) string {
	const most = 64
	out := make([]byte, 0, most)
	for _, x := range b[:min(len(b), most)] {
		if x < ' ' || x > '~' {
			x = '?'
		}
		out = append(out, x)
	}
	return string(out)
}

// Frames come from a pool; those that a connection keeps after Send do not return to
// it, and none that is large.
const keepFrame = conn.BulkFrame - 1

var frames = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

func getFrame() *[]byte { return frames.Get().(*[]byte) }

func putFrame(b *[]byte, frame []byte) {
	if b == nil || cap(frame) > keepFrame {
		return
	}
	*b = frame[:0]
	frames.Put(b)
}
