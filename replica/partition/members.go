package partition

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/internal/raft"
)

// memberCache is the membership as the leader last saw it. Asking raft costs a
// quorum round trip, so it is asked when something changed.
type memberCache struct {
	stale atomic.Bool
	wake  chan struct{}
	known atomic.Pointer[membership]
}

type membership struct {
	configIndex uint64
	members     []*arion.ReplicaMember
}

const (
	// memberTimeout bounds one question to raft or one change.
	memberTimeout = 3 * time.Second
	// memberRetry is the pause after a failed question.
	memberRetry = 100 * time.Millisecond
)

// watch follows leadership and membership for those who want to know.
func (p *Partition) watch() {
	var again <-chan time.Time // to lead no more
	for {
		select {
		case <-p.closing:
			return
		case <-p.members.wake:
		case <-again:
		}
		if p.leadership.get().mine {
			p.refreshMembers()
		}
		if p.o.Changed != nil {
			p.o.Changed(p)
		}
		again = p.yield()
	}
}

func (p *Partition) refreshMembers() {
	ctx, cancel := context.WithTimeout(context.Background(), memberTimeout)
	defer cancel()
	p.members.stale.Store(false)
	m, err := p.askMembers(ctx)
	if err == nil {
		p.members.known.Store(m)
		return
	}
	p.members.stale.Store(true)
	time.AfterFunc(memberRetry, func() { notify(p.members.wake) })
}

func (p *Partition) askMembers(ctx context.Context) (*membership, error) {
	m, err := p.nodeHost.SyncGetShardMembership(ctx, p.shardID)
	if err != nil {
		return nil, err
	}
	out := &membership{configIndex: m.ConfigChangeID}
	add := func(ids map[uint64]string, voting bool) {
		for id, target := range ids {
			node, _ := raft.Target(target).NodeID()
			out.members = append(out.members, &arion.ReplicaMember{ReplicaID: int64(id), NodeID: node, Voting: voting})
		}
	}
	add(m.Nodes, true)
	add(m.NonVotings, false)
	sort.Slice(out.members, func(i, j int) bool { return out.members[i].ReplicaID < out.members[j].ReplicaID })
	return out, nil
}

func (m *membership) find(replicaID int64) *arion.ReplicaMember {
	for _, r := range m.members {
		if r.ReplicaID == replicaID {
			return r
		}
	}
	return nil
}

// Report describes the replica for the meta servers. It does no I/O.
func (p *Partition) Report() *arion.ReplicaReport {
	// Before the leader: whoever applied a split and leads later has no lease from
	// before it. The metas let the other half begin on the strength of that.
	owned := p.machine.halves.Load()
	leader, term, mine := p.Leader()
	r := &arion.ReplicaReport{
		TableID: p.id.TableID, PartitionIndex: p.id.PartitionIndex, ReplicaID: int64(p.replicaID),
		State: arion.ReplicaState_SERVING, Term: int64(term), LeaderReplicaID: leader,
		AppliedIndex: int64(p.AppliedIndex()), LeaseValid: p.LeaseValid(),
		HashCount: owned.count, SplitAttempt: owned.attempt, BaseReady: owned.base,
	}
	r.SizeBytes = p.figures.size(p)
	if m := p.members.known.Load(); mine && m != nil && !p.members.stale.Load() {
		r.Members, r.ConfigIndex = m.members, int64(m.configIndex)
	}
	switch {
	case p.removed.Load():
		r.State, r.Error = arion.ReplicaState_CLOSING, "removed from its group"
	case isClosed(p.closing):
		r.State = arion.ReplicaState_CLOSING
	case p.o.Raft.LogShort(p.shardID, p.replicaID):
		r.State, r.Error = arion.ReplicaState_LOST, ErrLogLost.Error()+": the leader counts on entries beyond its end"
	case p.Damage() != nil:
		r.Error = p.Damage().Error()
		if !mine {
			r.State = arion.ReplicaState_FAILED
		}
	}
	return r
}

// ChangeMember changes the group. Only the leader does. configIndex is that of
// the report the plan was made from; if the membership has changed since, the
// answer is code.InvalidVersion. 0 means whatever it is now. A change that has
// been made already succeeds.
func (p *Partition) ChangeMember(ctx context.Context, op arion.MemberOp, replicaID, nodeID, configIndex int64) error {
	if !p.leadership.get().mine {
		return errNotLeader
	}
	if op == arion.MemberOp_TRANSFER_LEADER {
		return p.TransferLeader(ctx, replicaID)
	}
	ctx, cancel := context.WithTimeout(ctx, memberTimeout)
	defer cancel()
	now, err := p.askMembers(ctx)
	if err != nil {
		return code.Errorf(code.Timeout, "membership of %v: %v", p.id, err)
	}
	done, err := checkChange(now, op, replicaID, nodeID, int64(p.replicaID))
	if done || err != nil {
		return err
	}
	if configIndex == 0 {
		configIndex = int64(now.configIndex)
	}
	// Evidence for a lease counts members as they are now.
	p.lease.revoke()
	state, err := p.requestChange(op, uint64(replicaID), nodeID, uint64(configIndex))
	if err != nil {
		return changeError(err)
	}
	p.log.WithField("operation", op.String()).WithField("member", replicaID).Info("membership change proposed")
	return p.awaitChange(ctx, state)
}

