package partition

import (
	"sync/atomic"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/replica/engine"
)

// stall follows the engine's write stalls. A stopped engine blocks apply until
// its flushes or compactions have caught up, which may take longer than clients
// wait: they are told to come back instead of being queued into a timeout.
type stall struct{ stopped atomic.Bool }

var errStalled = code.Errorf(code.Busy, "the storage engine has stopped writes until compaction catches up")

// look takes the engine's word, once a second with the replica's report. It is
// late by that much at both ends; the bounded queue covers the first of them.
func (s *stall) look(p *Partition, st engine.Stats) {
	was := s.stopped.Swap(st.WriteStopped)
	switch {
	case st.WriteStopped && !was:
		p.metrics.stalls.Inc()
		p.metrics.stalled.Inc()
		p.log.WithField("pending_compaction_bytes", st.PendingCompactionBytes).
			Warn("storage engine has stopped writes, clients are told to come back")
	case !st.WriteStopped && was:
		p.metrics.stalled.Dec()
		p.log.Info("storage engine takes writes again")
	}
}

// end takes a closing replica out of the count of stalled ones.
func (s *stall) end(p *Partition) { s.look(p, engine.Stats{}) }
