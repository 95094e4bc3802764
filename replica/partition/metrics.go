package partition

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are shared by all partitions of a node.
type Metrics struct {
	entries      prometheus.Counter
	entryOps     prometheus.Histogram
	refused      *prometheus.CounterVec
	unknown      prometheus.Counter
	readIndexes  prometheus.Counter
	leases       prometheus.Counter
	snapshotSent prometheus.Counter
	stalls       prometheus.Counter
	stalled      prometheus.Gauge
}

// NewMetrics registers the metrics with r, which may be nil.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "arion_partition_" + name, Help: help})
	}
	m := &Metrics{
		entries: counter("entries_proposed_total", "Log entries proposed by this node."),
		entryOps: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "arion_partition_entry_writes",
			Help:    "Writes per proposed log entry.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "arion_partition_writes_refused_total",
			Help: "Writes refused before they were proposed, by error code.",
		}, []string{"code"}),
		unknown:      counter("writes_unknown_total", "Writes answered with an unknown outcome."),
		readIndexes:  counter("read_indexes_total", "Quorum round trips made for reads."),
		leases:       counter("leases_total", "Read leases obtained or renewed."),
		snapshotSent: counter("snapshot_sent_bytes_total", "Snapshot bytes streamed to other replicas."),
		stalls:       counter("write_stalls_total", "Times the storage engine of a replica stopped writes."),
		stalled: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "arion_partition_write_stalled",
			Help: "Replicas of this node whose storage engine has stopped writes now.",
		}),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.entries, m.entryOps, m.refused, m.unknown, m.readIndexes, m.leases, m.snapshotSent, m.stalls, m.stalled,
	} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
