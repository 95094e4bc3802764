package rpc

import (
	"errors"
	"sync/atomic"

	"github.com/arionkv/arion/idl/code"
	"github.com/prometheus/client_golang/prometheus"
)

// closeReason is why a connection ended; it is a metric label.
type closeReason string

const (
	closePeer            closeReason = "peer"      // the peer closed or reset it
	closeMagic           closeReason = "magic"     // first bytes of no known protocol, or a change of protocol
	closeTLS             closeReason = "tls"       // a TLS hello on a plain port
	closeHTTP            closeReason = "http_off"  // HTTP on a server without HTTP side
	closeFrame           closeReason = "frame"     // broken framing
	closeTimeout         closeReason = "timeout"   // a frame did not arrive in time
	closeSlow            closeReason = "slow_peer" // replies were not read
	closeMemory          closeReason = "memory"    // no memory for a large frame within the frame timeout
	closeHandler         closeReason = "handler"   // a handler asked for it
	closeShutdown        closeReason = "shutdown"  // the server is closing
	closeTooMany         closeReason = "too_many"  // MaxConns reached
	closeInternal        closeReason = "internal"  // a panic outside a handler
	outcomeIgnored                   = "IGNORED"   // request label: no answer by intention
	outcomeClosed                    = "CLOSED"    // request label: answered by closing
	unknownName                      = "unknown"   // request label: a name no handler has
	maxCodes                         = 128         // code.Code values that get a cached counter
	namespace                        = "arion_rpc" // prefix of all metrics here
	labelName, labelCode             = "name", "code"
)

// latencyBuckets in seconds: from a memory hit to the longest wait a server allows.
var latencyBuckets = []float64{
	.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10,
}

type metrics struct {
	conns      prometheus.Gauge
	requests   *prometheus.CounterVec
	latency    *prometheus.HistogramVec
	bytesIn    prometheus.Counter
	bytesOut   prometheus.Counter
	closes     *prometheus.CounterVec
	panics     prometheus.Counter
	duplicates prometheus.Counter
}

func newMetrics(s *Server, reg prometheus.Registerer) *metrics {
	m := &metrics{
		conns: registered(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: namespace + "_connections", Help: "Open connections, HTTP included."})),
		requests: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: namespace + "_requests_total", Help: "Requests ended, by RPC name and frame code."}, []string{labelName, labelCode})),
		latency: registered(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: namespace + "_request_duration_seconds", Help: "Time from the parsed frame to the encoded reply.", Buckets: latencyBuckets}, []string{labelName})),
		bytesIn: registered(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: namespace + "_received_bytes_total", Help: "Bytes read from framed connections."})),
		bytesOut: registered(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: namespace + "_sent_bytes_total", Help: "Bytes written to framed connections."})),
		closes: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: namespace + "_connections_closed_total", Help: "Framed connections closed, by reason."}, []string{"reason"})),
		panics: registered(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: namespace + "_handler_panics_total", Help: "Panics of handlers and of result encoders."})),
		duplicates: registered(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: namespace + "_duplicate_replies_total", Help: "Second answers to a request, which are dropped."})),
	}
	registered(reg, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: namespace + "_in_flight_requests", Help: "Requests not yet answered."}, func() float64 { return float64(s.inFlight()) }))
	registered(reg, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: namespace + "_in_flight_bytes", Help: "Bytes held for requests and unsent replies."}, func() float64 { return float64(s.budget.used.Load()) }))
	return m
}

// registered puts a collector on the registry, or returns the one of the same
// name that is there already: two servers of a process may share a registry.
func registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing
		}
	}
	if err != nil {
		panic(err) // a collector of another kind under our name: a programming error
	}
	return c
}

// route is a handler with its collectors looked up in advance: a label lookup
// per request costs more than the rest of the bookkeeping.
type route struct {
	handler Handler // one of these two, or none for the unknown name
	batch   BatchHandler
	name    string
	latency prometheus.Observer
	counts  *prometheus.CounterVec
	cached  [maxCodes]atomic.Pointer[prometheus.Counter]
}

func (m *metrics) route(name string, h Handler) *route {
	return &route{handler: h, name: name, latency: m.latency.WithLabelValues(name), counts: m.requests}
}

func (t *route) count(c code.Code) {
	if int(c) >= maxCodes {
		t.countOutcome(c.String())
		return
	}
	if counter := t.cached[c].Load(); counter != nil {
		(*counter).Inc()
		return
	}
	counter := t.counts.WithLabelValues(t.name, c.String())
	t.cached[c].Store(&counter)
	counter.Inc()
}

func (t *route) countOutcome(outcome string) { t.counts.WithLabelValues(t.name, outcome).Inc() }
