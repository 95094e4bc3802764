package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Option changes a default of Open.
type Option func(*config)

// Timeouts bound calls that come without a deadline in their context. A deadline
// in the context takes their place. Zero fields keep the default.
type Timeouts struct {
	Read  time.Duration // get, multi-get, counts; default 5 s
	Write time.Duration // default 5 s
	Scan  time.Duration // one page of a scanner; default 10 s
	Meta  time.Duration // routing and administration; default 5 s
	Dial  time.Duration // one connection attempt; default 1.5 s
}

// Backoff is a pause that doubles from Min to Max, less up to a quarter at
// random.
type Backoff struct{ Min, Max time.Duration }

// RetryPolicy says how calls are repeated inside the client, within their
// deadline. Whatever it says, a call that is not idempotent is not repeated when
// an earlier try may have taken effect. Zero fields keep the default.
type RetryPolicy struct {
	// MaxAttempts bounds the tries of one call; 0 = only the deadline does,
	// 1 = never repeat.
	MaxAttempts int
	Busy        Backoff // the server throttles or is not ready; default 10 ms to 500 ms
	Route       Backoff // the server does not lead the partition; default 10 ms to 200 ms
	Connect     Backoff // no connection, or lost; default 10 ms to 200 ms
	// NoRepeatAfterUnknown also keeps idempotent writes (set, delete) from being
	// repeated after an unknown outcome. A repeated set may overwrite what another
	// client wrote between the two tries.
	NoRepeatAfterUnknown bool
}

// Overload says what an asynchronous call does when the client is full.
type Overload int

const (
	// Block makes the call wait for room, within its context and time-out.
	Block Overload = iota
	// FailFast makes it fail at once with ErrOverloaded.
	FailFast
)

type config struct {
	timeouts Timeouts
	retry    RetryPolicy

	connections int
	maxCalls    int
	maxBytes    int64
	overload    Overload
	workers     int
	hedgeAfter  time.Duration

	pingAfter, pingTimeout time.Duration
	breakerFailures        int
	breakerMin, breakerMax time.Duration

	tls   *tls.Config
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	hooks hooks
}

func defaults() config {
	return config{
		timeouts: Timeouts{Read: 5 * time.Second, Write: 5 * time.Second, Scan: 10 * time.Second,
			Meta: 5 * time.Second, Dial: 1500 * time.Millisecond},
		retry: RetryPolicy{
			Busy:    Backoff{10 * time.Millisecond, 500 * time.Millisecond},
			Route:   Backoff{10 * time.Millisecond, 200 * time.Millisecond},
			Connect: Backoff{10 * time.Millisecond, 200 * time.Millisecond},
		},
		connections: 1,
		maxCalls:    16384,
		maxBytes:    64 << 20,
		workers:     4,
		// Together well under 2 s, with the checks every 100 ms in between.
		pingAfter:       500 * time.Millisecond,
		pingTimeout:     900 * time.Millisecond,
		breakerFailures: 3,
		breakerMin:      100 * time.Millisecond,
		breakerMax:      time.Second,
	}
}

func set[T comparable](to *T, v T) {
	var zero T
	if v != zero {
		*to = v
	}
}

// WithTimeouts changes the time-outs.
func WithTimeouts(t Timeouts) Option {
	return func(c *config) {
		set(&c.timeouts.Read, t.Read)
		set(&c.timeouts.Write, t.Write)
		set(&c.timeouts.Scan, t.Scan)
		set(&c.timeouts.Meta, t.Meta)
		set(&c.timeouts.Dial, t.Dial)
	}
}

// WithRetry changes the retry policy.
func WithRetry(p RetryPolicy) Option {
	return func(c *config) {
		set(&c.retry.Busy, p.Busy)
		set(&c.retry.Route, p.Route)
		set(&c.retry.Connect, p.Connect)
		c.retry.MaxAttempts = p.MaxAttempts
		c.retry.NoRepeatAfterUnknown = p.NoRepeatAfterUnknown
	}
}

// WithConnectionsPerServer sets the number of connections to each server. The
// default, 1, is the fastest on most machines: more callers share a system call.
func WithConnectionsPerServer(n int) Option { return func(c *config) { c.connections = n } }

