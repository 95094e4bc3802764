package conn

import (
	"fmt"
	"net"

	"github.com/arionkv/arion/client/internal/wheel"
	"github.com/arionkv/arion/client/internal/wire"
)

// maxDelivery is how many replies are taken off the pending requests at once.
const maxDelivery = 64

// delivery is a reply and who waits for it.
type delivery struct {
	to    entry
	reply wire.Reply
}

// read takes frames off the connection until it ends.
func (c *Conn) read(nc net.Conn) {
	in := input{buf: make([]byte, readBuffer)}
	batch := make([]delivery, 0, maxDelivery)
	proven := false
	for {
		n, err := nc.Read(in.room())
		if err != nil {
			c.fail(fmt.Errorf("read: %w", err), 1)
			return
		}
		now := c.node.pool.wheel.Now()
		c.lastRead.Store(int64(now))
		in.end += n
		for more := true; more; {
			batch, more, err = c.match(&in, batch[:0], now)
			for i := range batch {
				d := &batch[i]
				d.to.sink.OnReply(d.to.attempt, d.reply)
			}
			clear(batch)
			if err != nil {
				c.fail(err, 1)
				return
			}
			if !proven && in.taken {
				proven = true
				c.node.proven(c)
			}
		}
		c.flush()
	}
}

// match takes whole frames off the input, and the requests they answer off the
// pending ones; more says that it stopped for another reason than the end of the
// input. A frame that nobody waits for is dropped. With an error, what was
// matched before it is still to be delivered.
func (c *Conn) match(in *input, batch []delivery, now wheel.Time) (_ []delivery, more bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivers, c.burst = true, now
	for len(batch) < maxDelivery {
		frame, err := in.frame()
		if err != nil || frame == nil {
			return batch, false, err
		}
		r, err := wire.ParseReply(frame)
		if err != nil {
			return batch, false, err
		}
		if e, ok := c.pending.take(r.Seq); ok {
			batch = append(batch, delivery{e, r})
		}
	}
	return batch, true, nil
}

// flush ends a burst of replies: it sends what their receivers asked for.
func (c *Conn) flush() {
	wake := false
	c.mu.Lock()
	c.delivers = false
	switch {
	case len(c.wbuf) == 0 || c.writing || c.err != nil:
	case c.direct.usable():
		wake = c.handOverLocked()
	default:
		wake = c.wakeLocked()
	}
	c.mu.Unlock()
	if wake {
		c.wake <- struct{}{}
	}
}

// input is the read buffer. It grows with the bytes that arrived, never by a
// length a server merely claims.
type input struct {
	buf        []byte
	start, end int
	taken      bool // a whole frame was there
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
	in.taken = true
	return have[:n:n], nil
}
