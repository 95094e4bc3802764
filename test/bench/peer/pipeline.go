package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

const socketBuffer = 64 << 10

// protocol is how one connection talks.
type protocol interface {
	// request appends the n-th request.
	request(dst []byte, n int) []byte
	// reply takes one reply off; ok is false for one that says failure.
	reply(in *bufio.Reader) (ok bool, err error)
}

// pipeline keeps window requests outstanding on a connection until the time is
// up. One goroutine does it all: it takes every reply that is there, then writes
// as many requests at once. next gives the number of the next record, false when
// there is none left.
func pipeline(addr string, window int, p protocol, next func() (int, bool), t *tally, until time.Time) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	in, out := bufio.NewReaderSize(nc, socketBuffer), make([]byte, 0, socketBuffer)
	began := make([]time.Time, window) // ring: replies come in the order of requests
	sent, received, more := 0, 0, true
	for {
		now := time.Now()
		for more = more && now.Before(until); more && sent-received < window; sent++ {
			n, ok := next()
			if more = ok; !ok {
				break
			}
			out = p.request(out, n)
			began[sent%window] = now
		}
		if len(out) > 0 {
			if _, err := nc.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
		if sent == received {
			return nil
		}
		for first := true; received < sent && (first || in.Buffered() > 0); first = false {
			ok, err := p.reply(in)
			if err != nil {
				return fmt.Errorf("reply %d of %s: %w", received, addr, err)
			}
			if ok {
				t.add(time.Since(began[received%window]))
			} else {
				t.failed++
			}
			received++
		}
	}
}

// runPipelines splits the window among the connections.
func runPipelines(o options, p func() protocol) (*result, error) {
	length := o.duration
	if o.workload == "load" {
		length = time.Hour
	}
	return together(o.connections, length, func(i int, t *tally, until time.Time) error {
		window := o.inFlight / o.connections
		if i < o.inFlight%o.connections {
			window++
		}
		return pipeline(o.addrs[i%len(o.addrs)], window, p(), o.numbers(i), t, until)
	})
}

// numbers chooses records: at random, or for load each once.
func (o *options) numbers(worker int) func() (int, bool) {
	rng := rand.New(rand.NewPCG(1, uint64(worker)))
	if o.workload != "load" {
		return func() (int, bool) { return rng.IntN(o.records), true }
	}
	n := worker - o.connections
	return func() (int, bool) { n += o.connections; return n, n < o.records }
}

// key names record n.
func key(dst []byte, n int) []byte { return fmt.Appendf(dst, "user-%010d", n) }

// payload is random, so that compression flatters nobody.
func payload(size int) []byte {
	b := make([]byte, size)
	rng := rand.New(rand.NewPCG(2, 3))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
