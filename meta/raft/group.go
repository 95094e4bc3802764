// Package raft keeps the catalog in a raft group of the meta servers. It is a thin adapter: what commands mean is the
// catalog's business, and the library's traps are internal/raft's.
package raft

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/internal/raft"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/notify"
)

const (
	// ShardID of the catalog's group, the only one in the hosts of meta servers.
	ShardID = 1

	// The state is small and commands are rare: a snapshot every few thousand keeps restarts short.
	snapshotEntries    = 5000
	compactionOverhead = 1000

	// retryPause spaces repeats of what the library refuses for a moment.
	retryPause = 10 * time.Millisecond
)

// ErrNotLeader means that another meta server leads, or none. Nothing was changed.
var ErrNotLeader = errors.New("this meta server does not lead")

// Options of Open.
type Options struct {
	Host      *raft.Host
	ReplicaID uint64            // of this server, from 1
	Members   map[uint64]string // raft addresses of all metas, this one included
	Join      bool              // this one was added to a running group; the same at every start
}

// Group is this server's replica of the catalog.
type Group struct {
	host    *raft.Host
	self    uint64
	state   atomic.Pointer[catalog.State]
	leader  atomic.Pointer[leadership]
	removed atomic.Bool
	changed notify.Signal
}

type leadership struct{ replica, term uint64 }

// Open starts the replica. It returns when the local log is replayed, which needs no other server.
func Open(o Options) (*Group, error) {
	g := &Group{host: o.Host, self: o.ReplicaID}
	g.state.Store(catalog.New())
	g.leader.Store(&leadership{})
	o.Host.Subscribe(ShardID, o.ReplicaID, raft.Events{Leader: g.onLeader, Removed: g.onRemoved})
	members, err := o.Host.Targets(o.Members)
	if err != nil {
		return nil, fmt.Errorf("meta group: %w", err)
	}
	if o.Join || o.Host.HasReplica(ShardID, o.ReplicaID) {
		members = nil
	}
	conf := o.Host.Config(raft.Group{
		ShardID: ShardID, ReplicaID: o.ReplicaID, Join: o.Join,
		SnapshotEntries: snapshotEntries, CompactionOverhead: compactionOverhead,
	})
	if err := o.Host.NodeHost().StartReplica(members, o.Join && !o.Host.HasReplica(ShardID, o.ReplicaID), g.newMachine, conf); err != nil {
		return nil, fmt.Errorf("meta group: %w", err)
	}
	return g, nil
}

// onLeader runs on the library's event goroutine and must not wait.
func (g *Group) onLeader(replica, term uint64) {
	g.leader.Store(&leadership{replica, term})
	g.changed.Fire()
}

// onRemoved runs there as well, and elsewhere.
func (g *Group) onRemoved() {
	g.removed.Store(true)
	g.leader.Store(&leadership{})
	g.changed.Fire()
}

// NoteRemoved tells that others say that this server was taken out: its own log may never.
func (g *Group) NoteRemoved() { g.onRemoved() }

// State is the catalog as applied here: on a follower, or on a leader that was deposed and does not know, it may be old.
func (g *Group) State() *catalog.State { return g.state.Load() }

// Changed returns a channel that is closed when the state or the leadership changes next.
func (g *Group) Changed() <-chan struct{} { return g.changed.Wait() }

// Leader returns the replica id of the leader as last heard, 0 for none, and its term.
func (g *Group) Leader() (replicaID, term uint64) {
	l := g.leader.Load()
	return l.replica, l.term
}

// IsLeader reports whether this server believes that it leads.
func (g *Group) IsLeader() bool { return g.leader.Load().replica == g.self }

