package rpc

import (
	"context"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
)

// errStale is the refusal of a connection that is known to be broken.
var errStale = fmt.Errorf("%w: connection broke", ErrUnreachable)

// link is one connection of a Pool with the calls that wait on it.
type link struct {
	remote *remote
	nc     net.Conn
	in     inbuf // of the reading goroutine

	mu      sync.Mutex
	err     error // why it broke; no calls afterwards
	calls   map[int32]*call
	seq     int32
	out     []byte
	sending []byte
	writing bool
	heard   int // bytes received, to tell a slow peer from a silent one
	silent  int // calls in a row that timed out unheard
}

// call is done when the channel is closed; body or err is set before.
type call struct {
	seq   int32
	heard int
	done  chan struct{}
	body  []byte
	err   error
}

func newLink(r *remote, nc net.Conn) *link {
	return &link{remote: r, nc: nc, calls: map[int32]*call{}}
}

// send puts a call on its way. The returned call is finished exactly once.
func (l *link) send(ctx context.Context, name string, arg frame.Message) (*call, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		// It broke after connect looked, so nothing was sent.
		return nil, fmt.Errorf("%w: %w", errStale, l.err)
	}
	if limit := l.remote.pool.opts.MaxCalls; len(l.calls) >= limit {
		return nil, code.Errorf(code.Busy, "%d calls to %s wait already", limit, l.remote.addr)
	}
	if len(l.out)+len(l.sending) > maxUnsent {
		return nil, code.Errorf(code.Busy, "%s takes no more calls", l.remote.addr)
	}
	c := &call{seq: l.freeSeqLocked(), heard: l.heard, done: make(chan struct{})}
	h := frame.Header{Name: name, Seq: c.seq, TimeoutMS: timeoutMS(ctx)}
	l.out = frame.AppendRequest(l.out, &h, arg)
	l.calls[c.seq] = c
	if !l.writing {
		l.writing = l.remote.pool.spawn(l.writeLoop)
	}
	return c, nil
}

// freeSeqLocked skips ids that are still waited for after a wrap-around.
func (l *link) freeSeqLocked() int32 {
	for {
		l.seq++
		if _, taken := l.calls[l.seq]; !taken {
			return l.seq
		}
	}
}

func timeoutMS(ctx context.Context) int32 {
	deadline, _ := ctx.Deadline() // bounded has set one
	ms := time.Until(deadline).Milliseconds()
	return int32(min(max(ms, 1), math.MaxInt32))
}

// giveUp takes a call back whose context ended. It reports false if the call is
// being finished.
func (l *link) giveUp(c *call) bool {
	l.mu.Lock()
	if l.calls[c.seq] != c {
		l.mu.Unlock()
		return false
	}
	delete(l.calls, c.seq)
	if c.heard == l.heard {
		l.silent++
	}
	cutOff := l.silent >= maxSilentTimeouts
	l.mu.Unlock()
	if cutOff {
		l.fail(fmt.Errorf("%d calls timed out and nothing was received", maxSilentTimeouts))
	}
	return true
}

// writeLoop sends until nothing is left; send starts it.
func (l *link) writeLoop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.out) > 0 && l.err == nil {
		l.out, l.sending = l.sending[:0], l.out
		l.mu.Unlock()
		_ = l.nc.SetWriteDeadline(time.Now().Add(DefaultWriteTimeout))
		_, err := l.nc.Write(l.sending)
		l.mu.Lock()
		if cap(l.sending) > maxIdleOut {
			l.sending = nil
		}
		l.sending = l.sending[:0]
		if err != nil {
			l.mu.Unlock()
			l.fail(fmt.Errorf("write: %w", err))
			l.mu.Lock()
		}
	}
	l.writing = false
}

// readLoop matches answers to calls until the connection ends.
func (l *link) readLoop() {
	for {
		wanted, err := l.deliver()
		if err != nil {
			l.fail(err)
			return
		}
		n, err := l.nc.Read(l.in.room(wanted))
		if n > 0 {
			l.in.received(n)
			l.listened(n)
		} else if err != nil {
			l.fail(err)
			return
		}
	}
}

func (l *link) listened(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard += n
	l.silent = 0
}

// deliver finishes the calls whose answers are complete and returns the length
// of the one that is not, 0 if unknown.
func (l *link) deliver() (wanted int, err error) {
	for {
		b := l.in.unread()
		n, _, err := frame.ReplySize(frame.ProtoTHFT0, b)
		if err != nil {
			return 0, err
		}
		if n == 0 || n > len(b) {
			return n, nil
		}
		// The caller keeps what is decoded from it, so it gets its own copy.
		reply := l.in.take(n)
		if reply == nil {
			reply = append([]byte(nil), b[:n]...)
			l.in.advance(n)
		}
		if err := l.finish(reply); err != nil {
			return 0, err
		}
	}
}

// finish hands an answer to its call. One that nobody waits for is dropped: its
// caller gave up.
func (l *link) finish(reply []byte) error {
	h, body, err := frame.ParseReply(frame.ProtoTHFT0, reply)
	if err != nil {
		return err
	}
	l.mu.Lock()
	c := l.calls[h.Seq]
	delete(l.calls, h.Seq)
	l.mu.Unlock()
	if c == nil {
		return nil
	}
	c.body, c.err = body, frameError(h.Error)
	close(c.done)
	return nil
}

func frameError(name string) error {
	c, known := code.Parse(name)
	switch {
	case known && c == code.OK:
		return nil
	case known:
		return &code.Error{Code: c}
	default:
		return &code.Error{Code: code.Unknown, Hint: name}
	}
}

// fail breaks the connection and ends its calls.
func (l *link) fail(err error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	calls := l.calls
	l.calls = nil
	l.out = nil
	l.mu.Unlock()
	_ = l.nc.Close()
	l.remote.lost(l)

	for _, c := range calls {
		c.err = err
		if err != ErrPoolClosed {
			c.err = fmt.Errorf("%w: %w", ErrConnectionLost, err)
		}
		close(c.done)
	}
}
