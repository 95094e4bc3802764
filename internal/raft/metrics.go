package raft

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/arionkv/arion/internal/raft/wal"
)

type metrics struct {
	withheld prometheus.Counter
	refused  prometheus.Counter
	badConns prometheus.Counter
	sync     prometheus.Histogram
}

// synced notes how long a sync of the log took.
func (m *metrics) synced(d time.Duration) { m.sync.Observe(d.Seconds()) }

func newMetrics(r prometheus.Registerer, log *atomic.Pointer[wal.Store]) (*metrics, error) {
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
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "arion_raft_log_sync_seconds",
			Help:    "How long a sync of the raft log took. Every write waits for one.",
			Buckets: prometheus.ExponentialBuckets(25e-6, 2, 18), // to 3.3 s
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range append(logGauges(log), m.withheld, m.refused, m.badConns, m.sync) {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// logGauges show a log of our own; with one in Pebble they stay 0.
func logGauges(log *atomic.Pointer[wal.Store]) []prometheus.Collector {
	stat := func(get func(wal.Stats) uint64) func() float64 {
		return func() float64 {
			if s := log.Load(); s != nil {
				return float64(get(s.Stats()))
			}
			return 0
		}
	}
	return []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "arion_raft_log_written_bytes_total",
			Help: "Bytes written to the raft log.",
		}, stat(func(s wal.Stats) uint64 { return s.WrittenBytes })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "arion_raft_log_segments",
			Help: "Files of the raft log.",
		}, stat(func(s wal.Stats) uint64 { return s.Segments })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "arion_raft_log_bytes",
			Help: "Disk space of the files of the raft log.",
		}, stat(func(s wal.Stats) uint64 { return s.Bytes })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "arion_raft_log_live_bytes",
			Help: "Bytes of entries in the raft log that are still needed.",
		}, stat(func(s wal.Stats) uint64 { return s.LiveBytes })),
	}
}
