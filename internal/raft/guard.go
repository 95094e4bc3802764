package raft

import (
	"sync"
	"time"

	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
)

// guard sees every raft message that leaves or enters this process and holds
// back those that would break a promise.
//
// # The promise
//
// A leader whose ReadIndex, begun at time t0, was acknowledged by a quorum may
// serve reads by itself until t0 + lease (replica/partition does). That is
// sound if no other leader can be elected before, thus if every member of the
// quorum refuses to help elect one for a while after its acknowledgement.
// dragonboat with CheckQuorum refuses votes for an election timeout after it
// heard from a leader, but not always:
//
//   - a replica that restarts has forgotten its leader and votes at once;
//   - a follower forgets its leader when a late answer to one of its own old
//     pre-votes arrives with a higher term, and votes at once;
//   - a leader deposed by such a message votes at once.
//
// Therefore the promise is kept here, where it does not depend on what
// dragonboat remembers: after an acknowledgement leaves for a leader, no vote
// leaves for anybody else for hold, and for hold after the process starts no
// vote leaves at all. Once a vote for a higher term has left, no acknowledgement
// of a lower one does. Withholding is safe, since raft expects loss.
//
// A vote asked for by the leader itself (leadership transfer) is let through:
// a leader gives up its lease before it transfers.
//
// A group of one elects itself without a message. It is covered by its ticks:
// it campaigns no sooner than election ticks - 2 after it last acknowledged.
//
// # No forwarding
//
// A replica that is not leader hands proposals, reads and transfers on to the
// leader. All of that is dropped. A forwarded proposal can be applied, and
// acknowledged to its client, by the replica that forwarded it before the
// leader itself has applied it, and a lease read at the leader would miss it. A
// forwarded read is not evidence for a lease. A forwarded transfer would reach a
// leader that has not given up its lease.
//
// # Short logs
//
// Heartbeats to a replica that has lost the end of its log are dropped, see
// shortLogs.
//
// # Rooted groups
//
// A group that began with data outside of its log must not let a new replica in
// by replaying the log from its start. An empty log accepts only appends that
// begin at index 0; those are dropped for replicas of such groups. All that is
// left for a new one is a snapshot, which the leader sends once its own log has
// been truncated.
type guard struct {
	hold time.Duration
	now  func() time.Time // monotonic

	short shortLogs

	mu     sync.Mutex
	start  time.Time
	shards map[uint64]*promise
	rooted map[raftio.NodeInfo]bool
}

// promise is what this process owes to the leader of one shard.
type promise struct {
	// until: no vote leaves before.
	until time.Time
	// voted is the highest term a vote has left for.
	voted uint64
	// transferTo may be voted for in transferTerm at once: the leader asked it
	// to take over.
	transferTo, transferTerm uint64
	// heard is when each member last answered a heartbeat of ours.
	heard map[uint64]time.Time
}

func newGuard(hold time.Duration, now func() time.Time) *guard {
	return &guard{
		hold: hold, now: now, start: now(), shards: map[uint64]*promise{}, rooted: map[raftio.NodeInfo]bool{},
		short: shortLogs{now: now, since: map[raftio.NodeInfo]time.Time{}},
	}
}

// outgoing reports whether m may leave this process.
func (g *guard) outgoing(m *raftpb.Message) bool {
	switch m.Type {
	case raftpb.Propose, raftpb.ReadIndex, raftpb.ReadIndexResp, raftpb.LeaderTransfer, raftpb.Quiesce:
		return false
	case raftpb.HeartbeatResp:
		return g.acknowledge(m)
	case raftpb.Heartbeat:
		// With a hint it asks for acknowledgements, and the leader counts itself.
		return m.Hint == 0 || g.acknowledge(m)
	case raftpb.RequestVote:
		return g.vote(m, m.From, m.Hint == m.From)
	case raftpb.RequestVoteResp:
		return m.Reject || g.vote(m, m.To, false)
	case raftpb.RequestPreVote:
		return g.mayVote(m.ShardID)
	case raftpb.RequestPreVoteResp:
		return m.Reject || g.mayVote(m.ShardID)
	}
	return true
}

// incoming reports whether m may be given to dragonboat, which panics on or is
// confused by messages that no peer sends.
func (g *guard) incoming(m *raftpb.Message) bool {
	if m.To == 0 || m.From == 0 {
		return false
	}
	switch m.Type {
	case raftpb.RequestVote:
		if m.Hint == m.From {
			g.allowTransfer(m)
		}
		return true
	case raftpb.HeartbeatResp:
		g.hear(m)
		return true
	case raftpb.Heartbeat:
		return g.short.accept(m)
	case raftpb.Replicate:
		return m.LogIndex > 0 || !g.isRooted(m.ShardID, m.To)
	case raftpb.NoOP, raftpb.ReplicateResp, raftpb.RequestVoteResp,
		raftpb.SnapshotReceived, raftpb.TimeoutNow,
		raftpb.RateLimit, raftpb.RequestPreVote, raftpb.RequestPreVoteResp:
		return true
	}
	return false
}

// root marks a local replica of a rooted group, before it starts.
func (g *guard) root(shardID, replicaID uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rooted[raftio.GetNodeInfo(shardID, replicaID)] = true
}

func (g *guard) isRooted(shardID, replicaID uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rooted[raftio.GetNodeInfo(shardID, replicaID)]
}

func (g *guard) shardLocked(id uint64) *promise {
	p := g.shards[id]
	if p == nil {
		p = &promise{until: g.start.Add(g.hold), heard: map[uint64]time.Time{}}
		g.shards[id] = p
	}
	return p
}

// acknowledge starts or extends the promise to the leader of the message's term.
func (g *guard) acknowledge(m *raftpb.Message) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.shardLocked(m.ShardID)
	if m.Term < p.voted {
		return false
	}
	p.until = g.now().Add(g.hold)
	return true
}

// vote reports whether a vote for candidate may leave, and remembers it.
func (g *guard) vote(m *raftpb.Message, candidate uint64, transfer bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.shardLocked(m.ShardID)
	transfer = transfer || p.transferTo == candidate && p.transferTerm == m.Term
	if !transfer && g.now().Before(p.until) {
		return false
	}
	p.voted = max(p.voted, m.Term)
	return true
}

// mayVote reports whether votes may leave now. A pre-vote binds nobody, so it is
// not remembered.
func (g *guard) mayVote(shardID uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.now().Before(g.shardLocked(shardID).until)
}

func (g *guard) allowTransfer(m *raftpb.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.shardLocked(m.ShardID)
	p.transferTo, p.transferTerm = m.From, m.Term
}

func (g *guard) hear(m *raftpb.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shardLocked(m.ShardID).heard[m.From] = g.now()
}

// silence returns how long ago a member last answered a heartbeat.
func (g *guard) silence(shardID, replicaID uint64) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, ok := g.shardLocked(shardID).heard[replicaID]
	if !ok {
		return 1<<63 - 1
	}
	return g.now().Sub(at)
}
