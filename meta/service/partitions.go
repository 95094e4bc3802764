package service

import (
	"context"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
)

// propose carries out an operator's proposal. What can be done now is to move a leader to another replica of its
// partition; copying replicas comes with repair, and is refused as not active until then.
func (s *Service) propose(ctx context.Context, q *admin.ConfigurationBalancerRequest) (*admin.ConfigurationBalancerResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	if q.Gpid == nil {
		return proposeReply(code.InvalidParameters, ""), nil
	}
	t := state.Table(q.Gpid.AppID)
	if t == nil || t.Status != catalog.StatusAvailable || state.Partition(t.ID, q.Gpid.PartitionIndex) == nil {
		return proposeReply(code.InvalidParameters, ""), nil
	}
	target, c := newLeader(q.ActionList)
	if c != code.OK {
		return proposeReply(c, ""), nil
	}
	return proposeReply(s.moveLeader(ctx, state, t, q.Gpid.PartitionIndex, target), ""), nil
}

func proposeReply(c code.Code, _ string) *admin.ConfigurationBalancerResponse {
	return &admin.ConfigurationBalancerResponse{Err: base.ErrorCodeOf(c)}
}

// newLeader finds the one step of a proposal that says something to raft: who leads next. The downgrade before it happens
// by itself.
func newLeader(actions []*admin.ConfigurationProposalAction) (string, code.Code) {
	target := ""
	for _, a := range actions {
		switch a.Type {
		case admin.ConfigType_CT_DOWNGRADE_TO_SECONDARY:
		case admin.ConfigType_CT_UPGRADE_TO_PRIMARY:
			target = nodeText(a)
		default:
			return "", code.ServiceNotActive
		}
	}
	if target == "" {
		return "", code.InvalidParameters
	}
	return target, code.OK
}

// nodeText prefers the address field, as WIRE section 10 asks; native peers may fill only the other.
func nodeText(a *admin.ConfigurationProposalAction) string {
	if !a.Node.IsZero() {
		return a.Node.String()
	}
	return a.HpNode.String()
}

// moveLeader asks the node of the present leader to hand over.
func (s *Service) moveLeader(ctx context.Context, state *catalog.State, t *catalog.Table, index int32, target string) code.Code {
	v := s.o.Tracker.Partition(t, index)
	from := state.Node(v.Leader.NodeID)
	if v.Leader.ID == 0 || from == nil {
		return code.InvalidParameters
	}
	for _, r := range t.Partitions[index].Replicas {
		n := state.Node(r.NodeID)
		if n == nil || !r.Voting || !s.sameAddress(n.RPCAddress, target) {
			continue
		}
		if r.ID == v.Leader.ID {
			return code.OK
		}
		q := &arion.ChangeMemberRequest{TableID: t.ID, PartitionIndex: index, Op: arion.MemberOp_TRANSFER_LEADER, ReplicaID: r.ID, NodeID: r.NodeID}
		answer := arion.NewChangeMemberResponse()
		if err := s.o.Caller.Call(ctx, from.RPCAddress, "RPC_ARION_CHANGE_MEMBER", q, answer); err != nil {
			return code.TryAgain
		}
		return answer.Err.Code()
	}
	return code.InvalidParameters
}

func (s *Service) sameAddress(a, b string) bool {
	return a == b || s.resolver.address(a).Equals(s.resolver.address(b))
}

// diagnose lists partitions whose every replica is down. Raft finds the leader by itself as soon as a majority is back, so
// the advice is always to bring nodes back.
func (s *Service) diagnose(ctx context.Context, q *admin.DddDiagnoseRequest) (*admin.DddDiagnoseResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	r := diagnoseReply(code.OK, "")
	for _, t := range state.Tables() {
		if t.Status != catalog.StatusAvailable {
			continue
		}
		for i := range t.Partitions {
			if asked(q.Pid, t.ID, int32(i)) && s.allDown(t, int32(i)) {
				r.Partitions = append(r.Partitions, s.diagnosis(state, t, int32(i)))
			}
		}
	}
	return r, nil
}

func diagnoseReply(c code.Code, _ string) *admin.DddDiagnoseResponse {
	return &admin.DddDiagnoseResponse{Err: base.ErrorCodeOf(c), Partitions: []*admin.DddPartitionInfo{}}
}

// asked: (-1, any) is everything, (id, -1) one table, (id, index) one partition.
func asked(pid *base.Gpid, table, index int32) bool {
	return pid == nil || pid.AppID == -1 || (pid.AppID == table && (pid.PartitionIndex == -1 || pid.PartitionIndex == index))
}

func (s *Service) allDown(t *catalog.Table, index int32) bool {
	for _, r := range t.Partitions[index].Replicas {
		if s.o.Tracker.Alive(r.NodeID) {
			return false
		}
	}
	return true
}

