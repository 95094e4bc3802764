package client

import (
	"time"

	"github.com/arionkv/arion/idl/code"
)

// Level of a log line.
type Level int8

// Levels by consequence: Debug is for finding bugs, Info is rare, Warn may heal by
// itself.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
)

// Logger receives the few lines a client writes: connections, routing, breakers;
// never one per call. fields alternate names and values. It must not block.
type Logger interface {
	Log(level Level, message string, fields ...any)
}

// A Hook is told what happens inside the client; it implements any of the
// interfaces below. Hooks run on the client's own goroutines and must not block.
type Hook any

// CallHook is told about every finished call: the place for latency metrics and
// tracing.
type CallHook interface{ OnCall(CallEvent) }

// CallEvent describes a finished call.
type CallEvent struct {
	Op        string
	Table     string
	Partition int32  // -1 if it was never placed
	Node      string // the last server tried
	Attempts  int
	Start     time.Time
	Duration  time.Duration
	Index     int64 // raft log index of a write; 0 if the server did not say
	Err       error // nil or *Error; status errors such as ErrNotFound are not included
}

// RetryHook is told when a call is to be sent again.
type RetryHook interface{ OnRetry(RetryEvent) }

// RetryEvent describes a retry.
type RetryEvent struct {
	Op        string
	Table     string
	Partition int32
	Node      string
	Code      code.Code // code.OK if no server refused
	Err       error
	Attempt   int // the one that failed, from 1
	Delay     time.Duration
}

// HedgeHook is told when a read is sent to a second server.
type HedgeHook interface {
	OnHedge(table string, partition int32, node string)
}

// ConnHook is told about connections. A failed dial has err set.
type ConnHook interface {
	OnConnect(node string, took time.Duration, err error)
	OnDisconnect(node string, err error)
}

// BreakerHook is told when a server begins to be avoided and when that ends.
type BreakerHook interface{ OnBreaker(node string, open bool) }

// RouteHook is told about every refresh of a table's routing.
type RouteHook interface {
	OnRoute(table string, took time.Duration, err error)
}

// hooks sorts the hooks by kind once, so that a call pays for those it has.
type hooks struct {
	log     Logger
	call    []CallHook
	retry   []RetryHook
	hedge   []HedgeHook
	conn    []ConnHook
	breaker []BreakerHook
	route   []RouteHook
}

func (h *hooks) add(hook Hook) {
	if x, ok := hook.(CallHook); ok {
		h.call = append(h.call, x)
	}
	if x, ok := hook.(RetryHook); ok {
		h.retry = append(h.retry, x)
	}
	if x, ok := hook.(HedgeHook); ok {
		h.hedge = append(h.hedge, x)
	}
	if x, ok := hook.(ConnHook); ok {
		h.conn = append(h.conn, x)
	}
	if x, ok := hook.(BreakerHook); ok {
		h.breaker = append(h.breaker, x)
	}
	if x, ok := hook.(RouteHook); ok {
		h.route = append(h.route, x)
	}
}

func (h *hooks) logf(l Level, message string, fields ...any) {
	if h.log != nil {
		h.log.Log(l, message, fields...)
	}
}

func (h *hooks) onConnect(node string, took time.Duration, err error) {
	if err != nil {
		h.logf(LevelWarn, "cannot connect", "node", node, "error", err)
	} else {
		h.logf(LevelDebug, "connected", "node", node, "took", took)
	}
	for _, x := range h.conn {
		x.OnConnect(node, took, err)
	}
}

func (h *hooks) onDisconnect(node string, err error) {
	h.logf(LevelInfo, "connection ended", "node", node, "error", err)
	for _, x := range h.conn {
		x.OnDisconnect(node, err)
	}
}

func (h *hooks) onBreaker(node string, open bool) {
	h.logf(LevelWarn, "circuit breaker", "node", node, "open", open)
	for _, x := range h.breaker {
		x.OnBreaker(node, open)
	}
}

func (h *hooks) onRoute(table string, took time.Duration, err error) {
	h.logf(LevelDebug, "routing refreshed", "table", table, "took", took, "error", err)
	for _, x := range h.route {
		x.OnRoute(table, took, err)
	}
}
