//go:build unix

package rpc

import (
	"net"
	"syscall"
)

// directWriter writes to a socket without waiting. Go's own Write parks the
// goroutine until everything is taken.
type directWriter struct {
	raw syscall.RawConn // nil: not a socket, nothing is written
	b   []byte
	n   int
	try func(fd uintptr) bool // made once, since a closure per write is garbage
}

func (d *directWriter) init(nc net.Conn) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	d.raw = raw
	d.try = func(fd uintptr) bool {
		for {
			n, err := syscall.Write(int(fd), d.b)
			if err == syscall.EINTR {
				continue
			}
			d.n = max(n, 0)
			return true
		}
	}
}

// write returns how many bytes were taken. Errors show up again in the ordinary
// write of the rest.
func (d *directWriter) write(b []byte) int {
	if d.raw == nil {
		return 0
	}
	d.b, d.n = b, 0
	err := d.raw.Write(d.try)
	d.b = nil
	if err != nil {
		return 0
	}
	return d.n
}
