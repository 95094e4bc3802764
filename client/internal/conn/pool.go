package conn

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/arionkv/arion/client/internal/wheel"
	"github.com/arionkv/arion/client/internal/wire"
)

// Options of a Pool; every field must be set except the hooks, TLS and Dial.
type Options struct {
	Lanes       int           // connections per server
	DialTimeout time.Duration // includes the TLS handshake
	TLS         *tls.Config   // nil = plain TCP
	Dial        func(ctx context.Context, network, addr string) (net.Conn, error)

	PingAfter   time.Duration // silence under load before asking
	PingTimeout time.Duration // silence after asking before giving up
	IdlePing    time.Duration // silence of an unused connection before asking
	IdleTimeout time.Duration // an unused connection is closed

	BreakerFailures int
	BreakerPause    time.Duration
	BreakerPauseMax time.Duration

	OnConnect    func(addr string, took time.Duration, err error)
	OnDisconnect func(addr string, err error)
	OnBreaker    func(addr string, open bool)
}

func (o *Options) onConnect(addr string, took time.Duration, err error) {
	if o.OnConnect != nil {
		o.OnConnect(addr, took, err)
	}
}

func (o *Options) onDisconnect(addr string, err error) {
	if o.OnDisconnect != nil {
		o.OnDisconnect(addr, err)
	}
}

func (o *Options) onBreaker(addr string, open bool) {
	if o.OnBreaker != nil {
		o.OnBreaker(addr, open)
	}
}

// Pool is all servers a client talks to.
type Pool struct {
	opts  Options
	wheel *wheel.Wheel
	ping  []byte
	nodes sync.Map // address -> *Node

	ctx    context.Context // of dialling
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[*Conn]struct{}
}

// NewPool makes an empty pool.
func NewPool(o Options, w *wheel.Wheel) *Pool {
	p := &Pool{opts: o, wheel: w, ping: wire.AppendPing(nil), conns: map[*Conn]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Node gives the server at addr.
func (p *Pool) Node(addr string) *Node {
	if n, ok := p.nodes.Load(addr); ok {
		return n.(*Node)
	}
	n, _ := p.nodes.LoadOrStore(addr, newNode(p, addr))
	return n.(*Node)
}

// Call sends frame to addr and waits for the reply.
func (p *Pool) Call(ctx context.Context, addr string, frame []byte) (wire.Reply, error) {
	c, err := p.Node(addr).waitConn(ctx)
	if err != nil {
		return wire.Reply{}, err
	}
	return c.Call(ctx, frame)
}

// launch starts c unless the pool is closed.
func (p *Pool) launch(c *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[c] = struct{}{}
	p.wg.Add(1)
	go c.run()
	return true
}

func (p *Pool) drop(c *Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// Close ends every connection and waits for their goroutines. Waiting requests
// are told ErrClosed.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	conns := make([]*Conn, 0, len(p.conns))
	for c := range p.conns {
		conns = append(conns, c)
	}
	p.mu.Unlock()
	p.cancel()
	for _, c := range conns {
		c.fail(ErrClosed, 0)
	}
	p.wg.Wait()
}

func (p *Pool) dial(addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.opts.DialTimeout)
	defer cancel()
	dial := p.opts.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	nc, err := dial(ctx, "tcp", addr)
	if err != nil || p.opts.TLS == nil {
		return nc, err
	}
	return handshake(ctx, nc, addr, p.opts.TLS)
}

func handshake(ctx context.Context, nc net.Conn, addr string, cfg *tls.Config) (net.Conn, error) {
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// Connect waits until addr has answered something on a connection, and gives
// that connection: a request on it surely has not been sent before.
func (p *Pool) Connect(ctx context.Context, addr string) (*Conn, error) {
	c, err := p.Node(addr).waitConn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.Call(ctx, append([]byte(nil), p.ping...)); err != nil {
		return nil, err
	}
	return c, nil
}
