package raft

import (
	"sync"
	"time"

	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
)

// pacer hands heartbeats and their answers to dragonboat once a tick, all in one
// batch, instead of as they arrive.
//
// They are nearly all that an idle host receives, and every batch costs a pass of
// dragonboat's step worker over the groups named in it. Nothing is lost by the
// wait: raft counts in ticks, so what arrives between two of them has the same
// effect when it is handled just before the second. A heartbeat that carries a
// ReadIndex has somebody waiting for it and goes through at once.
//
// An answer leaves up to a tick later, and with it the promise of guard ends up to
// a tick later: two ticks less than an election timeout and one more are still
// before the first vote that another replica can ask for.
type pacer struct {
	tick   time.Duration
	handle raftio.MessageHandler
	learn  func(shardID, replicaID uint64, target string)

	mu   sync.Mutex
	held raftpb.MessageBatch // without a source: learn has been told
	free []raftpb.Message    // memory for the next batch
}

// paceLimit bounds the messages held, some 300 bytes each. What comes on top goes
// through at once.
const paceLimit = 16384

// calm reports whether m may wait for the next tick.
func calm(m *raftpb.Message) bool {
	return (m.Type == raftpb.Heartbeat || m.Type == raftpb.HeartbeatResp) && m.Hint == 0 && m.HintHigh == 0
}

// hold takes the messages of b that may wait and returns b with the others. It
// reuses their memory.
func (p *pacer) hold(b raftpb.MessageBatch) raftpb.MessageBatch {
	if b.BinVer != raftio.TransportBinVersion {
		return b // dragonboat says what is wrong with it
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	urgent := b.Requests[:0]
	for i := range b.Requests {
		m := &b.Requests[i]
		if !calm(m) || len(p.held.Requests) >= paceLimit {
			urgent = append(urgent, *m)
			continue
		}
		p.learn(m.ShardID, m.From, b.SourceAddress)
		p.held.Requests = append(p.held.Requests, *m)
	}
	p.held.DeploymentId, p.held.BinVer = b.DeploymentId, b.BinVer
	b.Requests = urgent
	return b
}

// release hands over what is held.
func (p *pacer) release() {
	p.mu.Lock()
	b := p.held
	p.held.Requests, p.free = p.free[:0], nil
	p.mu.Unlock()
	if len(b.Requests) > 0 {
		p.handle(b)
	}
	p.mu.Lock()
	p.free = b.Requests
	p.mu.Unlock()
}

// run releases shortly before each tick until stop is closed. It is to be started
// when dragonboat starts its ticker: both keep their phase.
func (p *pacer) run(stop <-chan struct{}) {
	// For the step worker to be through with some hundred groups.
	lead := p.tick / 20
	first := time.NewTimer(p.tick - lead)
	defer first.Stop()
	select {
	case <-first.C:
	case <-stop:
		return
	}
	t := time.NewTicker(p.tick)
	defer t.Stop()
	for {
		p.release()
		select {
		case <-t.C:
		case <-stop:
			return
		}
	}
}
