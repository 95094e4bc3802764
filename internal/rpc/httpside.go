package rpc

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	httpHeaderTimeout = 10 * time.Second
	httpIdleTimeout   = 2 * time.Minute
	// httpWriteTimeout leaves room for a CPU profile of some minutes.
	httpWriteTimeout = 5 * time.Minute
	httpMaxHeader    = 64 << 10
)

// handedOver is a net.Listener that accepts what framed connections turned out
// to be HTTP.
type handedOver struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandedOver() *handedOver {
	return &handedOver{conns: make(chan net.Conn), done: make(chan struct{})}
}

// put gives a connection to Accept, or refuses it when the HTTP side is closed.
func (h *handedOver) put(nc net.Conn) bool {
	select {
	case h.conns <- nc:
		return true
	case <-h.done:
		return false
	}
}

func (h *handedOver) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handedOver) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *handedOver) Addr() net.Addr { return &net.TCPAddr{} }

func (s *Server) startHTTP() {
	s.webConns = newHandedOver()
	s.web = &http.Server{
		Handler:           s.opts.HTTP,
		ReadHeaderTimeout: httpHeaderTimeout,
		IdleTimeout:       httpIdleTimeout,
		WriteTimeout:      httpWriteTimeout,
		MaxHeaderBytes:    httpMaxHeader,
		// net/http reports every half-closed connection; nobody wants to know.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

// handOver passes a connection to the HTTP side. It reports whether the socket
// is now somebody else's.
func (s *Server) handOver(c *conn) bool {
	if s.web == nil {
		c.abort(closeHTTP)
		return false
	}
	c.setReadDeadline(0)
	p := &peeked{Conn: c.nc, head: c.in.unread(), done: s.freeSlot}
	if s.webConns.put(p) {
		return true
	}
	c.abort(closeShutdown)
	return false
}

// serveHTTP runs the HTTP side; Serve starts it once.
func (s *Server) serveHTTP() {
	defer s.wg.Done()
	if err := s.web.Serve(s.webConns); !errors.Is(err, http.ErrServerClosed) {
		s.opts.Log.WithError(err).Error("HTTP side ended")
	}
	_ = s.webConns.Close() // for connections on their way to it
}

func (s *Server) stopHTTP(ctx context.Context) error {
	if s.web == nil {
		return nil
	}
	if err := s.web.Shutdown(ctx); err != nil {
		_ = s.web.Close()
		return err
	}
	return nil
}

// peeked is a connection with its first bytes put back.
type peeked struct {
	net.Conn
	head []byte
	once sync.Once
	done func()
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.head) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.head)
	p.head = p.head[n:]
	return n, nil
}

func (p *peeked) Close() error {
	err := p.Conn.Close()
	p.once.Do(p.done)
	return err
}
