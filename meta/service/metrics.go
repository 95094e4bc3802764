package service

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/arionkv/arion/meta/catalog"
)

// collector computes the meta role's gauges when they are asked for.
type collector struct{ s *Service }

var (
	leaderDesc     = desc("leader", "1 on the meta server that leads.")
	indexDesc      = desc("catalog_index", "Raft index of the last applied catalog command.")
	tablesDesc     = desc("tables", "Tables by status.", "status")
	nodesDesc      = desc("nodes", "Registered replica servers by liveness, as the leader sees them.", "alive")
	partitionsDesc = desc("partitions", "Partitions of available tables by health, as the leader sees them.", "health")
	runningDesc    = desc("requests_running", "Requests being worked on.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("arion_meta_"+name, help, labels, nil)
}

// Collector returns the gauges of the meta role.
func (s *Service) Collector() prometheus.Collector { return collector{s} }

// Describe names the gauges.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{leaderDesc, indexDesc, tablesDesc, nodesDesc, partitionsDesc, runningDesc} {
		ch <- d
	}
}

// Collect counts. Node and partition gauges appear on the leader only: nodes report to nobody else.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	state := c.s.o.Group.State()
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	gauge(indexDesc, int(state.Index))
	gauge(runningDesc, int(c.s.running.Load()))
	byStatus := map[string]int{}
	var health tableHealth
	for _, t := range state.Tables() {
		byStatus[statusText(t.Status)]++
		if t.Status == catalog.StatusAvailable {
			h := c.s.health(t)
			health.full, health.partial, health.dead = health.full+h.full, health.partial+h.partial, health.dead+h.dead
		}
	}
	for status, n := range byStatus {
		gauge(tablesDesc, n, status)
	}
	if !c.s.o.Group.IsLeader() {
		gauge(leaderDesc, 0)
		return
	}
	gauge(leaderDesc, 1)
	alive, all := c.s.countNodes(state)
	gauge(nodesDesc, alive, "true")
	gauge(nodesDesc, all-alive, "false")
	gauge(partitionsDesc, health.full, "full")
	gauge(partitionsDesc, health.partial, "partial")
	gauge(partitionsDesc, health.dead, "no_leader")
}