// WithMaxInFlight bounds the calls that wait for an answer and the bytes of
// their requests, and says what happens to one more. The defaults are 16384
// calls, 64 MiB and Block.
func WithMaxInFlight(calls int, bytes int64, o Overload) Option {
	return func(c *config) { c.maxCalls, c.maxBytes, c.overload = calls, bytes, o }
}

// WithCallbackWorkers sets how many goroutines run callbacks of Deferreds; they
// start when needed. The default is 4. With 0 callbacks run on the goroutine
// that reads from the server: the fastest way, for callbacks that never block.
func WithCallbackWorkers(n int) Option { return func(c *config) { c.workers = n } }

// WithHedgedReads sends a read that has no answer after delay to a follower as
// well, and takes the answer that comes first. A follower's answer may be stale:
// this gives up linearizable reads for a better tail. A good delay is the 99th
// percentile of the latency.
func WithHedgedReads(delay time.Duration) Option { return func(c *config) { c.hedgeAfter = delay } }

// WithKeepalive sets how a vanished server is noticed: after `after` without any
// byte from it while calls wait, it is asked; after `timeout` more without any
// byte the connection is given up. The defaults, 500 ms and 900 ms, notice within
// 2 s.
func WithKeepalive(after, timeout time.Duration) Option {
	return func(c *config) { c.pingAfter, c.pingTimeout = after, timeout }
}

// WithBreaker sets the circuit breaker of each server: after so many failures in
// a row (default 3) calls to it fail at once for a pause that doubles from min
// (100 ms) to max (1 s) until a probe succeeds.
func WithBreaker(failures int, minPause, maxPause time.Duration) Option {
	return func(c *config) { c.breakerFailures, c.breakerMin, c.breakerMax = failures, minPause, maxPause }
}

// WithTLS encrypts all connections. An empty ServerName is filled with the host
// dialled.
func WithTLS(t *tls.Config) Option { return func(c *config) { c.tls = t } }

// WithDialer replaces the way connections are made, for tests and tunnels.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(c *config) { c.dial = dial }
}

// WithLogger sets where the client's few log lines go; the default is nowhere.
func WithLogger(l Logger) Option { return func(c *config) { c.hooks.log = l } }

// WithHooks adds hooks.
func WithHooks(hs ...Hook) Option {
	return func(c *config) {
		for _, h := range hs {
			c.hooks.add(h)
		}
	}
}

// validate reports everything that is wrong, not the first thing.
func (c *config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	t := c.timeouts
	check(min(t.Read, t.Write, t.Scan, t.Meta, t.Dial) > 0, "time-outs must be positive")
	for _, b := range []Backoff{c.retry.Busy, c.retry.Route, c.retry.Connect} {
		check(b.Min > 0 && b.Max >= b.Min, "backoff %v to %v: want 0 < min <= max", b.Min, b.Max)
	}
	check(c.retry.MaxAttempts >= 0, "MaxAttempts %d is negative", c.retry.MaxAttempts)
	check(c.connections >= 1 && c.connections <= 64, "connections per server %d: want 1 to 64", c.connections)
	check(c.maxCalls >= 1, "maximum of calls in flight %d: want at least 1", c.maxCalls)
	check(c.maxBytes >= 1, "maximum of bytes in flight %d: want at least 1", c.maxBytes)
	check(c.overload == Block || c.overload == FailFast, "overload policy %d is unknown", c.overload)
	check(c.workers >= 0, "callback workers %d is negative", c.workers)
	check(c.hedgeAfter >= 0, "hedging delay %v is negative", c.hedgeAfter)
	check(c.pingAfter > 0 && c.pingTimeout > 0, "keepalive %v, %v: want positive", c.pingAfter, c.pingTimeout)
	check(c.breakerFailures >= 1, "breaker failures %d: want at least 1", c.breakerFailures)
	check(c.breakerMin > 0 && c.breakerMax >= c.breakerMin, "breaker pause %v to %v: want 0 < min <= max", c.breakerMin, c.breakerMax)
	if len(errs) > 0 {
		return fmt.Errorf("client options: %w", errors.Join(errs...))
	}
	return nil
}
