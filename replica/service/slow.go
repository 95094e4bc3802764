package service

import (
	"time"

	"github.com/sirupsen/logrus"
)

// judge writes a line about a request that took longer than its table's
// threshold: how long, and where the time went. A line per table and second
// must do; the others are counted.
func (c *call) judge(now time.Time) {
	threshold := c.table.Settings.SlowQuery
	took := now.Sub(c.begin)
	if threshold <= 0 || took < threshold {
		return
	}
	c.replica.Load.Slow.Add(1)
	c.s.metrics.slow.WithLabelValues(c.table.Name).Inc()
	more, ok := c.s.slow.Allow(c.table.Name)
	if !ok {
		return
	}
	fields := logrus.Fields{
		"table": c.table.Name, "partition": c.PartitionIndex, "rpc": c.Name, "client": c.Remote,
		"took": took.String(), "not_logged": more,
	}
	for _, st := range c.stages(now) {
		if st.took > 0 {
			fields[st.name] = st.took.String()
		}
	}
	c.s.log.WithFields(fields).Warn("slow request")
}

type stage struct {
	name string
	took time.Duration
}

// stages splits the time of the request. A stage that was skipped has none.
func (c *call) stages(now time.Time) []stage {
	last := c.begin
	until := func(name string, t time.Time) stage {
		if t.IsZero() || t.Before(last) {
			return stage{name: name}
		}
		st := stage{name, t.Sub(last)}
		last = t
		return st
	}
	held := until("stage_held", c.admitted)
	if c.o.op.Write() {
		return []stage{
			held,
			until("stage_queue", c.trace.Proposed), until("stage_raft", c.trace.Applying),
			until("stage_apply", c.trace.Stored), until("stage_reply", now),
		}
	}
	return []stage{
		held,
		until("stage_barrier", c.barrier), until("stage_queue", c.started),
		until("stage_engine", c.answered), until("stage_reply", now),
	}
}
