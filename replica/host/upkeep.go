package host

import (
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/internal/rules"
	"github.com/arionkv/arion/replica/compact"
	"github.com/arionkv/arion/replica/sweep"
	"github.com/arionkv/arion/replica/throttle"
)

// maintain does what open replicas need about once a second: figures, shares of
// rates, engine settings and compactions.
func (h *Host) maintain(now time.Time) {
	serving := *h.serving.Load()
	targets := make([]compact.Target, 0, len(serving))
	var sweeps []sweep.Target
	for id, r := range serving {
		r.Load.Tick(now)
		t := r.Table()
		if t == nil {
			continue // heard of with the next answer
		}
		if err := r.Tune(t.Settings.Tuning); err != nil {
			h.log.WithError(err).WithField("partition", id.String()).Warn("storage settings of the table are not in force")
		}
		targets = append(targets, compact.Target{
			ID: compact.ID{Table: id.table, Index: id.index}, Dir: r.dir, Schedule: t.Settings.Compaction, Compact: r.Compact,
		})
		if !t.Settings.Sweep.None() && r.Leading() {
			sweeps = append(sweeps, sweepTarget(id, r, t.Settings.Sweep))
		}
	}
	h.o.Compactions.Tick(targets)
	h.o.Sweeps.Tick(sweeps, now)
	h.share(serving)
}

func sweepTarget(id gpid, r *Replica, by *rules.Rules) sweep.Target {
	return sweep.Target{
		Table: id.table, Index: id.index, Rules: by,
		Acquire: func() (sweep.View, error) { return r.Acquire() },
		Barrier: r.ReadBarrier, Sweep: r.Sweep, NowSec: r.NowSec,
	}
}

// held counts a table's replicas on this node.
type held struct{ leaders, followers int }

// share tells the throttles which part of each table this node serves. Leaders
// serve what is not a backup request. Those are sent to followers, of which each
// partition has one less than replicas; a lone leader serves them itself.
func (h *Host) share(serving map[gpid]*Replica) {
	count := map[int32]held{}
	for id, r := range serving {
		n := count[id.table]
		if r.Leading() {
			n.leaders += r.partitions()
		} else {
			n.followers += r.partitions()
		}
		count[id.table] = n
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, n := range count {
		t := h.tables[id]
		if t == nil || t.PartitionCount <= 0 {
			continue
		}
		partitions := float64(t.PartitionCount)
		backups := float64(n.followers) / (partitions * float64(max(t.ReplicaCount-1, 1)))
		if t.ReplicaCount <= 1 {
			backups = float64(n.leaders) / partitions
		}
		account := h.o.Throttles.Table(id)
		account.SetShares(float64(n.leaders)/partitions, backups)
		account.SetLeaders(n.leaders)
	}
}

// partitions is how many of the table's partitions the replica stands for: more
// than one until it has split as the table wants it to.
func (r *Replica) partitions() int {
	t := r.Table()
	if t == nil {
		return 1
	}
	owned := r.HashCount()
	if owned == 0 {
		owned = t.InitPartitionCount
	}
	if owned <= 0 || owned > t.PartitionCount {
		return 1
	}
	return int(t.PartitionCount / owned)
}

// describe is the replica's report with what the host knows of it.
func (h *Host) describe(id gpid, r *Replica) *arion.ReplicaReport {
	report := r.Report()
	status := h.o.Compactions.Status(compact.ID{Table: id.table, Index: id.index})
	report.CompactionState = compactionStates[status.State]
	if !status.Began.IsZero() {
		report.CompactedUnixSec = status.Began.Unix()
	}
	return report
}

var compactionStates = map[compact.State]arion.CompactionState{
	compact.Idle:     arion.CompactionState_IDLE,
	compact.Queued:   arion.CompactionState_QUEUED,
	compact.Running:  arion.CompactionState_RUNNING,
	compact.Finished: arion.CompactionState_FINISHED,
}

// Throttles holds back the requests of the tables.
func (h *Host) Throttles() *throttle.Keeper { return h.o.Throttles }

// Compactions is the runner of manual compactions.
func (h *Host) Compactions() *compact.Runner { return h.o.Compactions }