func (s *Service) diagnosis(state *catalog.State, t *catalog.Table, index int32) *admin.DddPartitionInfo {
	info := &admin.DddPartitionInfo{
		Config: s.partitionConfig(state, t, index), Dropped: []*admin.DddNodeInfo{},
		Reason: "every replica is on a node that does not answer; the partition serves again when a majority of them is back",
	}
	for _, r := range t.Partitions[index].Replicas {
		n := state.Node(r.NodeID)
		if n == nil {
			continue
		}
		d := &admin.DddNodeInfo{Node: s.resolver.address(n.RPCAddress), HpNode: hostPort(n.RPCAddress), Ballot: -1, LastCommittedDecree: -1, LastPreparedDecree: -1}
		if report := s.o.Tracker.Report(r.NodeID, t.ID, index, r.ID); report != nil {
			d.IsCollected, d.Ballot = true, report.Term
			d.LastCommittedDecree, d.LastPreparedDecree = report.AppliedIndex, report.AppliedIndex
		}
		info.Dropped = append(info.Dropped, d)
	}
	return info
}

// getReplicaCount answers how many replicas a table wants per partition.
func (s *Service) getReplicaCount(ctx context.Context, q *admin.ConfigurationGetMaxReplicaCountRequest) (*admin.ConfigurationGetMaxReplicaCountResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	t := state.TableNamed(q.AppName)
	if t == nil {
		return getCountReply(code.AppNotExist, noTable(q.AppName)), nil
	}
	r := getCountReply(code.OK, "")
	r.MaxReplicaCount = t.ReplicaCount
	return r, nil
}

func noTable(name string) string { return "table \"" + name + "\" does not exist" }

func getCountReply(c code.Code, hint string) *admin.ConfigurationGetMaxReplicaCountResponse {
	return &admin.ConfigurationGetMaxReplicaCountResponse{Err: base.ErrorCodeOf(c), HintMessage: hint}
}

// setReplicaCount checks as it will when replicas can be added and removed, and refuses a true change until then.
func (s *Service) setReplicaCount(ctx context.Context, q *admin.ConfigurationSetMaxReplicaCountRequest) (*admin.ConfigurationSetMaxReplicaCountResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	t := state.TableNamed(q.AppName)
	r := setCountReply(code.OK, "")
	if t != nil {
		r.OldMaxReplicaCount = t.ReplicaCount
	}
	c, hint := s.checkCount(state, t, q)
	r.Err, r.HintMessage = base.ErrorCodeOf(c), hint
	return r, nil
}

func (s *Service) checkCount(state *catalog.State, t *catalog.Table, q *admin.ConfigurationSetMaxReplicaCountRequest) (code.Code, string) {
	want := q.MaxReplicaCount
	switch {
	case t == nil:
		return code.AppNotExist, noTable(q.AppName)
	case t.Status != catalog.StatusAvailable:
		return code.InvalidState, "the table is not available"
	case state.Settings.Level <= catalog.LevelFreezed:
		return code.StateFreezed, "the meta level is " + state.Settings.Level.String()
	case want < 1 || want > catalog.MaxReplicas:
		return code.InvalidParameters, "a replica count is 1 to 5"
	case int(want) > len(s.candidates(state)):
		return code.InvalidParameters, "there are fewer nodes alive than that"
	case want == t.ReplicaCount:
		return code.OK, "the replica count is that already: nothing to do"
	}
	return code.OperationDisabled, "this release cannot change the replica count of a table"
}

func setCountReply(c code.Code, hint string) *admin.ConfigurationSetMaxReplicaCountResponse {
	return &admin.ConfigurationSetMaxReplicaCountResponse{Err: base.ErrorCodeOf(c), HintMessage: hint}
}

// getIdempotent answers false for every table: atomic writes are applied from the log in one order on every replica, and
// need no rewriting.
func (s *Service) getIdempotent(ctx context.Context, q *admin.ConfigurationGetAtomicIdempotentRequest) (*admin.ConfigurationGetAtomicIdempotentResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	if state.TableNamed(q.AppName) == nil {
		return getIdempotentReply(code.AppNotExist, noTable(q.AppName)), nil
	}
	return getIdempotentReply(code.OK, ""), nil
}

func getIdempotentReply(c code.Code, hint string) *admin.ConfigurationGetAtomicIdempotentResponse {
	return &admin.ConfigurationGetAtomicIdempotentResponse{Err: base.ErrorCodeOf(c), HintMessage: hint}
}

func (s *Service) setIdempotent(ctx context.Context, q *admin.ConfigurationSetAtomicIdempotentRequest) (*admin.ConfigurationSetAtomicIdempotentResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	t := state.TableNamed(q.AppName)
	switch {
	case t == nil:
		return setIdempotentReply(code.AppNotExist, noTable(q.AppName)), nil
	case t.Status != catalog.StatusAvailable:
		return setIdempotentReply(code.InvalidState, "the table is not available"), nil
	case state.Settings.Level <= catalog.LevelFreezed:
		return setIdempotentReply(code.StateFreezed, "the meta level is "+state.Settings.Level.String()), nil
	case !q.AtomicIdempotent:
		return setIdempotentReply(code.OK, "it is off already: nothing to do"), nil
	}
	return setIdempotentReply(code.OperationDisabled, "atomic writes need no rewriting here: they are applied in one order on every replica"), nil
}

func setIdempotentReply(c code.Code, hint string) *admin.ConfigurationSetAtomicIdempotentResponse {
	return &admin.ConfigurationSetAtomicIdempotentResponse{Err: base.ErrorCodeOf(c), HintMessage: hint}
}
