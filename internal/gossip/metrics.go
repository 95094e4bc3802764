package gossip

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	members     prometheus.Gauge
	malformed   prometheus.Counter
	sentDeltas  prometheus.Counter
	failedSends prometheus.Counter
	failedJoins prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "arion", Subsystem: "gossip", Name: name, Help: help})
	}
	m := &metrics{
		members: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "arion", Subsystem: "gossip", Name: "members",
			Help: "Nodes that gossip holds alive, this one included."}),
		malformed:   counter("malformed_total", "Messages dropped because their bytes made no sense."),
		sentDeltas:  counter("deltas_total", "Replica reports sent to the others because they changed."),
		failedSends: counter("failed_sends_total", "Packets to meta servers that could not be sent."),
		failedJoins: counter("failed_joins_total", "Attempts to join through a seed that failed."),
	}
	if r != nil {
		r.MustRegister(m.members, m.malformed, m.sentDeltas, m.failedSends, m.failedJoins)
	}
	return m
}
