package rpc

import (
	"errors"
	"os"
	"time"
)

// fill reads once. An empty reason means: look at the buffer again.
func (c *conn) fill() closeReason {
	if c.in.r == c.in.w {
		c.partialSince = 0
	} else if c.partialSince == 0 {
		c.partialSince = c.srv.now()
	}
	if reason := c.affordRoom(); reason != "" {
		return reason
	}
	c.armDeadline()
	n, err := c.spin.Read(c.in.room(c.wanted), c.expectsOne())
	if n > 0 {
		c.in.received(n)
		c.srv.metrics.bytesIn.Add(float64(n))
		return ""
	}
	return c.readFailed(err)
}

// expectsOne reports whether the next request is likely to come at once: one came with
// the last read, and it is answered.
func (c *conn) expectsOne() bool {
	if c.requests != 1 || c.in.r != c.in.w {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idleLocked()
}

// affordRoom pays for the growth of the buffer beyond its usual size. Without
// budget it waits, since memory comes back when requests end.
func (c *conn) affordRoom() closeReason {
	growth := int64(c.in.growth(c.wanted))
	if growth == 0 {
		return ""
	}
	since := c.srv.now()
	for !c.srv.budget.tryAcquire(growth) {
		if c.srv.now()-since >= int64(c.srv.opts.FrameTimeout) {
			return closeMemory
		}
		const again = 10 * time.Millisecond
		timer := time.NewTimer(again)
		c.wait(func() bool { return c.stopping }, timer.C)
		timer.Stop()
		if reason := c.stopReason(); reason != "" {
			return reason
		}
	}
	c.held += growth
	c.partialSince += c.srv.now() - since // the wait is not the peer's fault
	return ""
}

// hold changes what the budget lends to the input buffer.
func (c *conn) hold(n int64) {
	c.srv.budget.add(n - c.held)
	c.held = n
}

// frameDeadline is when the frame at the front must be complete.
func (c *conn) frameDeadline() int64 {
	arrived := time.Duration(c.in.w-c.in.r) * time.Second / minFrameRate
	return c.partialSince + int64(c.srv.opts.FrameTimeout+arrived)
}

// armDeadline sets a read deadline for a half frame. It stays set when the frame
// is complete, and readFailed sorts out what it meant: two system-wide timer
// operations for each read of a busy connection would show.
func (c *conn) armDeadline() {
	if c.partialSince == 0 || c.armed {
		return
	}
	c.setReadDeadline(c.frameDeadline())
}

// setReadDeadline takes a time of the server's clock, 0 for none. It never
// overrides the past deadline that stops the reading.
func (c *conn) setReadDeadline(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return
	}
	c.armed = at != 0
	var deadline time.Time
	if c.armed {
		deadline = time.Now().Add(time.Duration(at - c.srv.now()))
	}
	_ = c.nc.SetReadDeadline(deadline) // fails on a closed connection only
}

func (c *conn) readFailed(err error) closeReason {
	if reason := c.stopReason(); reason != "" {
		return reason
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		if err == nil {
			return "" // an empty read, which a net.Conn may make
		}
		return closePeer
	}
	if c.partialSince == 0 {
		c.setReadDeadline(0)
		return ""
	}
	if deadline := c.frameDeadline(); c.srv.now() < deadline {
		c.setReadDeadline(deadline)
		return ""
	}
	return closeTimeout
}
