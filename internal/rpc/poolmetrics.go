package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/arionkv/arion/idl/code"
	"github.com/prometheus/client_golang/prometheus"
)

// poolMetrics are labelled with names our own code calls, so there are few.
type poolMetrics struct {
	connections prometheus.Gauge
	calls       *prometheus.CounterVec
	latency     *prometheus.HistogramVec
}

func newPoolMetrics(reg prometheus.Registerer) *poolMetrics {
	return &poolMetrics{
		connections: registered(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: namespace + "_client_connections", Help: "Open connections to other servers."})),
		calls: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: namespace + "_client_calls_total", Help: "Calls to other servers, by RPC name and outcome."}, []string{labelName, labelCode})),
		latency: registered(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: namespace + "_client_call_duration_seconds", Help: "Duration of calls to other servers, failed ones included.", Buckets: latencyBuckets}, []string{labelName})),
	}
}

func (m *poolMetrics) observe(name string, err error, took time.Duration) {
	m.calls.WithLabelValues(name, outcomeOf(err)).Inc()
	m.latency.WithLabelValues(name).Observe(took.Seconds())
}

func outcomeOf(err error) string {
	var e *code.Error
	switch {
	case err == nil:
		return code.OK.String()
	case errors.As(err, &e):
		return e.Code.String()
	case errors.Is(err, ErrUnreachable):
		return "UNREACHABLE"
	case errors.Is(err, ErrConnectionLost):
		return "CONNECTION_LOST"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "GAVE_UP"
	case errors.Is(err, ErrPoolClosed):
		return "POOL_CLOSED"
	default:
		return "OTHER"
	}
}
