package conn

import (
	"fmt"
	"net"

	"github.com/arionkv/arion/client/internal/wheel"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/internal/socket"
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
	spin, lone := socket.NewSpinner(nc), false
	for {
		n, err := spin.Read(in.room(), lone)
		if err != nil {
			c.fail(fmt.Errorf("read: %w", err), 1)
			return
		}
		now := c.node.pool.wheel.Now()
		c.lastRead.Store(int64(now))
		in.end += n
		replies := 0
		for more := true; more; {
			batch, more, err = c.match(&in, batch[:0], now)
			replies += len(batch)
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
		lone = c.flush() <= 1 && replies == 1
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
		frame, own, err := in.frame()
		if err != nil || frame == nil {
			return batch, false, err
		}
		r, err := wire.ParseReply(frame)
		if err != nil {
			return batch, false, err
		}
		r.Own = own
		if e, ok := c.pending.take(r.Seq); ok {
			c.bulks.answered(e.bulk, now)
			e.bulk = nil
			batch = append(batch, delivery{e, r})
		}
	}
	return batch, true, nil
}

// flush ends a burst of replies: it sends what their receivers asked for. It gives the
// number of requests that wait.
func (c *Conn) flush() (waiting int) {
	wake := false
	c.mu.Lock()
	c.delivers, waiting = false, c.pending.n
	switch {
	case !c.readyLocked() || c.writing || c.err != nil:
	case len(c.wbuf) > 0 && c.direct.Usable():
		wake = c.handOverLocked()
	default:
		wake = c.wakeLocked()
	}
	c.mu.Unlock()
	if wake {
		c.wake <- struct{}{}
	}
	return waiting
}

// input is the read buffer. A frame that does not fit gets memory of its own, which
// grows with the bytes that arrived, never by a length a server merely claims, and
// which whoever waits for the reply may keep.
type input struct {
	buf        []byte
	start, end int
	taken      bool // a whole frame was there

	small []byte // the usual buffer, while buf is that of one large frame
	wants int    // length of the frame at start, 0 = not known
}

// maxLead is how many times the bytes that arrived a large frame gets at once: 1 MB
// when the usual buffer is full.
const maxLead = readBuffer / (4 << 10)

// room gives the free space at the end, making some if there is none.
func (in *input) room() []byte {
	if in.start == in.end {
		in.start, in.end = 0, 0
		if in.small != nil {
			in.buf, in.small = in.small, nil
		}
	}
	if in.end < len(in.buf) {
		return in.buf[in.end:]
	}
	if in.start > 0 {
		in.end = copy(in.buf, in.buf[in.start:in.end])
		in.start = 0
		return in.buf[in.end:]
	}
	larger := wire.TakeMemory(max(len(in.buf)+1, min(in.wants, maxLead*len(in.buf))))
	copy(larger, in.buf)
	if in.small == nil {
		in.small = in.buf
	} else {
		wire.GiveMemory(in.buf)
	}
	in.buf = larger
	return in.buf[in.end:]
}

// frame takes the next whole frame, nil if it has not arrived entirely. own is its
// memory if that is not used again here.
func (in *input) frame() (frame, own []byte, err error) {
	have := in.buf[in.start:in.end]
	n, err := wire.ReplySize(have)
	in.wants = n
	if err != nil || n == 0 || len(have) < n {
		return nil, nil, err
	}
	if in.small != nil && n == len(in.buf) {
		own = in.buf
	}
	in.start += n
	in.taken = true
	return have[:n:n], own, nil
}
