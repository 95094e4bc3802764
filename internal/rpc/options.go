package rpc

import (
	"net/http"
	"time"

	"github.com/arionkv/arion/internal/obs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

const (
	// DefaultMaxConns bounds open connections. An idle one costs about 12 KB
	// (goroutine and small input buffer), one that pipelines about 200 KB, and
	// each is a file descriptor that RocksDB then lacks.
	DefaultMaxConns = 10_000

	// DefaultMaxInFlightPerConn bounds unanswered requests of a connection.
	// Clients with a single connection per server pipeline a few thousand; more
	// adds latency, not throughput. Beyond it the connection is not read on.
	DefaultMaxInFlightPerConn = 4096

	// DefaultMaxInFlightBytes bounds the request and reply bytes held by the
	// process: 256 MB is four frames of the largest size, or a million small ones.
	DefaultMaxInFlightBytes = 256 << 20

	// DefaultMaxPendingOut closes a connection whose peer lets this much output
	// wait. Twice the largest useful reply (about 30 MB), so that no well-meant
	// read is cut off.
	DefaultMaxPendingOut = 64 << 20

	// DefaultFrameTimeout is how long a frame may take to arrive once its first
	// byte is here, plus the time its size takes at minFrameRate. It never
	// applies between frames: clients keep idle connections for days.
	DefaultFrameTimeout = 30 * time.Second

	// DefaultWriteTimeout closes a connection that takes none of a piece of
	// writePiece bytes for so long. Its peer is gone or hung.
	DefaultWriteTimeout = 30 * time.Second
)

const (
	// minFrameRate in bytes per second is slower than any network a 64 MB frame
	// should be sent over.
	minFrameRate = 64 << 10

	// pauseOutFraction of MaxPendingOut stops the reading of new requests, which
	// leaves room for the replies of those in flight.
	pauseOutFraction = 8

	// flushAfter bounds how long replies gather behind slow handlers of the same
	// burst, and flushBytes how much: a full socket buffer wins nothing by waiting.
	flushAfter = time.Millisecond
	flushBytes = 128 << 10

	// writePiece is what one write deadline covers.
	writePiece = 1 << 20

	// lingerTimeout bounds how long a connection whose peer stopped sending waits
	// for the replies of requests in flight. Peers that only half-close want
	// them; the others make the first write fail.
	lingerTimeout = 10 * time.Second

	// maxIdleOut is the output buffer an idle connection may keep.
	maxIdleOut = 64 << 10
)

// Options of a Server. Zero values mean the defaults above.
type Options struct {
	Mux        *Mux                  // required
	HTTP       http.Handler          // nil closes HTTP connections
	Log        *logrus.Entry         // nil discards
	Registerer prometheus.Registerer // nil keeps metrics unregistered

	// ThftHostPorts makes Request.HostPorts true for THFT peers. Old go clients
	// cannot decode replies with these fields (WIRE section 10), so it is off.
	ThftHostPorts bool

	MaxConns           int
	MaxInFlightPerConn int
	MaxInFlightBytes   int64
	MaxPendingOut      int
	FrameTimeout       time.Duration
	WriteTimeout       time.Duration
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = obs.Discard()
	}
	orDefault(&o.MaxConns, DefaultMaxConns)
	orDefault(&o.MaxInFlightPerConn, DefaultMaxInFlightPerConn)
	orDefault(&o.MaxInFlightBytes, int64(DefaultMaxInFlightBytes))
	orDefault(&o.MaxPendingOut, DefaultMaxPendingOut)
	orDefault(&o.FrameTimeout, DefaultFrameTimeout)
	orDefault(&o.WriteTimeout, DefaultWriteTimeout)
	return o
}

func orDefault[T int | int64 | time.Duration](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}
