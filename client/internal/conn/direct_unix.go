//go:build unix

package conn

import (
	"net"
	"syscall"
)

// directWriter writes to a socket without waiting, where net.Conn would park the
// goroutine until everything is taken. Only whoever is writing may use it.
type directWriter struct {
	raw syscall.RawConn // nil: not a plain socket, as under TLS
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

func (d *directWriter) usable() bool { return d.raw != nil }

// write gives how many bytes were taken, 0 after an error.
func (d *directWriter) write(b []byte) int {
	d.b, d.n = b, 0
	err := d.raw.Write(d.try)
	d.b = nil
	if err != nil {
		return 0
	}
	return d.n
}
