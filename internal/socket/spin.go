// Package socket reads and writes sockets without waiting, which net.Conn cannot.
package socket

import (
	"net"
	"runtime"
	"sync/atomic"
	"time"
)

// A goroutine that waits for a socket lets its processor sleep, and waking one takes
// 30 us on a virtual machine, several times what a get takes. So while one caller
// asks again as soon as it is answered, both ends look at their socket for a moment
// before they wait.
const (
	// spinFor is how long: what a peer takes that has to be woken itself.
	spinFor = 100 * time.Microsecond
	// maxPause is how many waits go without after looking in vain.
	maxPause = 1 << 10
)

// last is the connection of this process that was read last. A process with more
// than one busy connection has no processor to spare.
var last atomic.Pointer[Spinner]

var manyProcessors = runtime.NumCPU() > 1

// Spinner reads one connection, on one goroutine.
type Spinner struct {
	nc          net.Conn
	direct      *Direct
	pause, left int // waits to go without: after the last failure, from now on
}

// NewSpinner reads nc.
func NewSpinner(nc net.Conn) *Spinner { return &Spinner{nc: nc, direct: NewReader(nc)} }

// Read is the connection's Read. With hope, which says that bytes are likely to come
// at once, it looks for them for a moment before it waits: if nobody else reads in
// this process, as long as it pays, and seldom when not.
func (s *Spinner) Read(b []byte, hope bool) (int, error) {
	alone := last.Load() == s
	if !alone {
		last.Store(s)
	}
	if hope && alone && manyProcessors && s.direct.Usable() && s.due() {
		n := s.spin(b)
		s.ended(n > 0)
		if n > 0 {
			return n, nil
		}
	}
	return s.nc.Read(b)
}

func (s *Spinner) due() bool {
	if s.left == 0 {
		return true
	}
	s.left--
	return false
}

func (s *Spinner) ended(found bool) {
	if found {
		s.pause = 0
		return
	}
	s.pause = min(2*s.pause+1, maxPause)
	s.left = s.pause
}

// spin gives 0 when nothing came. Others run between two looks.
func (s *Spinner) spin(b []byte) int {
	for begun := time.Now(); time.Since(begun) < spinFor; runtime.Gosched() {
		if n := s.direct.Do(b); n > 0 {
			return n
		}
	}
	return 0
}