// Barrier returns the catalog with everything in it that was committed before the call. Only the leader can:
// ErrNotLeader otherwise, or when leadership was lost meanwhile. A deposed leader that does not know yet waits for a
// quorum that does not answer, until ctx ends.
func (g *Group) Barrier(ctx context.Context) (*catalog.State, error) {
	for {
		changed := g.changed.Wait()
		if !g.IsLeader() {
			return nil, ErrNotLeader
		}
		rs, err := g.host.NodeHost().ReadIndex(ShardID, remaining(ctx))
		if err == nil {
			err = g.await(ctx, rs, changed)
			rs.Release()
		}
		if err == nil {
			return g.State(), nil
		}
		if errors.Is(err, errMoved) {
			continue
		}
		if err := g.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// errMoved: the group changed while waiting, and the question is whether this server still leads.
var errMoved = errors.New("changed while waiting")

func (g *Group) await(ctx context.Context, rs *dragonboat.RequestState, changed <-chan struct{}) error {
	for {
		select {
		case r := <-rs.ResultC():
			return outcome(r)
		case <-changed:
			if !g.IsLeader() {
				return errMoved
			}
			changed = g.changed.Wait()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func outcome(r dragonboat.RequestResult) error {
	switch {
	case r.Completed():
		return nil
	case r.Timeout():
		return context.DeadlineExceeded
	case r.Terminated():
		return dragonboat.ErrShardClosed
	}
	return ErrNotLeader // dropped before it was tried: the leader is changing
}

// again waits a moment before a repeat, or says why there is none.
func (g *Group) again(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, dragonboat.ErrClosed), errors.Is(err, dragonboat.ErrShardClosed), errors.Is(err, dragonboat.ErrShardNotFound):
		return code.Errorf(code.ServiceNotActive, "the meta server is stopping")
	case errors.Is(err, context.DeadlineExceeded):
		return err
	}
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// remaining is the time that ctx leaves, for calls that take a duration. Such a call rounds to ticks and must not get zero.
func remaining(ctx context.Context) time.Duration {
	const fallback = 5 * time.Second
	deadline, ok := ctx.Deadline()
	if !ok {
		return fallback
	}
	return max(time.Until(deadline), 200*time.Millisecond)
}

// Propose commits a command and returns its result. ErrNotLeader: nothing was changed. Any other error, but for one of
// class retry-here, leaves the outcome unknown.
func (g *Group) Propose(ctx context.Context, c catalog.Command) (catalog.Result, error) {
	if !g.IsLeader() {
		return catalog.Result{}, ErrNotLeader
	}
	nh := g.host.NodeHost()
	rs, err := nh.Propose(nh.GetNoOPSession(ShardID), catalog.Encode(c), remaining(ctx))
	if err != nil {
		return catalog.Result{}, g.refused(err)
	}
	defer rs.Release()
	select {
	case r := <-rs.ResultC():
		if err := outcome(r); err != nil {
			return catalog.Result{}, fmt.Errorf("catalog command: %w", err)
		}
		return catalog.DecodeResult(r.GetResult().Data)
	case <-ctx.Done():
		return catalog.Result{}, ctx.Err()
	}
}

// refused maps what the library says before it takes a proposal.
func (g *Group) refused(err error) error {
	switch {
	case errors.Is(err, dragonboat.ErrSystemBusy):
		return code.Errorf(code.Busy, "too many catalog commands at once")
	case errors.Is(err, dragonboat.ErrShardNotReady), errors.Is(err, dragonboat.ErrShardNotFound),
		errors.Is(err, dragonboat.ErrClosed), errors.Is(err, dragonboat.ErrShardClosed):
		return ErrNotLeader
	}
	return err
}

// resignTimeout bounds the wait for a successor: about two elections.
const resignTimeout = time.Second

// Resign hands leadership to another member, if this one has it, and waits a moment for the hand-over. Before a planned stop
// it saves the others an election timeout. Nothing depends on its success.
func (g *Group) Resign(ctx context.Context, to uint64) {
	ctx, cancel := context.WithTimeout(ctx, resignTimeout)
	defer cancel()
	asked := false
	for to != 0 && ctx.Err() == nil {
		changed := g.changed.Wait()
		if !g.IsLeader() {
			return
		}
		if !asked {
			asked = g.Transfer(to) == nil
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// Close stops the replica; the host stays open.
func (g *Group) Close() error {
	g.host.Unsubscribe(ShardID, g.self)
	return g.host.Stop(ShardID, g.self)
}
