package admin

import (
	"context"
	"time"

	wire "github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
)

// CompactOptions of a manual compaction.
type CompactOptions struct {
	Trigger     time.Time // zero = now
	TargetLevel int       // 0 or -1 = the servers' choice
	Bottommost  bool      // rewrite the last level too
	MaxRunning  int       // partitions at a time per node; 0 = no limit
}

// StartCompaction compacts a whole table in the background.
func (a *Admin) StartCompaction(ctx context.Context, table string, o CompactOptions) error {
	arg := wire.NewStartAppManualCompactRequest()
	arg.AppName, arg.Bottommost = table, &o.Bottommost
	if !o.Trigger.IsZero() {
		at := o.Trigger.Unix()
		arg.TriggerTime = &at
	}
	if o.TargetLevel != 0 {
		level := int32(o.TargetLevel)
		arg.TargetLevel = &level
	}
	if o.MaxRunning > 0 {
		n := int32(o.MaxRunning)
		arg.MaxRunningCount = &n
	}
	reply := wire.NewStartAppManualCompactResponse()
	return a.meta(ctx, call{op: "start-compaction", target: table, rpc: "RPC_CM_START_MANUAL_COMPACT"}, arg, reply,
		func() error { return outcomeOf(reply.Err, reply.HintMsg) })
}

// CompactionProgress gives the progress of a compaction, 0 to 100; ErrState if
// none is running.
func (a *Admin) CompactionProgress(ctx context.Context, table string) (int, error) {
	arg := wire.NewQueryAppManualCompactRequest()
	arg.AppName = table
	reply := wire.NewQueryAppManualCompactResponse()
	err := a.meta(ctx, call{op: "query-compaction", target: table, rpc: "RPC_CM_QUERY_MANUAL_COMPACT_STATUS", repeatable: true},
		arg, reply, func() error { return outcomeOf(reply.Err, reply.HintMsg) })
	return int(reply.GetProgress()), err
}

// StartSplit doubles the partitions of a table; to must be twice the present
// number.
func (a *Admin) StartSplit(ctx context.Context, table string, to int) error {
	arg := wire.NewStartPartitionSplitRequest()
	arg.AppName, arg.NewPartitionCount_ = table, int32(to)
	reply := wire.NewStartPartitionSplitResponse()
	return a.meta(ctx, call{op: "start-split", target: table, rpc: "RPC_CM_START_PARTITION_SPLIT"}, arg, reply,
		func() error { return outcomeOf(reply.Err, reply.HintMsg) })
}

// SplitState gives, for each partition that is still splitting, how it stands;
// ErrState if the table is not splitting.
func (a *Admin) SplitState(ctx context.Context, table string) (map[int]string, error) {
	arg := wire.NewQuerySplitRequest()
	arg.AppName = table
	reply := wire.NewQuerySplitResponse()
	err := a.meta(ctx, call{op: "query-split", target: table, rpc: "RPC_CM_QUERY_PARTITION_SPLIT", repeatable: true},
		arg, reply, func() error { return outcomeOf(reply.Err, reply.GetHintMsg()) })
	if err != nil {
		return nil, err
	}
	out := make(map[int]string, len(reply.Status))
	for p, s := range reply.Status {
		out[int(p)] = s.String()
	}
	return out, nil
}

// AtomicIdempotent tells whether a table logs atomic writes as plain ones.
func (a *Admin) AtomicIdempotent(ctx context.Context, table string) (bool, error) {
	arg := wire.NewConfigurationGetAtomicIdempotentRequest()
	arg.AppName = table
	reply := wire.NewConfigurationGetAtomicIdempotentResponse()
	err := a.meta(ctx, call{op: "get-atomic-idempotent", target: table, rpc: "RPC_CM_GET_ATOMIC_IDEMPOTENT", repeatable: true},
		arg, reply, func() error { return outcomeOf(reply.Err, reply.HintMessage) })
	return reply.AtomicIdempotent, err
}

// SetAtomicIdempotent changes it.
func (a *Admin) SetAtomicIdempotent(ctx context.Context, table string, on bool) error {
	arg := wire.NewConfigurationSetAtomicIdempotentRequest()
	arg.AppName, arg.AtomicIdempotent = table, on
	reply := wire.NewConfigurationSetAtomicIdempotentResponse()
	return a.meta(ctx, call{op: "set-atomic-idempotent", target: table, rpc: "RPC_CM_SET_ATOMIC_IDEMPOTENT", repeatable: true},
		arg, reply, func() error { return outcomeOf(reply.Err, reply.HintMessage) })
}

// Disk is one disk of a node, with the partitions on it.
type Disk struct {
	Tag, Dir           string
	CapacityMB, FreeMB int64
	Leaders, Followers int // partitions
}

// QueryDisks asks a node about its disks; an empty table means all tables.
func (a *Admin) QueryDisks(ctx context.Context, addr, table string) ([]Disk, error) {
	arg := wire.NewQueryDiskInfoRequest()
	arg.AppName, arg.Node1 = table, &base.RPCAddress{}
	reply := wire.NewQueryDiskInfoResponse()
	c := call{op: "query-disks", target: addr, repeatable: true}
	err := a.c.NodeCall(ctx, addr, "RPC_QUERY_DISK_INFO", arg, reply)
	if err == nil {
		err = outcomeOf(reply.Err, "")
	}
	if err != nil {
		return nil, c.wrap(err)
	}
	disks := make([]Disk, 0, len(reply.DiskInfos))
	for _, d := range reply.DiskInfos {
		disk := Disk{Tag: d.Tag, Dir: d.FullDir, CapacityMB: d.DiskCapacityMb, FreeMB: d.DiskAvailableMb}
		for _, held := range d.HoldingPrimaryReplicas {
			disk.Leaders += len(held)
		}
		for _, held := range d.HoldingSecondaryReplicas {
			disk.Followers += len(held)
		}
		disks = append(disks, disk)
	}
	return disks, nil
}
