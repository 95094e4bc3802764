package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/obs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

// Errors of calls that got no answer. Frame errors are *code.Error.
var (
	// ErrUnreachable: there is no connection, and the call was not sent.
	ErrUnreachable = errors.New("server unreachable")
	// ErrConnectionLost: the call was sent, and whether it was served is unknown.
	ErrConnectionLost = errors.New("connection lost")
	// ErrPoolClosed: the pool is closed.
	ErrPoolClosed = errors.New("connection pool closed")
)

const (
	// DefaultDialTimeout is long for a data centre; an overloaded peer that needs
	// more is better asked again later.
	DefaultDialTimeout = 2 * time.Second
	// DefaultCallTimeout bounds calls whose context has no deadline.
	DefaultCallTimeout = 10 * time.Second
	// DefaultMaxCalls bounds unanswered calls to one server; more than a few
	// hundred between servers means it does not answer.
	DefaultMaxCalls = 1024

	// A failed dial is not repeated before a pause that doubles between these
	// bounds: a node that comes back is wanted within a second.
	firstRedial = 50 * time.Millisecond
	lastRedial  = time.Second

	// maxUnsent bounds the bytes of calls that wait for a connection to take
	// them: one frame of the largest size.
	maxUnsent = frame.MaxBody

	// maxSilentTimeouts calls in a row that time out while nothing at all arrives
	// mean that the peer is cut off; TCP would notice after minutes.
	maxSilentTimeouts = 3
)

// PoolOptions of a Pool. Zero values mean the defaults above.
type PoolOptions struct {
	Log         *logrus.Entry
	Registerer  prometheus.Registerer
	DialTimeout time.Duration
	CallTimeout time.Duration
	MaxCalls    int // per server

	// Dial replaces the TCP dialer, for tests and TLS.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

func (o PoolOptions) withDefaults() PoolOptions {
	if o.Log == nil {
		o.Log = obs.Discard()
	}
	orDefault(&o.DialTimeout, DefaultDialTimeout)
	orDefault(&o.CallTimeout, DefaultCallTimeout)
	orDefault(&o.MaxCalls, DefaultMaxCalls)
	if o.Dial == nil {
		// Keep-alives find a peer that vanished while nothing is being asked.
		d := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}}
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	return o
}

// Pool calls other servers over one multiplexed connection per address. Safe for
// concurrent use. Its memory grows with the number of addresses ever called,
// which is the number of nodes.
type Pool struct {
	opts     PoolOptions
	metrics  *poolMetrics
	throttle *obs.Throttle
	ctx      context.Context // ends with Close; dials run under it
	cancel   context.CancelFunc
	wg       sync.WaitGroup // dials, readers and writers

	mu     sync.Mutex
	closed bool
	remote map[string]*remote
}

// NewPool makes a pool. Close it.
func NewPool(o PoolOptions) *Pool {
	o = o.withDefaults()
	p := &Pool{
		opts:     o,
		metrics:  newPoolMetrics(o.Registerer),
		throttle: obs.NewThrottle(10 * time.Second),
		remote:   map[string]*remote{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Call sends arg to the RPC of a server and reads its answer into result, which
// must be new; blobs in it have memory of their own. Errors: *code.Error for a
// frame error and for ERR_BUSY when too many calls wait, ErrUnreachable at once
// while a server cannot be reached, ErrConnectionLost, ErrPoolClosed, a decode
// error, or ctx's error, after which the outcome is unknown.
func (p *Pool) Call(ctx context.Context, addr, name string, arg, result frame.Message) error {
	ctx, cancel := p.bounded(ctx)
	defer cancel()
	start := time.Now()
	err := p.call(ctx, addr, name, arg, result)
	p.metrics.observe(name, err, time.Since(start))
	if err == nil {
		return nil
	}
	if _, isCode := err.(*code.Error); isCode {
		return err
	}
	return fmt.Errorf("call %s at %s: %w", name, addr, err)
}

func (p *Pool) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, p.opts.CallTimeout)
}

func (p *Pool) call(ctx context.Context, addr, name string, arg, result frame.Message) error {
	r, err := p.remoteOf(addr)
	if err != nil {
		return err
	}
	l, c, err := r.send(ctx, name, arg)
	if err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if l.giveUp(c) {
			return ctx.Err()
		}
		<-c.done // answered at the same moment
	}
	if c.err != nil {
		return c.err
	}
	if err := frame.Decode(c.body, result); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	return nil
}

// Close ends all calls with ErrPoolClosed, closes the connections and waits for
// their goroutines.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	all := p.remote
	p.remote = nil
	p.mu.Unlock()
	p.cancel()
	for _, r := range all {
		r.close()
	}
	p.wg.Wait()
}

func (p *Pool) remoteOf(addr string) (*remote, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrPoolClosed
	}
	r := p.remote[addr]
	if r == nil {
		r = &remote{pool: p, addr: addr}
		p.remote[addr] = r
	}
	return r, nil
}

// spawn runs f unless the pool is closed: Close waits for what runs.
func (p *Pool) spawn(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		f()
	}()
	return true
}
