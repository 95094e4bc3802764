package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/client/internal/conn"
	"github.com/arionkv/arion/client/internal/limit"
	"github.com/arionkv/arion/client/internal/route"
	"github.com/arionkv/arion/client/internal/wheel"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
)

const (
	// routeGap is the least time between two routing queries for one table.
	routeGap = 10 * time.Millisecond

	idlePing    = 15 * time.Second
	idleTimeout = 5 * time.Minute
)

// Client talks to one cluster. It is safe for concurrent use; a program needs
// one per cluster.
type Client struct {
	cfg   config
	wheel *wheel.Wheel
	limit *limit.Limiter
	exec  *executor
	pool  *conn.Pool
	metas *route.Metas

	ctx    context.Context // of routing queries
	cancel context.CancelFunc
	wg     sync.WaitGroup
	closed atomic.Bool

	mu     sync.Mutex
	tables map[string]*Table
}

// Open connects to the cluster whose meta servers listen at metas ("host:port").
// It returns as soon as one of them has answered anything, and fails if none
// does before ctx ends or, without a deadline, within the meta time-out.
func Open(ctx context.Context, metas []string, opts ...Option) (*Client, error) {
	cfg := defaults()
	for _, o := range opts {
		o(&cfg)
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := checkAddresses(metas); err != nil {
		return nil, err
	}
	c := newClient(cfg, metas)
	if err := c.reach(ctx, metas); err != nil {
		c.Close()
		return nil, fmt.Errorf("open client: %w", err)
	}
	return c, nil
}

func checkAddresses(metas []string) error {
	if len(metas) == 0 {
		return fmt.Errorf("open client: %w: no meta servers given", ErrInvalidArgument)
	}
	for _, a := range metas {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("open client: %w: meta server %q: %w", ErrInvalidArgument, a, err)
		}
	}
	return nil
}

func newClient(cfg config, metas []string) *Client {
	c := &Client{cfg: cfg, wheel: wheel.New(), limit: limit.New(int64(cfg.maxCalls), cfg.maxBytes),
		exec: newExecutor(cfg.workers), tables: map[string]*Table{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	h := &c.cfg.hooks
	c.pool = conn.NewPool(conn.Options{
		Lanes: cfg.connections, DialTimeout: cfg.timeouts.Dial, TLS: cfg.tls, Dial: cfg.dial,
		PingAfter: cfg.pingAfter, PingTimeout: cfg.pingTimeout, IdlePing: idlePing, IdleTimeout: idleTimeout,
		BreakerFailures: cfg.breakerFailures, BreakerPause: cfg.breakerMin, BreakerPauseMax: cfg.breakerMax,
		OnConnect: h.onConnect, OnDisconnect: h.onDisconnect, OnBreaker: h.onBreaker,
	}, c.wheel)
	c.metas = route.NewMetas(c.pool, metas)
	return c
}

// reach waits for the first meta server to answer.
func (c *Client) reach(ctx context.Context, metas []string) error {
	ctx, cancel := c.metaContext(ctx)
	defer cancel()
	errs := make(chan error, len(metas))
	for _, addr := range metas {
		c.wg.Add(1)
		go func() {
			defer c.wg.Done()
			_, err := c.pool.Connect(ctx, addr)
			if err != nil {
				err = fmt.Errorf("meta %s: %w", addr, err)
			}
			errs <- err
		}()
	}
	var all []error
	for range metas {
		err := <-errs
		if err == nil {
			return nil
		}
		all = append(all, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(all...))
}

// metaContext bounds ctx by the meta time-out if it has no deadline.
func (c *Client) metaContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.cfg.timeouts.Meta)
}

// Close fails every call that is still waiting with ErrClosed and ends all
// connections. It may be called more than once. Callbacks of the calls it fails
// may still run when it returns.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	// 1. Every outstanding call holds an armed timer; waking them fails them all,
	//    wherever they stand. Calls that begin later fail by themselves.
	c.wheel.Close()
	// 2. Nobody waits for routing or connections any more.
	c.cancel()
	c.pool.Close()
	c.wg.Wait()
	// 3. The callbacks of what failed above are queued by now.
	c.exec.close()
	return nil
}

// Table names a table. It does no I/O: whether the table exists is learned by
// the first call.
func (c *Client) Table(name string) *Table {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.tables[name]; t != nil {
		return t
	}
	t := &Table{c: c, name: name, route: route.NewTable(name, route.Options{
		Metas: c.metas, Pool: c.pool, Timeout: c.cfg.timeouts.Meta, Gap: routeGap,
		Context: c.ctx, WaitGroup: &c.wg, OnRefresh: c.cfg.hooks.onRoute,
	})}
	c.tables[name] = t
	return t
}

// InFlight gives the number of calls waiting for an answer and the bytes of
// their requests.
func (c *Client) InFlight() (calls, bytes int64) { return c.limit.InFlight() }

// Message is a structure of idl/rrdb or idl/admin.
type Message = wire.Message

// MetaCall runs a call of the meta service; outcome reads the reply after it was
// filled in. A call that is not repeatable is given up when its outcome is
// unknown. It is the base of client/admin and of tools; most programs want the
// typed calls there.
func (c *Client) MetaCall(ctx context.Context, rpc string, arg, reply Message, repeatable bool, outcome func() error) error {
	ctx, cancel := c.metaContext(ctx)
	defer cancel()
	if c.closed.Load() {
		return ErrClosed
	}
	return c.metas.Call(ctx, rpc, arg, reply, repeatable, outcome)
}

// QueryRouting asks a meta server for the routing of a table, as it is now.
func (c *Client) QueryRouting(ctx context.Context, table string) (*admin.QueryCfgResponse, error) {
	ctx, cancel := c.metaContext(ctx)
	defer cancel()
	if c.closed.Load() {
		return nil, ErrClosed
	}
	return c.metas.Query(ctx, table)
}

// NodeCall runs one call on the server at addr ("host:port"), once.
func (c *Client) NodeCall(ctx context.Context, addr, rpc string, arg, reply Message) error {
	ctx, cancel := c.metaContext(ctx)
	defer cancel()
	if c.closed.Load() {
		return ErrClosed
	}
	r, err := c.pool.Call(ctx, addr, wire.AppendRequest(nil, rpc, arg))
	if err != nil {
		return fmt.Errorf("%s on %s: %w", rpc, addr, err)
	}
	if !r.OK() {
		return fmt.Errorf("%s on %s: %w", rpc, addr, codeError(r.Code))
	}
	if s, ok := reply.(*base.String); ok {
		return wire.DecodeText(r.Body, &s.V)
	}
	return wire.Decode(r.Body, reply)
}
