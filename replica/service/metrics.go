package service

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/arionkv/arion/replica/host"
	"github.com/arionkv/arion/replica/load"
	"github.com/arionkv/arion/replica/throttle"
)

type metrics struct {
	slow *prometheus.CounterVec
}

func newMetrics(o Options) *metrics {
	m := &metrics{
		slow: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "arion_replica_slow_requests_total",
			Help: "Requests that took longer than the table's slow query threshold.",
		}, []string{"table"}),
	}
	o.Registerer.MustRegister(m.slow, newLoads(o.Host))
	return m
}

// loads shows the load of the replicas that are open when asked, so that a
// series ends with its replica. Operations are told apart by table only: 14
// series for each of a thousand partitions would be too many.
type loads struct {
	host                                      *host.Host
	requests, bytes, byOp, bytesByOp, waiting *prometheus.Desc
	throttled, hot                            *prometheus.Desc
}

func newLoads(h *host.Host) *loads {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("arion_replica_"+name, help, labels, nil)
	}
	return &loads{
		host:      h,
		requests:  desc("partition_requests_total", "Requests answered by a replica since it opened.", "table", "partition", "kind"),
		bytes:     desc("partition_bytes_total", "User data moved by a replica since it opened.", "table", "partition", "kind"),
		hot:       desc("partition_hottest_key_share", "Share of the hottest hash key in a partition's recent requests.", "table", "partition", "kind"),
		byOp:      desc("requests_total", "Requests answered by the open replicas of a table.", "table", "operation"),
		bytesByOp: desc("bytes_total", "User data moved by the open replicas of a table.", "table", "operation"),
		throttled: desc("throttled_total", "Requests delayed or rejected by the rates of a table.", "table", "kind", "outcome"),
		waiting:   desc("throttle_waiting", "Requests held back now."),
	}
}

// Describe implements prometheus.Collector.
func (l *loads) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, out) }

// Collect implements prometheus.Collector.
func (l *loads) Collect(out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	out <- prometheus.MustNewConstMetric(l.waiting, prometheus.GaugeValue, float64(l.host.Throttles().Waiting()))
	tables := map[string]*load.Totals{}
	l.host.Each(func(_, index int32, r *host.Replica) {
		t := r.Table()
		if t == nil {
			return
		}
		sum := tables[t.Name]
		if sum == nil {
			sum = new(load.Totals)
			tables[t.Name] = sum
			c := &r.Throttle.Counts
			for kind, o := range map[string]*throttle.Outcome{"read": &c.Read, "write": &c.Write, "backup": &c.Backup} {
				counter(l.throttled, o.Delayed.Load(), t.Name, kind, "delayed")
				counter(l.throttled, o.Rejected.Load(), t.Name, kind, "rejected")
			}
		}
		l.partition(out, r, t.Name, strconv.Itoa(int(index)), sum)
	})
	for name, sum := range tables {
		for o := range load.Ops {
			counter(l.byOp, sum.Requests[o], name, o.String())
			counter(l.bytesByOp, sum.Bytes[o], name, o.String())
		}
	}
}

func (l *loads) partition(out chan<- prometheus.Metric, r *host.Replica, table, index string, sum *load.Totals) {
	t := r.Load.Totals()
	var requests, bytes [2]uint64
	for o := range load.Ops {
		kind := 0
		if o.Write() {
			kind = 1
		}
		requests[kind] += t.Requests[o]
		bytes[kind] += t.Bytes[o]
		sum.Requests[o] += t.Requests[o]
		sum.Bytes[o] += t.Bytes[o]
	}
	for kind, name := range []string{"read", "write"} {
		out <- prometheus.MustNewConstMetric(l.requests, prometheus.CounterValue, float64(requests[kind]), table, index, name)
		out <- prometheus.MustNewConstMetric(l.bytes, prometheus.CounterValue, float64(bytes[kind]), table, index, name)
		out <- prometheus.MustNewConstMetric(l.hot, prometheus.GaugeValue, hottest(r.Load, kind == 1), table, index, name)
	}
}
