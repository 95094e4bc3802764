package admin

import (
	"context"

	"github.com/arionkv/arion/client"
	wire "github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
)

// PartitionID names a partition.
type PartitionID struct{ Table, Index int32 }

func (p PartitionID) gpid() *base.Gpid { return &base.Gpid{AppID: p.Table, PartitionIndex: p.Index} }

// StepKind is what a step of a proposal does, named as on the wire.
type StepKind = wire.ConfigType

// The steps that a proposal can have.
const (
	StepLead   StepKind = wire.ConfigType_CT_UPGRADE_TO_PRIMARY
	StepUnlead StepKind = wire.ConfigType_CT_DOWNGRADE_TO_SECONDARY
	StepAdd    StepKind = wire.ConfigType_CT_ADD_SECONDARY
	StepCopy   StepKind = wire.ConfigType_CT_ADD_SECONDARY_FOR_LB
	StepRemove StepKind = wire.ConfigType_CT_DOWNGRADE_TO_INACTIVE
	StepAssign StepKind = wire.ConfigType_CT_ASSIGN_PRIMARY
)

// Step is one change of a partition's replicas.
type Step struct {
	Kind   StepKind
	Target string // the server to send it to, empty = the leader
	Node   string // the server it is about
}

// Propose asks the meta servers to change the replicas of one partition. force
// sends the steps although others are under way.
func (a *Admin) Propose(ctx context.Context, p PartitionID, force bool, steps ...Step) error {
	c := call{op: "propose", rpc: "RPC_CM_PROPOSE_BALANCER"}
	arg := wire.NewConfigurationBalancerRequest()
	arg.Gpid, arg.Force = p.gpid(), force
	for _, s := range steps {
		target, err := addressOf(s.Target)
		if err != nil {
			return c.invalid(err)
		}
		node, err := addressOf(s.Node)
		if err != nil {
			return c.invalid(err)
		}
		arg.ActionList = append(arg.ActionList, &wire.ConfigurationProposalAction{Target: target, Node: node, Type: s.Kind})
	}
	reply := wire.NewConfigurationBalancerResponse()
	return a.meta(ctx, c, arg, reply, func() error { return outcomeOf(reply.Err, "") })
}

func (c call) invalid(err error) error {
	return &Error{Op: c.op, Target: c.target, Kind: client.ErrInvalidArgument, Cause: err}
}

func addressOf(text string) (*base.RPCAddress, error) {
	if text == "" {
		return &base.RPCAddress{}, nil
	}
	a, err := base.ParseRPCAddress(text)
	return &a, err
}

// SplitControl is what ControlSplit does.
type SplitControl = wire.SplitControlType

// The controls of a split.
const (
	SplitPause   SplitControl = wire.SplitControlType_PAUSE
	SplitRestart SplitControl = wire.SplitControlType_RESTART
	SplitCancel  SplitControl = wire.SplitControlType_CANCEL
)

// AllPartitions stands for every partition of a splitting table.
const AllPartitions = -1

// ControlSplit pauses or restarts the split of one partition or of all, or cancels
// the whole split; oldCount is for cancelling, the count to go back to.
func (a *Admin) ControlSplit(ctx context.Context, table string, what SplitControl, partition, oldCount int) error {
	arg := wire.NewControlSplitRequest()
	arg.AppName, arg.ControlType, arg.ParentPidx = table, what, int32(partition)
	if oldCount > 0 {
		n := int32(oldCount)
		arg.OldPartitionCount = &n
	}
	reply := wire.NewControlSplitResponse()
	return a.meta(ctx, call{op: "control-split", target: table, rpc: "RPC_CM_CONTROL_PARTITION_SPLIT"}, arg, reply,
		func() error { return outcomeOf(reply.Err, reply.GetHintMsg()) })
}

// HotkeyAction is what DetectHotkey does.
type HotkeyAction = wire.DetectAction

