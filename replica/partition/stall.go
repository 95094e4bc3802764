package partition

import (
	"sync/atomic"

	"github.com/arionkv/arion/replica/engine"
)

// stall follows the engine's write stalls, for people. A stopped engine blocks apply
// until its flushes or compactions have caught up; what this does to clients is up
// to the queue, since most stalls are over before the next look.
type stall struct{ stopped atomic.Bool }

// look takes the engine's word, once a second with the replica's report.
func (s *stall) look(p *Partition, st engine.Stats) {
	was := s.stopped.Swap(st.WriteStopped)
	switch {
	case st.WriteStopped && !was:
		p.metrics.stalls.Inc()
		p.metrics.stalled.Inc()
		p.log.WithField("pending_compaction_bytes", st.PendingCompactionBytes).
			Warn("storage engine has stopped writes, clients are told to come back once they wait for a second")
	case !st.WriteStopped && was:
		p.metrics.stalled.Dec()
		p.log.Info("storage engine takes writes again")
	}
}

// end takes a closing replica out of the count of stalled ones.
func (s *stall) end(p *Partition) { s.look(p, engine.Stats{}) }
