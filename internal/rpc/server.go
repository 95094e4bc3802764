package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/arionkv/arion/internal/obs"
	"github.com/sirupsen/logrus"
)

// Server serves framed calls and HTTP on its listeners.
type Server struct {
	opts     Options
	metrics  *metrics
	budget   budget
	born     time.Time
	throttle *obs.Throttle

	beginOnce sync.Once
	routes    map[string]*route
	unknown   *route

	web      *http.Server // nil without HTTP side
	webConns *handedOver

	wg sync.WaitGroup // connections and the HTTP side

	mu        sync.Mutex
	closing   bool
	open      int // connections of either kind
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{} // framed, or not yet known
}

// NewServer makes a server. It does nothing until Serve.
func NewServer(o Options) *Server {
	o = o.withDefaults()
	s := &Server{
		opts:      o,
		budget:    budget{limit: o.MaxInFlightBytes},
		born:      time.Now(),
		throttle:  obs.NewThrottle(10 * time.Second),
		listeners: map[net.Listener]struct{}{},
		conns:     map[*conn]struct{}{},
	}
	s.metrics = newMetrics(s, o.Registerer)
	if o.HTTP != nil {
		s.startHTTP()
	}
	return s
}

// Serve accepts connections until Close, when it returns nil, or until the
// listener fails for good. It owns l. Several listeners may be served at once.
func (s *Server) Serve(l net.Listener) error {
	s.beginOnce.Do(s.begin)
	if !s.addListener(l) {
		return nil
	}
	defer s.dropListener(l)
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.start(nc)
		case s.isClosing():
			return nil
		case !passing(err):
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.throttle.Log(s.opts.Log.WithError(err), logrus.WarnLevel, "accept", "cannot accept connections")
			time.Sleep(pause)
		}
	}
}

// passing reports whether Accept may work again later: descriptors come back.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Close stops the server: 1. accept no more, 2. read no more requests, 3. let
// those in flight end and their replies go out, until ctx ends, 4. close what is
// left. It returns ctx's error if step 4 cut anything off, and may be called
// more than once. Handlers that never return are not waited for.
func (s *Server) Close(ctx context.Context) error {
	for _, c := range s.beginClose() {
		c.stop()
	}
	webErr := s.stopHTTP(ctx)
	if s.waitConns(ctx.Done()) {
		return webErr
	}
	for _, c := range s.snapshot() {
		c.abort(closeShutdown)
	}
	const grace = time.Second // for goroutines to notice their closed socket
	last, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	s.waitConns(last.Done())
	return ctx.Err()
}

func (s *Server) beginClose() []*conn {
	s.mu.Lock()
	s.closing = true
	for l := range s.listeners {
		_ = l.Close() // Serve ends either way
	}
	s.mu.Unlock()
	return s.snapshot()
}

func (s *Server) snapshot() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// waitConns reports whether all connections ended before stop.
func (s *Server) waitConns(stop <-chan struct{}) bool {
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-stop:
		return false
	}
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		_ = l.Close()
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) dropListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	_ = l.Close()
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// start serves a connection, or closes it if there are too many.
func (s *Server) start(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	if s.closing || s.open >= s.opts.MaxConns {
		s.mu.Unlock()
		c.abort(closeTooMany)
		return
	}
	s.open++
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	s.metrics.conns.Inc()
	go func() {
		defer s.wg.Done()
		handedOver := c.serve()
		s.forget(c)
		if !handedOver {
			s.freeSlot()
		}
	}()
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// freeSlot makes room for another connection once a socket is closed.
func (s *Server) freeSlot() {
	s.metrics.conns.Dec()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// begin runs once, at the first Serve: by then the Mux is complete.
func (s *Server) begin() {
	s.resolveRoutes()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.web != nil && !s.closing {
		s.wg.Add(1)
		go s.serveHTTP()
	}
}

func (s *Server) resolveRoutes() {
	s.routes = map[string]*route{}
	for name, h := range s.opts.Mux.handlers {
		s.routes[name] = s.metrics.route(name, h)
	}
	for name, h := range s.opts.Mux.batched {
		s.routes[name] = s.metrics.route(name, nil)
		s.routes[name].batch = h
	}
	s.unknown = s.metrics.route(unknownName, nil)
}

func (s *Server) routeOf(name string) *route {
	if r, ok := s.routes[name]; ok {
		return r
	}
	return s.unknown
}

// now is the server's clock in nanoseconds. It never jumps, and reading it is
// cheaper than time.Now.
func (s *Server) now() int64 { return int64(time.Since(s.born)) }

func (s *Server) inFlight() int {
	total := 0
	for _, c := range s.snapshot() {
		c.mu.Lock()
		total += c.inFlight
		c.mu.Unlock()
	}
	return total
}

// panicked records a panic that was caught: a request must not end a process
// that serves others.
func (s *Server) panicked(where string, failure any) {
	s.metrics.panics.Inc()
	stack := debug.Stack()
	if c, ok := failure.(caught); ok {
		failure, stack = c.value, c.stack
	}
	log := s.opts.Log.WithFields(logrus.Fields{"rpc": where, "panic": fmt.Sprint(failure), "stack": string(stack)})
	s.throttle.Log(log, logrus.ErrorLevel, "panic "+where, "panic while serving a request")
}
