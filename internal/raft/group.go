package raft

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/statemachine"
)

// Group describes the local replica of a raft group.
type Group struct {
	ShardID, ReplicaID uint64
	// Members are all initial members of a new group, written as for
	// Host.Targets. Ignored when the replica has been started here before.
	Members map[uint64]string
	// Join: the replica was added to a group that existed already, always as a
	// non-voting one. It must be the same at every start of the replica; that
	// it has been promoted meanwhile it learns from the log.
	Join bool
	// Rooted: the group began with data that is not in its log. A replica with an
	// empty log is then not given the log from its start, only a snapshot.
	Rooted bool
	// SnapshotEntries is the number of entries between truncations of the log,
	// CompactionOverhead how many of them stay for slow followers.
	SnapshotEntries, CompactionOverhead uint64
}

// Config returns dragonboat's settings of a replica. Leases and recovery depend
// on CheckQuorum, PreVote, OrderedConfigChange and on not quiescing.
func (h *Host) Config(g Group) config.Config {
	return config.Config{
		ShardID:             g.ShardID,
		ReplicaID:           g.ReplicaID,
		CheckQuorum:         true,
		PreVote:             true,
		OrderedConfigChange: true,
		ElectionRTT:         uint64(h.o.ElectionTicks),
		HeartbeatRTT:        uint64(h.o.HeartbeatTicks),
		SnapshotEntries:     g.SnapshotEntries,
		CompactionOverhead:  g.CompactionOverhead,
		MaxInMemLogSize:     h.o.MaxInMemLogBytes,
		IsNonVoting:         g.Join,
		WaitReady:           true,
	}
}

// StartOnDisk starts a replica and returns when it is ready, or stopped. It
// waits, bounded by ctx, for a former replica of the shard to be unloaded.
func (h *Host) StartOnDisk(ctx context.Context, g Group, create statemachine.CreateOnDiskStateMachineFunc) error {
	members, join, err := h.bootstrap(g)
	if err != nil {
		return err
	}
	if g.Rooted {
		h.guard.root(g.ShardID, g.ReplicaID)
	}
	for {
		err := h.NodeHost().StartOnDiskReplica(members, join, create, h.Config(g))
		if !errors.Is(err, dragonboat.ErrShardAlreadyExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a replica of shard %x is still loaded: %w", g.ShardID, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// bootstrap returns what dragonboat wants to hear about the members: all of
// them at the first start, nothing later.
func (h *Host) bootstrap(g Group) (map[uint64]string, bool, error) {
	members, err := h.Targets(g.Members)
	if err != nil {
		return nil, false, err
	}
	switch {
	case h.HasReplica(g.ShardID, g.ReplicaID):
		return nil, false, nil
	case g.Join:
		return nil, true, nil
	case members[g.ReplicaID] != string(h.self):
		return nil, false, fmt.Errorf("replica %d of shard %x belongs to %q, this is %s",
			g.ReplicaID, g.ShardID, g.Members[g.ReplicaID], h.self)
	}
	return members, false, nil
}

// Stop stops a replica. What is still running of it ends soon after; its state
// machine's Close tells when.
func (h *Host) Stop(shardID, replicaID uint64) error {
	err := h.NodeHost().StopReplica(shardID, replicaID)
	if errors.Is(err, dragonboat.ErrShardNotFound) || errors.Is(err, dragonboat.ErrClosed) {
		return nil
	}
	return err
}

// RemoveData deletes the log of a replica that is no member of its group any
// more and is stopped. It must never be started again under the same id.
func (h *Host) RemoveData(ctx context.Context, shardID, replicaID uint64) error {
	if !h.HasReplica(shardID, replicaID) {
		return nil
	}
	for {
		// The variant that waits panics if it has to wait for too long.
		err := h.NodeHost().RemoveData(shardID, replicaID)
		if !errors.Is(err, dragonboat.ErrShardNotStopped) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
