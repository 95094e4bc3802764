package rpc

import (
	"runtime"
	"sync/atomic"
	"time"
)

// A goroutine that waits for a socket lets its processor sleep, and waking one takes
// 30 us on a virtual machine, several times what a get takes. So while one caller
// asks again as soon as it is answered, its connection is looked at for a moment
// before its goroutine waits. BenchmarkGet with a window of 1 shows what it gives.
const (
	// spinFor is how long: what a caller needs that has to be woken itself.
	spinFor = 100 * time.Microsecond
	// maxSpinPause is how many waits go without after looking in vain.
	maxSpinPause = 1 << 10
)

// lastReader is the connection of this process that was read last. A process with
// more than one busy connection has no processor to spare.
var lastReader atomic.Pointer[conn]

var manyProcessors = runtime.NumCPU() > 1

// spinning is when a connection spins: as long as it pays, and seldom when not.
type spinning struct {
	pause, left int // waits to go without: at the last failure, from now on
}

func (s *spinning) due() bool {
	if s.left == 0 {
		return true
	}
	s.left--
	return false
}

func (s *spinning) ended(found bool) {
	if found {
		s.pause = 0
		return
	}
	s.pause = min(2*s.pause+1, maxSpinPause)
	s.left = s.pause
}

// read is the connection's Read, which spins first where the next request is likely
// to come at once: one request came with the last read, and it is answered.
func (c *conn) read(b []byte) (int, error) {
	alone := lastReader.Swap(c) == c
	if alone && c.requests == 1 && c.in.r == c.in.w && manyProcessors && c.peek.usable() && c.quiet() && c.spin.due() {
		n := c.spinRead(b)
		c.spin.ended(n > 0)
		if n > 0 {
			return n, nil
		}
	}
	return c.nc.Read(b)
}

// quiet reports whether nothing is under way.
func (c *conn) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idleLocked()
}

// spinRead gives 0 when nothing came. Others run between two looks.
func (c *conn) spinRead(b []byte) int {
	for end := c.srv.now() + int64(spinFor); c.srv.now() < end; runtime.Gosched() {
		if n := c.peek.do(b); n > 0 {
			return n
		}
	}
	return 0
}
