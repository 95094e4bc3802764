package fakekv

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/frame"
)

// Node is one server of the cluster.
type Node struct {
	c    *Cluster
	meta bool

	scans  map[int64]*scan // guarded by Cluster.mu
	nextID int64           // guarded by Cluster.mu

	addr string // set once, by the first Start

	mu     sync.Mutex
	ln     net.Listener
	conns  map[net.Conn]struct{}
	paused chan struct{} // closed by Resume; nil = running
	wg     sync.WaitGroup
}

// Addr is the node's address; it stays the same over Stop and Start.
func (n *Node) Addr() string { return n.addr }

// Start listens again after Stop.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ln != nil {
		return nil
	}
	addr := n.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	if n.addr == "" {
		n.addr = ln.Addr().String()
	}
	n.ln, n.conns = ln, map[net.Conn]struct{}{}
	n.wg.Add(1)
	go n.accept(ln)
	return nil
}

// Stop resets all connections and refuses new ones. Scanner contexts are lost.
func (n *Node) Stop() {
	n.c.mu.Lock()
	clear(n.scans)
	n.c.mu.Unlock()
	n.mu.Lock()
	if n.ln != nil {
		n.ln.Close()
		n.ln = nil
	}
	n.dropLocked()
	paused := n.paused
	n.mu.Unlock()
	if paused == nil {
		n.wg.Wait()
	}
}

// DropConnections resets the connections there are.
func (n *Node) DropConnections() {
	n.mu.Lock()
	n.dropLocked()
	n.mu.Unlock()
}

func (n *Node) dropLocked() {
	for nc := range n.conns {
		nc.Close()
	}
	clear(n.conns)
}

// Pause makes the node stand still: it takes connections and bytes, and answers
// nothing until Resume.
func (n *Node) Pause() {
	n.mu.Lock()
	if n.paused == nil {
		n.paused = make(chan struct{})
	}
	n.mu.Unlock()
}

// Resume ends Pause; what was waiting is worked off.
func (n *Node) Resume() {
	n.mu.Lock()
	if n.paused != nil {
		close(n.paused)
		n.paused = nil
	}
	n.mu.Unlock()
}

func (n *Node) wait() {
	for {
		n.mu.Lock()
		p := n.paused
		n.mu.Unlock()
		if p == nil {
			return
		}
		<-p
	}
}

func (n *Node) accept(ln net.Listener) {
	defer n.wg.Done()
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		n.mu.Lock()
		if n.ln != ln {
			n.mu.Unlock()
			nc.Close()
			continue
		}
		n.conns[nc] = struct{}{}
		n.wg.Add(1)
		n.mu.Unlock()
		go n.serve(nc)
	}
}

// conn is one client's connection.
type conn struct {
	n  *Node
	nc net.Conn

	mu  sync.Mutex
	out *bufio.Writer
}

func (n *Node) serve(nc net.Conn) {
	defer n.wg.Done()
	defer func() {
		nc.Close()
		n.mu.Lock()
		delete(n.conns, nc)
		n.mu.Unlock()
	}()
	c := &conn{n: n, nc: nc, out: bufio.NewWriterSize(nc, 64<<10)}
	in := bufio.NewReaderSize(nc, 64<<10)
	if head, err := in.Peek(4); err == nil && string(head) == "GET " {
		c.web(in)
		return
	}
	for {
		b, err := readFrame(in)
		if err != nil {
			return
		}
		n.wait()
		c.take(b)
		if in.Buffered() == 0 {
			n.wait()
			c.flush()
		}
	}
}

func readFrame(in *bufio.Reader) ([]byte, error) {
	for need := frame.Prefix; ; {
		head, err := in.Peek(need)
		if err != nil {
			return nil, err
		}
		var n int
		if n, need, err = frame.RequestSize(head); err != nil {
			return nil, err
		} else if n > 0 {
			b := make([]byte, n)
			_, err := io.ReadFull(in, b)
			return b, err
		}
	}
}

// take handles one request, here or, if it has to wait, beside.
func (c *conn) take(b []byte) {
	h, args, err := frame.ParseRequest(b)
	if err != nil {
		c.nc.Close()
		return
	}
	cl := c.n.c
	cl.mu.Lock()
	cl.count[h.Name]++
	a := cl.ruleLocked(c.n, &h)
	cl.mu.Unlock()
	if a == nil {
		c.reply(&h, c.n.handle(&h, args))
		return
	}
	if a.Delay == 0 && a.Hold == nil {
		c.act(&h, args, a)
		return
	}
	c.n.wg.Add(1)
	go func() {
		defer c.n.wg.Done()
		c.hold(a)
		c.n.wait()
		c.act(&h, args, a)
		c.flush()
	}()
}

// hold waits as the action says, but not beyond the connection.
func (c *conn) hold(a *Action) {
	if a.Hold != nil {
		for done := false; !done; {
			select {
			case <-a.Hold:
				done = true
			case <-time.After(5 * time.Millisecond):
				done = !c.open()
			}
		}
	}
	for end := time.Now().Add(a.Delay); time.Now().Before(end) && c.open(); {
		time.Sleep(min(5*time.Millisecond, time.Until(end)))
	}
}

func (c *conn) open() bool {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	_, ok := c.n.conns[c.nc]
	return ok
}

func (c *conn) act(h *frame.Header, args []byte, a *Action) {
	if a.Answer != nil {
		if body := a.Answer(c.n, args); body != nil {
			c.reply(h, result{err: "ERR_OK", body: body})
		} else {
			c.reply(h, c.n.handle(h, args))
		}
		return
	}
	instead := a.Error != "" || a.Reply != nil || a.Raw != nil || a.Silence || a.Disconnect
	var normal result
	if a.Apply || !instead {
		normal = c.n.handle(h, args)
	}
	switch {
	case !instead:
		c.reply(h, normal)
	case a.Error != "":
		c.reply(h, result{err: a.Error})
	case a.Reply != nil:
		c.reply(h, result{err: "ERR_OK", body: a.Reply})
	case a.Raw != nil:
		c.write(a.Raw)
	case a.Disconnect:
		c.flush()
		c.nc.Close()
	}
}

// result of handling a call; an empty err means that there is no answer.
type result struct {
	err  string
	body frame.Message
}

func (c *conn) reply(h *frame.Header, r result) {
	if r.err != "" {
		c.write(frame.AppendReply(nil, h, r.err, r.body))
	}
}

func (c *conn) write(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.out.Write(b) // a broken connection ends in the reader
}

func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.out.Flush()
}
