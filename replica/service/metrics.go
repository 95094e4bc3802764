package service

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	slow *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		slow: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "arion_replica_slow_requests_total",
			Help: "Requests that took longer than the table's slow query threshold.",
		}, []string{"table"}),
	}
	r.MustRegister(m.slow)
	return m
}
