package conn

import (
	"fmt"
	"net"

	"github.com/arionkv/arion/client/internal/wire"
)

// read takes frames off the connection until it ends.
func (c *Conn) read(nc net.Conn) {
	in := input{buf: make([]byte, readBuffer)}
	proven := false
	for {
		n, err := nc.Read(in.room())
		if err != nil {
			c.fail(fmt.Errorf("read: %w", err), 1)
			return
		}
		c.lastRead.Store(int64(c.node.pool.wheel.Now()))
		in.end += n
		for {
			frame, err := in.frame()
			if err == nil && frame == nil {
				break
			}
			if err == nil {
				err = c.deliver(frame)
			}
			if err != nil {
				c.fail(err, 1)
				return
			}
			if !proven {
				proven = true
				c.node.proven(c)
			}
		}
	}
}

func (c *Conn) deliver(frame []byte) error {
	r, err := wire.ParseReply(frame)
	if err != nil {
		return err
	}
	c.mu.Lock()
	e, ok := c.pending.take(r.Seq)
	c.mu.Unlock()
	if ok {
		e.sink.OnReply(e.attempt, r)
	}
	return nil
}

// input is the read buffer. It grows with the bytes that arrived, never by a
// length a server merely claims.
type input struct {
	buf        []byte
	start, end int
}

// room gives the free space at the end, making some if there is none.
func (in *input) room() []byte {
	if in.start == in.end {
		in.start, in.end = 0, 0
		if cap(in.buf) > keepBuffer {
			in.buf = make([]byte, readBuffer)
		}
	}
	if in.end == len(in.buf) {
		if in.start > 0 && in.end-in.start <= len(in.buf)/2 {
			in.end = copy(in.buf, in.buf[in.start:in.end])
		} else {
			bigger := make([]byte, 2*len(in.buf))
			in.end = copy(bigger, in.buf[in.start:in.end])
			in.buf = bigger
		}
		in.start = 0
	}
	return in.buf[in.end:]
}

// frame takes the next whole frame, nil if it has not arrived entirely.
func (in *input) frame() ([]byte, error) {
	have := in.buf[in.start:in.end]
	n, err := wire.ReplySize(have)
	if err != nil || n == 0 || len(have) < n {
		return nil, err
	}
	in.start += n
	return have[:n:n], nil
}