// The actions of a detection.
const (
	HotkeyStart HotkeyAction = wire.DetectAction_START
	HotkeyStop  HotkeyAction = wire.DetectAction_STOP
	HotkeyQuery HotkeyAction = wire.DetectAction_QUERY
)

// DetectHotkey starts, stops or asks the search for a hot key, of writes or else
// of reads, at the node that leads the partition. Only a query gives a key, as the
// server spells it; before there is one it fails with ErrBusy.
func (a *Admin) DetectHotkey(ctx context.Context, addr string, p PartitionID, writes bool, what HotkeyAction) (string, error) {
	arg := wire.NewDetectHotkeyRequest()
	arg.Pid, arg.Action, arg.Type = p.gpid(), what, wire.HotkeyType_READ
	if writes {
		arg.Type = wire.HotkeyType_WRITE
	}
	reply := wire.NewDetectHotkeyResponse()
	err := a.c.NodeCall(ctx, addr, "RPC_DETECT_HOTKEY", arg, reply)
	if err == nil {
		err = outcomeOf(reply.Err, reply.GetErrHint())
	}
	return reply.GetHotkeyResult_(), call{op: "detect-hotkey", target: addr, repeatable: true}.wrap(err)
}

// Stuck is a partition that cannot choose a leader by itself.
type Stuck struct {
	Partition PartitionID
	Reason    string
	Dropped   []string // the nodes that had it
}

// Diagnose lists the partitions whose replicas are all down and of which no safe
// leader could be found.
func (a *Admin) Diagnose(ctx context.Context) ([]Stuck, error) {
	arg := wire.NewDddDiagnoseRequest()
	arg.Pid = PartitionID{-1, -1}.gpid()
	reply := wire.NewDddDiagnoseResponse()
	err := a.meta(ctx, call{op: "diagnose", rpc: "RPC_CM_DDD_DIAGNOSE", repeatable: true}, arg, reply,
		func() error { return outcomeOf(reply.Err, "") })
	if err != nil {
		return nil, err
	}
	var found []Stuck
	for _, p := range reply.Partitions {
		s := Stuck{Reason: p.Reason}
		if p.Config != nil && p.Config.Pid != nil {
			s.Partition = PartitionID{p.Config.Pid.AppID, p.Config.Pid.PartitionIndex}
		}
		for _, n := range p.Dropped {
			s.Dropped = append(s.Dropped, addrOf(n.Node, n.HpNode))
		}
		found = append(found, s)
	}
	return found, nil
}

// Replica is one replica as its node sees it.
type Replica struct {
	Partition PartitionID
	State     string // SERVING and others
	Leading   bool
	Term      int64
	Applied   int64 // index in the raft log
	SizeBytes int64
	Error     string
}

// NodeState is what a replica server tells about itself.
type NodeState struct {
	Version  string
	Boot     int64 // counts its starts
	Replicas []Replica
}

// NodeState asks a node about itself and all its replicas.
func (a *Admin) NodeState(ctx context.Context, addr string) (NodeState, error) {
	reply := arion.NewStatusResponse()
	err := a.c.NodeCall(ctx, addr, "RPC_ARION_STATUS", arion.NewStatusRequest(), reply)
	if err == nil {
		err = outcomeOf(reply.Err, "")
	}
	if err != nil {
		return NodeState{}, call{op: "status", target: addr, repeatable: true}.wrap(err)
	}
	var s NodeState
	if reply.Node != nil {
		s.Version, s.Boot = reply.Node.Version, reply.Node.Boot
	}
	for _, r := range reply.Replicas {
		s.Replicas = append(s.Replicas, Replica{
			Partition: PartitionID{r.TableID, r.PartitionIndex}, State: r.State.String(),
			Leading: r.LeaderReplicaID != 0 && r.LeaderReplicaID == r.ReplicaID,
			Term:    r.Term, Applied: r.AppliedIndex, SizeBytes: r.SizeBytes, Error: r.Error,
		})
	}
	return s, nil
}
