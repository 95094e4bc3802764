package raft

import (
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/stretchr/testify/require"
)

const hold = 300 * time.Millisecond

// clock is a settable time.
type clock struct{ t time.Time }

func (c *clock) now() time.Time        { return c.t }
func (c *clock) sleep(d time.Duration) { c.t = c.t.Add(d) }

// Replica 1 is the leader, 2 is this process, 3 wants to lead.
func message(kind raftpb.MessageType, from, to, term uint64) *raftpb.Message {
	return &raftpb.Message{Type: kind, ShardID: 9, From: from, To: to, Term: term}
}

var (
	ack      = func(term uint64) *raftpb.Message { return message(raftpb.HeartbeatResp, 2, 1, term) }
	grant    = func(term uint64) *raftpb.Message { return message(raftpb.RequestVoteResp, 2, 3, term) }
	preGrant = func(term uint64) *raftpb.Message { return message(raftpb.RequestPreVoteResp, 2, 3, term) }
	campaign = func(term uint64) *raftpb.Message { return message(raftpb.RequestVote, 2, 3, term) }
)

func reject(m *raftpb.Message) *raftpb.Message {
	m.Reject = true
	return m
}

func hinted(m *raftpb.Message, hint uint64) *raftpb.Message {
	m.Hint = hint
	return m
}

func newTestGuard() (*guard, *clock) {
	c := &clock{t: time.Now()}
	g := newGuard(hold, c.now)
	c.sleep(hold) // past the start of the process
	return g, c
}

func TestNoVoteAfterStart(t *testing.T) {
	c := &clock{t: time.Now()}
	g := newGuard(hold, c.now)
	for _, m := range []*raftpb.Message{grant(5), preGrant(5), campaign(5), message(raftpb.RequestPreVote, 2, 3, 5)} {
		require.False(t, g.outgoing(m), m.Type)
	}
	require.True(t, g.outgoing(ack(4)), "a voted term must not be remembered for a vote that never left")
	require.True(t, g.outgoing(reject(grant(5))))
	c.sleep(2 * hold)
	require.True(t, g.outgoing(grant(5)))
}

func TestNoVoteAfterAcknowledgement(t *testing.T) {
	g, c := newTestGuard()
	require.True(t, g.outgoing(ack(4)))
	c.sleep(hold - 1)
	for _, m := range []*raftpb.Message{grant(5), preGrant(5), campaign(5)} {
		require.False(t, g.outgoing(m), m.Type)
	}
	other := grant(5)
	other.ShardID++
	require.True(t, g.outgoing(other), "another shard is not concerned")
	c.sleep(1)
	require.True(t, g.outgoing(grant(5)))
}

func TestLeaderPromisesToItself(t *testing.T) {
	g, c := newTestGuard()
	require.True(t, g.outgoing(message(raftpb.Heartbeat, 2, 1, 4)))
	require.True(t, g.outgoing(grant(5)), "a plain heartbeat is no evidence for a lease")

	g, c = newTestGuard()
	require.True(t, g.outgoing(hinted(message(raftpb.Heartbeat, 2, 1, 4), 77)))
	require.False(t, g.outgoing(grant(5)))
	c.sleep(hold)
	require.True(t, g.outgoing(grant(5)))
	require.False(t, g.outgoing(hinted(message(raftpb.Heartbeat, 2, 1, 4), 78)), "deposed by its own vote")
}

func TestNoAcknowledgementBehindAVote(t *testing.T) {
	for name, vote := range map[string]*raftpb.Message{"for another": grant(5), "for itself": campaign(5)} {
		t.Run(name, func(t *testing.T) {
			g, _ := newTestGuard()
			require.True(t, g.outgoing(vote))
			require.False(t, g.outgoing(ack(4)))
			require.True(t, g.outgoing(ack(5)))
		})
	}
}

func TestTransferIsNotHeldUp(t *testing.T) {
	g, _ := newTestGuard()
	require.True(t, g.outgoing(ack(4)))
	require.True(t, g.incoming(hinted(message(raftpb.RequestVote, 3, 2, 5), 3)))
	require.False(t, g.outgoing(grant(6)), "another term than the transfer's")
	require.True(t, g.outgoing(grant(5)))
	require.False(t, g.outgoing(ack(4)))

	g, _ = newTestGuard()
	require.True(t, g.outgoing(ack(4)))
	require.True(t, g.outgoing(hinted(campaign(5), 2)), "told by the leader to take over")
}

func TestNothingIsForwarded(t *testing.T) {
	g, _ := newTestGuard()
	for _, kind := range []raftpb.MessageType{raftpb.Propose, raftpb.ReadIndex, raftpb.ReadIndexResp, raftpb.LeaderTransfer} {
		require.False(t, g.outgoing(message(kind, 2, 1, 4)), kind)
		require.False(t, g.incoming(message(kind, 1, 2, 4)), kind)
	}
	require.True(t, g.outgoing(message(raftpb.Replicate, 2, 1, 4)))
}

func TestStrangeMessagesAreRefused(t *testing.T) {
	g, _ := newTestGuard()
	for kind := range raftpb.MessageType_name {
		m := message(raftpb.MessageType(kind), 1, 2, 4)
		switch m.Type {
		case raftpb.LocalTick, raftpb.Election, raftpb.LeaderHeartbeat, raftpb.ConfigChangeEvent, raftpb.CheckQuorum,
			raftpb.SnapshotStatus, raftpb.Unreachable, raftpb.InstallSnapshot, raftpb.Quiesce, raftpb.LogQuery:
			require.False(t, g.incoming(m), m.Type)
		}
	}
	require.False(t, g.incoming(message(raftpb.Heartbeat, 1, 0, 4)))
	require.False(t, g.incoming(message(raftpb.Heartbeat, 0, 2, 4)))
	require.False(t, g.incoming(message(raftpb.MessageType(99), 1, 2, 4)))
}

func TestSilence(t *testing.T) {
	g, c := newTestGuard()
	require.Greater(t, g.silence(9, 1), time.Hour, "never heard")
	require.True(t, g.incoming(message(raftpb.HeartbeatResp, 1, 2, 4)))
	c.sleep(time.Second)
	require.Equal(t, time.Second, g.silence(9, 1))
	require.Greater(t, g.silence(8, 1), time.Hour, "another shard")
}

func TestGuardKeepsTheLogsStartFromRootedReplicas(t *testing.T) {
	g := newGuard(time.Second, time.Now)
	g.root(7, 4)
	replicate := func(shard, to, after uint64) bool {
		return g.incoming(&raftpb.Message{Type: raftpb.Replicate, ShardID: shard, From: 1, To: to, LogIndex: after})
	}
	require.False(t, replicate(7, 4, 0))
	require.True(t, replicate(7, 4, 1), "an empty log refuses it by itself, which makes the leader go back")
	require.True(t, replicate(7, 3, 0))
	require.True(t, replicate(8, 4, 0))
}
