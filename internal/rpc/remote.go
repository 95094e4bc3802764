package rpc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/frame"
	"github.com/sirupsen/logrus"
)

// remote is one server of a Pool: its connection, or why there is none.
type remote struct {
	pool *Pool
	addr string

	mu       sync.Mutex
	closed   bool
	link     *link         // nil while not connected
	dialing  chan struct{} // closed when the dial under way ends; nil if none is
	dialErr  error         // of the last dial
	failures int           // dials in a row
	redialAt time.Time
}

// connect returns the live connection, or waits for a dial that all callers of
// the moment share. While dials are paused after a failure it fails at once.
func (r *remote) connect(ctx context.Context) (*link, error) {
	for {
		l, dialing, err := r.current()
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-dialing:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
		}
	}
}

// send puts a call on a connection. If that one broke a moment ago nothing was
// sent, and a second one is tried.
func (r *remote) send(ctx context.Context, name string, arg frame.Message) (*link, *call, error) {
	for attempt := 0; ; attempt++ {
		l, err := r.connect(ctx)
		if err != nil {
			return nil, nil, err
		}
		c, err := l.send(ctx, name, arg)
		if attempt == 0 && errors.Is(err, errStale) {
			continue
		}
		return l, c, err
	}
}

// current gives the connection, or a dial to wait for, or the reason for neither.
func (r *remote) current() (*link, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, nil, ErrPoolClosed
	case r.link != nil:
		return r.link, nil, nil
	case r.dialing != nil:
		return nil, r.dialing, nil
	case time.Now().Before(r.redialAt):
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreachable, r.dialErr)
	}
	r.dialing = make(chan struct{})
	if !r.pool.spawn(r.dial) {
		close(r.dialing)
		r.dialing = nil
		return nil, nil, ErrPoolClosed
	}
	return nil, r.dialing, nil
}

// dial runs under the pool's context: the caller that started it may go away,
// and the others still want it.
func (r *remote) dial() {
	ctx, cancel := context.WithTimeout(r.pool.ctx, r.pool.opts.DialTimeout)
	defer cancel()
	nc, err := r.pool.opts.Dial(ctx, r.addr)

	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.dialing)
	r.dialing = nil
	if err != nil {
		r.failedLocked(err)
		return
	}
	l := newLink(r, nc)
	if r.closed || !r.pool.spawn(l.readLoop) {
		_ = nc.Close()
		return
	}
	r.link, r.failures, r.dialErr = l, 0, nil
	r.pool.metrics.connections.Inc()
}

func (r *remote) failedLocked(err error) {
	pause := min(firstRedial<<min(r.failures, 10), lastRedial)
	// Half of the pause is random: the nodes of a cluster lose a peer together.
	pause = pause/2 + rand.N(pause/2)
	r.failures++
	r.dialErr = err
	r.redialAt = time.Now().Add(pause)
	log := r.pool.opts.Log.WithError(err).WithField("peer", r.addr)
	r.pool.throttle.Log(log, logrus.WarnLevel, "dial "+r.addr, "cannot connect to a server")
}

// lost forgets a connection that broke. The next call dials at once.
func (r *remote) lost(l *link) {
	r.pool.metrics.connections.Dec()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == l {
		r.link = nil
	}
}

func (r *remote) close() {
	r.mu.Lock()
	r.closed = true
	l := r.link
	r.mu.Unlock()
	if l != nil {
		l.fail(ErrPoolClosed)
	}
}