// checkChange refuses what raft would accept to nobody's good, and recognises
// what has been done already.
func checkChange(now *membership, op arion.MemberOp, replicaID, nodeID, self int64) (done bool, err error) {
	m := now.find(replicaID)
	switch op {
	case arion.MemberOp_ADD_NONVOTING:
		if m != nil && m.NodeID != nodeID {
			return false, code.Errorf(code.InvalidParameters, "replica %d is on node %x", replicaID, m.NodeID)
		}
		return m != nil, nil
	case arion.MemberOp_PROMOTE:
		if m == nil {
			return false, code.Errorf(code.ObjectNotFound, "no member %d to promote", replicaID)
		}
		return m.Voting, nil
	case arion.MemberOp_REMOVE:
		if replicaID == self {
			return false, code.Errorf(code.InvalidParameters, "replica %d leads, transfer leadership first", replicaID)
		}
		return m == nil, nil
	}
	return false, code.Errorf(code.InvalidParameters, "member operation %d", op)
}

func (p *Partition) requestChange(op arion.MemberOp, replicaID uint64, nodeID int64, configIndex uint64) (*dragonboat.RequestState, error) {
	switch op {
	case arion.MemberOp_ADD_NONVOTING:
		return p.nodeHost.RequestAddNonVoting(p.shardID, replicaID, string(raft.NodeTarget(nodeID)), configIndex, memberTimeout)
	case arion.MemberOp_PROMOTE:
		// raft insists on the target that the member was added with.
		m, err := p.targetOf(replicaID, nodeID)
		if err != nil {
			return nil, err
		}
		return p.nodeHost.RequestAddReplica(p.shardID, replicaID, m, configIndex, memberTimeout)
	case arion.MemberOp_REMOVE:
		return p.nodeHost.RequestDeleteReplica(p.shardID, replicaID, configIndex, memberTimeout)
	}
	return nil, fmt.Errorf("member operation %d", op)
}

func (p *Partition) targetOf(replicaID uint64, nodeID int64) (string, error) {
	if nodeID != 0 {
		return string(raft.NodeTarget(nodeID)), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), memberTimeout)
	defer cancel()
	now, err := p.askMembers(ctx)
	if err != nil {
		return "", err
	}
	if m := now.find(int64(replicaID)); m != nil {
		return string(raft.NodeTarget(m.NodeID)), nil
	}
	return "", dragonboat.ErrRejected
}

func (p *Partition) awaitChange(ctx context.Context, state *dragonboat.RequestState) error {
	select {
	case res := <-state.AppliedC():
		switch {
		case res.Completed():
			return nil
		case res.Rejected():
			return code.Errorf(code.InvalidVersion, "the membership of %v has changed meanwhile", p.id)
		case res.Dropped():
			return errNotLeader
		}
		return code.Errorf(code.Timeout, "membership change of %v is not confirmed", p.id)
	case <-ctx.Done():
		return code.Errorf(code.Timeout, "membership change of %v is not confirmed", p.id)
	case <-p.closing:
		return errClosing
	}
}

func changeError(err error) error {
	switch {
	case errors.Is(err, dragonboat.ErrSystemBusy):
		return code.Errorf(code.Busy, "another membership change is under way")
	case errors.Is(err, dragonboat.ErrRejected):
		return code.Errorf(code.InvalidVersion, "no such member")
	}
	return code.Errorf(code.InvalidState, "membership change: %v", err)
}

// TransferLeader hands leadership to another voting member and waits until it
// is gone. The lease ends before; should the transfer fail, reads of this term
// are confirmed by a quorum each.
func (p *Partition) TransferLeader(ctx context.Context, replicaID int64) error {
	led := p.leadership.get()
	if !led.mine {
		return errNotLeader
	}
	if uint64(replicaID) == p.replicaID {
		return nil
	}
	p.lease.bar(led.term)
	if err := p.nodeHost.RequestLeaderTransfer(p.shardID, uint64(replicaID)); err != nil {
		return changeError(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*p.o.Raft.ElectionTimeout())
	defer cancel()
	select {
	case <-led.over:
		return nil
	case <-ctx.Done():
		return code.Errorf(code.Timeout, "replica %d did not take over", replicaID)
	}
}

// handOver transfers leadership before closing. If that fails the others elect a
// leader by themselves.
func (p *Partition) handOver() {
	best := p.successor()
	if best == 0 || !p.leadership.get().mine {
		return
	}
	if err := p.TransferLeader(context.Background(), best); err != nil {
		p.log.WithError(err).Debug("leadership was not handed over")
	}
}

// successor is the other voter heard of last, or 0.
func (p *Partition) successor() int64 {
	m := p.members.known.Load()
	if m == nil {
		return 0
	}
	best, silence := int64(0), p.o.Raft.ElectionTimeout()
	for _, r := range m.members {
		if !r.Voting || r.ReplicaID == int64(p.replicaID) {
			continue
		}
		if s := p.o.Raft.Silence(p.shardID, uint64(r.ReplicaID)); s < silence {
			best, silence = r.ReplicaID, s
		}
	}
	return best
}

// RemoveLog deletes the raft log of a replica that has been closed and is no
// member of its group any more. Under its old id it can never be opened again.
func RemoveLog(ctx context.Context, host *raft.Host, a *arion.ReplicaAssignment) error {
	if err := host.RemoveData(ctx, ShardID(a.TableID, a.PartitionIndex), uint64(a.ReplicaID)); err != nil {
		return fmt.Errorf("remove log of replica %d of %d.%d: %w", a.ReplicaID, a.TableID, a.PartitionIndex, err)
	}
	return nil
}
