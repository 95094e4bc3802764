//go:build unix

package socket

import (
	"net"
	"syscall"
)

// Direct makes one kind of call on a socket, once and without waiting. Go's own Read
// and Write park the goroutine until something, or everything, is there or taken. It
// is for one goroutine at a time. The zero Direct is not usable.
type Direct struct {
	run func(func(fd uintptr) bool) error // nil: not a socket, nothing is done
	b   []byte
	n   int
	try func(fd uintptr) bool // made once, since a closure per call is garbage
}

// NewReader reads nc.
func NewReader(nc net.Conn) *Direct {
	return newDirect(nc, syscall.RawConn.Read, syscall.Read)
}

// NewWriter writes to nc.
func NewWriter(nc net.Conn) *Direct {
	return newDirect(nc, syscall.RawConn.Write, syscall.Write)
}

func newDirect(nc net.Conn, run func(syscall.RawConn, func(uintptr) bool) error, call func(int, []byte) (int, error)) *Direct {
	d := new(Direct)
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return d
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return d
	}
	d.run = func(try func(uintptr) bool) error { return run(raw, try) }
	d.try = func(fd uintptr) bool {
		for {
			n, err := call(int(fd), d.b)
			if err == syscall.EINTR {
				continue
			}
			d.n = max(n, 0)
			return true
		}
	}
	return d
}

// Usable says whether nc is a plain socket, which it is not under TLS.
func (d *Direct) Usable() bool { return d.run != nil }

// Do returns how many bytes were moved. Errors, and the end of the stream, show up
// again in the ordinary call that follows.
func (d *Direct) Do(b []byte) int {
	if d.run == nil {
		return 0
	}
	d.b, d.n = b, 0
	err := d.run(d.try)
	d.b = nil
	if err != nil {
		return 0
	}
	return d.n
}
