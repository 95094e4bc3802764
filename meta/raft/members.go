package raft

import (
	"context"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/arionkv/arion/internal/raft"
)

// memberTimeout bounds one change of the metas' group.
const memberTimeout = 3 * time.Second

// Membership of the metas' group as raft has committed it.
type Membership struct {
	Index     uint64 // of the change that made it
	Voting    map[uint64]bool
	NonVoting map[uint64]bool
}

// Membership asks raft, which takes a quorum. Only the leader does.
func (g *Group) Membership(ctx context.Context) (Membership, error) {
	m, err := g.host.NodeHost().SyncGetShardMembership(ctx, ShardID)
	if err != nil {
		return Membership{}, err
	}
	out := Membership{Index: m.ConfigChangeID, Voting: map[uint64]bool{}, NonVoting: map[uint64]bool{}}
	for id := range m.Nodes {
		out.Voting[id] = true
	}
	for id := range m.NonVotings {
		out.NonVoting[id] = true
	}
	return out, nil
}

// Members are the replica ids that this server's log has in the group, as far as it has applied it.
func (g *Group) Members() []uint64 {
	var out []uint64
	info := g.host.NodeHost().GetNodeHostInfo(dragonboat.NodeHostInfoOption{SkipLogInfo: true})
	if info == nil {
		return nil // closed
	}
	for _, shard := range info.ShardInfoList {
		if shard.ShardID == ShardID && shard.StateMachineType == statemachine.RegularStateMachine {
			for id := range shard.Replicas {
				out = append(out, id)
			}
		}
	}
	return out
}

// Know enters the raft address of a meta server into the address book.
func (g *Group) Know(replicaID uint64, addr string) error {
	_, err := g.host.Targets(map[uint64]string{replicaID: addr})
	return err
}

// AddNonVoting adds a member that gets the log and has no vote. index is that of the membership it was decided on.
func (g *Group) AddNonVoting(ctx context.Context, id uint64, addr string, index uint64) error {
	return g.change(ctx, func(nh *dragonboat.NodeHost) (*dragonboat.RequestState, error) {
		return nh.RequestAddNonVoting(ShardID, id, string(raft.AddressTarget(addr)), index, memberTimeout)
	})
}

// Promote gives a member a vote.
func (g *Group) Promote(ctx context.Context, id uint64, addr string, index uint64) error {
	return g.change(ctx, func(nh *dragonboat.NodeHost) (*dragonboat.RequestState, error) {
		return nh.RequestAddReplica(ShardID, id, string(raft.AddressTarget(addr)), index, memberTimeout)
	})
}

// Remove takes a member out for good.
func (g *Group) Remove(ctx context.Context, id, index uint64) error {
	return g.change(ctx, func(nh *dragonboat.NodeHost) (*dragonboat.RequestState, error) {
		return nh.RequestDeleteReplica(ShardID, id, index, memberTimeout)
	})
}

// Transfer asks for a hand-over of leadership.
func (g *Group) Transfer(to uint64) error {
	return g.host.NodeHost().RequestLeaderTransfer(ShardID, to)
}

// Removed reports whether this server was taken out of the group.
func (g *Group) Removed() bool { return g.removed.Load() }

func (g *Group) change(ctx context.Context, ask func(*dragonboat.NodeHost) (*dragonboat.RequestState, error)) error {
	rs, err := ask(g.host.NodeHost())
	if err != nil {
		return err
	}
	defer rs.Release()
	select {
	case r := <-rs.ResultC():
		if r.Rejected() {
			return dragonboat.ErrRejected
		}
		return outcome(r)
	case <-ctx.Done():
		return ctx.Err()
	}
}
