package raft

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	withheld prometheus.Counter
	refused  prometheus.Counter
	badConns prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		withheld: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "arion_raft_messages_withheld_total",
			Help: "Raft messages not sent because a promise to a leader forbids it, or because requests are not forwarded.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "arion_raft_messages_refused_total",
			Help: "Raft messages received that no correct peer sends.",
		}),
		badConns: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "arion_raft_bad_connections_total",
			Help: "Raft connections closed because of what arrived on them.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.withheld, m.refused, m.badConns} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
