package conn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/client/internal/wheel"
)

// Node is one server, by address: its connections and a circuit breaker.
//
// The breaker is closed while things go well. Enough failures in a row open it:
// requests then fail at once for a while, which doubles with each round. After
// that one connection is tried in the background, and only its first reply
// closes the breaker again.
type Node struct {
	pool  *Pool
	addr  string
	lanes []atomic.Pointer[Conn]

	mu        sync.Mutex
	failures  int
	rounds    int // times the breaker opened since it last closed
	openUntil wheel.Time
	probe     *Conn
}

func newNode(p *Pool, addr string) *Node {
	return &Node{pool: p, addr: addr, lanes: make([]atomic.Pointer[Conn], p.opts.Lanes)}
}

// Addr is the server's address, "host:port".
func (n *Node) Addr() string { return n.addr }

// Conn gives a connection for requests of the same hint; it may still be
// dialling. An error means that the server is being avoided or the pool closed.
func (n *Node) Conn(hint uint64) (*Conn, error) {
	lane := int(hint % uint64(len(n.lanes)))
	if c := n.lanes[lane].Load(); c != nil && !c.dead.Load() {
		return c, nil
	}
	return n.connect(lane)
}

func (n *Node) connect(lane int) (*Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.lanes[lane].Load(); c != nil && !c.dead.Load() {
		return c, nil
	}
	if n.failures >= n.pool.opts.BreakerFailures {
		n.probeLocked()
		return nil, ErrOpen
	}
	c := newConn(n, lane)
	if !n.pool.launch(c) {
		return nil, ErrClosed
	}
	n.lanes[lane].Store(c)
	return c, nil
}

// probeLocked tries one connection when the breaker has been open long enough.
func (n *Node) probeLocked() {
	if n.probe != nil || n.pool.wheel.Now() < n.openUntil {
		return
	}
	c := newConn(n, 0)
	now := n.pool.wheel.Now()
	c.mu.Lock()
	c.pingLocked(now)
	c.mu.Unlock()
	if n.pool.launch(c) {
		n.probe = c
	}
}

// proven notes a reply on a fresh connection: the server is well.
func (n *Node) proven(c *Conn) {
	n.mu.Lock()
	wasOpen := n.failures >= n.pool.opts.BreakerFailures
	n.failures, n.rounds = 0, 0
	if n.probe == c {
		n.probe = nil
		if old := n.lanes[c.lane].Load(); old == nil || old.dead.Load() {
			n.lanes[c.lane].Store(c)
		}
	}
	n.mu.Unlock()
	if wasOpen {
		n.pool.opts.onBreaker(n.addr, false)
	}
}

// ended notes the end of a connection; weight 0 is not held against the server.
func (n *Node) ended(c *Conn, weight int) {
	n.mu.Lock()
	n.lanes[c.lane].CompareAndSwap(c, nil)
	probed := n.probe == c
	if probed {
		n.probe = nil
	}
	threshold := n.pool.opts.BreakerFailures
	wasOpen := n.failures >= threshold
	n.failures = min(n.failures+weight, threshold)
	opens := n.failures >= threshold && (!wasOpen || probed)
	if opens {
		pause := n.pool.opts.BreakerPause << min(n.rounds, 10)
		n.openUntil = n.pool.wheel.Now() + wheel.Time(min(pause, n.pool.opts.BreakerPauseMax))
		n.rounds++
	}
	n.mu.Unlock()
	n.pool.drop(c)
	if opens && !wasOpen {
		n.pool.opts.onBreaker(n.addr, true)
	}
}

// waitConn is Conn for callers that can wait: it sits out an open breaker.
func (n *Node) waitConn(ctx context.Context) (*Conn, error) {
	for {
		c, err := n.Conn(0)
		if err != ErrOpen {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
