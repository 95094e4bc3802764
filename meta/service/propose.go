package service

import (
	"context"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// propose carries out an operator's proposal: a list of steps in the words of Pegasus, which together mean one of
//
//	a leader goes elsewhere      downgrade A to secondary, upgrade B to primary (either alone will do)
//	a replica goes elsewhere     add B, downgrade A to inactive
//	a leader and its replica go  add B, downgrade A to secondary, upgrade B to primary
//	a replica comes, or goes     add B; or downgrade A to inactive, or remove A
//
// What concerns replicas is entered into the catalog and then done step by step, as a repair would be; the answer does not
// wait for it.
func (s *Service) propose(ctx context.Context, q *admin.ConfigurationBalancerRequest) (*admin.ConfigurationBalancerResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	if q.Gpid == nil || len(q.ActionList) == 0 {
		return proposeReply(code.InvalidParameters, ""), nil
	}
	t := state.Table(q.Gpid.AppID)
	if t == nil || t.Status != catalog.StatusAvailable || state.Partition(t.ID, q.Gpid.PartitionIndex) == nil {
		return proposeReply(code.InvalidParameters, ""), nil
	}
	p := &proposal{s: s, state: state, table: t, index: q.Gpid.PartitionIndex, force: q.Force}
	p.partition = &t.Partitions[p.index]
	p.view = s.o.Tracker.Partition(t, p.index)
	if c := p.read(q.ActionList); c != code.OK {
		return proposeReply(c, ""), nil
	}
	c, err := p.carryOut(ctx)
	return proposeReply(c, ""), err
}

func proposeReply(c code.Code, _ string) *admin.ConfigurationBalancerResponse {
	return &admin.ConfigurationBalancerResponse{Err: base.ErrorCodeOf(c)}
}

// proposal is what a list of steps comes down to.
type proposal struct {
	s         *Service
	state     *catalog.State
	table     *catalog.Table
	index     int32
	force     bool
	partition *catalog.Partition
	view      track.View

	to     *catalog.Node    // gets a new replica
	from   *catalog.Replica // goes, once the new one votes if there is one
	lead   *catalog.Replica // is to lead
	resign bool             // the leader is to hand over, to whomever
}

func (p *proposal) read(actions []*admin.ConfigurationProposalAction) code.Code {
	if !p.force && p.partition.Changing() {
		return code.InvalidParameters
	}
	for _, a := range actions {
		if !p.force && noTarget(a) && p.view.Leader.ID == 0 {
			return code.InvalidParameters
		}
		if c := p.step(a); c != code.OK {
			return c
		}
	}
	return code.OK
}

func (p *proposal) step(a *admin.ConfigurationProposalAction) code.Code {
	node := p.s.nodeAt(p.state, nodeText(a))
	if node == nil {
		return code.InvalidParameters
	}
	r, member := p.partition.On(node.ID)
	switch a.Type {
	case admin.ConfigType_CT_ADD_SECONDARY, admin.ConfigType_CT_ADD_SECONDARY_FOR_LB:
		p.to = node
		member = !member // it must not be one yet
	case admin.ConfigType_CT_DOWNGRADE_TO_INACTIVE, admin.ConfigType_CT_REMOVE:
		p.from = &r
	case admin.ConfigType_CT_DOWNGRADE_TO_SECONDARY:
		p.resign = true
		if len(p.partition.Replicas) < 2 || r.ID != p.view.Leader.ID {
			return code.InvalidParameters
		}
	case admin.ConfigType_CT_UPGRADE_TO_PRIMARY, admin.ConfigType_CT_ASSIGN_PRIMARY:
		if p.to == node { // the new replica leads when it can: it takes the place of the leader
			p.from, member = &p.view.Leader, true
			break
		}
		p.lead = &r
		member = member && r.Settled()
	default:
		return code.InvalidParameters
	}
	if !member {
		return code.InvalidParameters
	}
	return code.OK
}

func (p *proposal) carryOut(ctx context.Context) (code.Code, error) {
	switch {
	case p.to != nil || p.from != nil:
		return p.changeMembers(ctx)
	case p.lead != nil:
		return p.transfer(ctx, *p.lead), nil
	case p.resign:
		return p.transfer(ctx, p.successor()), nil
	}
	return code.InvalidParameters, nil
}

func (p *proposal) changeMembers(ctx context.Context) (code.Code, error) {
	if p.state.Settings.Level <= catalog.LevelFreezed {
		return code.StateFreezed, nil
	}
	var c catalog.Command
	switch {
	case p.to == nil:
		c = &catalog.RetireReplica{TableID: p.table.ID, Partition: p.index, ReplicaID: p.from.ID}
		if !p.safe(p.from.ID) {
			return code.NotEnoughMember, nil
		}
	case p.from == nil:
		c = &catalog.AddReplica{TableID: p.table.ID, Partition: p.index, NodeID: p.to.ID, Why: catalog.ForOperator}
	default:
		c = &catalog.AddReplica{TableID: p.table.ID, Partition: p.index, NodeID: p.to.ID, Replaces: p.from.ID, Why: catalog.ForOperator}
	}
	r, err := p.s.o.Group.Propose(ctx, c)
	return r.Code, err
}

// safe: without the replica, more than half of the others are at work.
func (p *proposal) safe(replicaID int64) bool {
	others, working := 0, 0
	for _, r := range p.view.Replicas {
		if r.ID == replicaID || !r.Voting {
			continue
		}
		others++
		if r.Follows {
			working++
		}
	}
	return 2*working > others
}

// successor is any other replica at work.
func (p *proposal) successor() catalog.Replica {
	for _, r := range p.view.Replicas {
		if r.Settled() && r.Follows && r.ID != p.view.Leader.ID {
			return r.Replica
		}
	}
	return catalog.Replica{}
}

// transfer asks the node of the present leader to hand over.
func (p *proposal) transfer(ctx context.Context, to catalog.Replica) code.Code {
	from := p.state.Node(p.view.Leader.NodeID)
	switch {
	case p.view.Leader.ID == 0 || from == nil || to.ID == 0:
		return code.InvalidParameters
	case to.ID == p.view.Leader.ID:
		return code.OK
	}
	q := &arion.ChangeMemberRequest{TableID: p.table.ID, PartitionIndex: p.index, Op: arion.MemberOp_TRANSFER_LEADER, ReplicaID: to.ID, NodeID: to.NodeID}
	answer := arion.NewChangeMemberResponse()
	if err := p.s.o.Caller.Call(ctx, from.RPCAddress, "RPC_ARION_CHANGE_MEMBER", q, answer); err != nil {
		return code.TryAgain
	}
	return answer.Err.Code()
}

// noTarget: a step without a target is meant for the leader.
func noTarget(a *admin.ConfigurationProposalAction) bool {
	return a.Target.IsZero() && (a.HpTarget == nil || a.HpTarget.Host == "")
}

// nodeText prefers the address field, as WIRE section 10 asks; native peers may fill only the other.
func nodeText(a *admin.ConfigurationProposalAction) string {
	if !a.Node.IsZero() {
		return a.Node.String()
	}
	return a.HpNode.String()
}

// nodeAt finds the node that has the address now.
func (s *Service) nodeAt(state *catalog.State, addr string) *catalog.Node {
	for _, n := range state.Nodes() {
		if n.State != catalog.NodeReplaced && s.sameAddress(n.RPCAddress, addr) {
			return n
		}
	}
	return nil
}

func (s *Service) sameAddress(a, b string) bool {
	return a == b || s.resolver.address(a).Equals(s.resolver.address(b))
}
