package admin

import (
	"context"
	"errors"
	"sort"
	"time"

	"github.com/arionkv/arion/client"
	wire "github.com/arionkv/arion/idl/admin"
)

// Status is where a table is in its life.
type Status int

// The states of a table.
const (
	StatusUnknown   Status = 0
	StatusAvailable Status = 1
	StatusCreating  Status = 2
	StatusDropping  Status = 4
	StatusDropped   Status = 6
	StatusRecalling Status = 7
)

func (s Status) String() string {
	switch s {
	case StatusAvailable:
		return "available"
	case StatusCreating:
		return "creating"
	case StatusDropping:
		return "dropping"
	case StatusDropped:
		return "dropped"
	case StatusRecalling:
		return "recalling"
	}
	return "unknown"
}

// Table describes a table.
type Table struct {
	ID         int32
	Name       string
	Status     Status
	Partitions int
	Replicas   int
	Envs       map[string]string
	Created    time.Time // zero if not told
	Dropped    time.Time // zero unless dropped
	Purged     time.Time // when a dropped table can no longer be recalled
	// AtomicIdempotent: atomic writes are logged as the plain writes they come to.
	AtomicIdempotent bool
}

func tableOf(i *wire.AppInfo) Table {
	return Table{ID: i.AppID, Name: i.AppName, Status: Status(i.Status), Partitions: int(i.PartitionCount),
		Replicas: int(i.MaxReplicaCount), Envs: i.Envs, Created: unix(i.CreateSecond), Dropped: unix(i.DropSecond),
		Purged: unix(i.ExpireSecond), AtomicIdempotent: i.AtomicIdempotent}
}

func unix(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// CreateOptions of a new table.
type CreateOptions struct {
	Partitions int // a power of two, at least 2; 0 = 4
	Replicas   int // 0 = 3
	Envs       map[string]string
	// FailIfExists makes an existing table an error, even one with these options.
	FailIfExists bool
}

// CreateTable makes a table and gives its id. The servers answer when every
// partition exists; WaitReady tells when every replica does.
func (a *Admin) CreateTable(ctx context.Context, name string, o CreateOptions) (int32, error) {
	c := call{op: "create-table", target: name, rpc: "RPC_CM_CREATE_APP", repeatable: !o.FailIfExists}
	if o.Partitions == 0 {
		o.Partitions = 4
	}
	if o.Replicas == 0 {
		o.Replicas = 3
	}
	// Known clients place keys by bit masks, and one refuses single partitions.
	if o.Partitions < 2 || o.Partitions&(o.Partitions-1) != 0 || o.Partitions > 1<<20 {
		return 0, &Error{Op: c.op, Target: name, Kind: client.ErrInvalidArgument, Hint: "the number of partitions must be a power of two, at least 2"}
	}
	arg := wire.NewConfigurationCreateAppRequest()
	arg.AppName = name
	arg.Options = wire.NewCreateAppOptions()
	arg.Options.PartitionCount, arg.Options.ReplicaCount = int32(o.Partitions), int32(o.Replicas)
	arg.Options.SuccessIfExist, arg.Options.AppType, arg.Options.IsStateful = !o.FailIfExists, "pegasus", true
	arg.Options.Envs = o.Envs
	reply := wire.NewConfigurationCreateAppResponse()
	err := a.meta(ctx, c, arg, reply, func() error { return outcomeOf(reply.Err, "") })
	return reply.Appid, err
}

// DropOptions of dropping a table.
type DropOptions struct {
	// Reserve is how long it can be recalled; 0 = the servers' default, 7 days.
	Reserve time.Duration
	// FailIfMissing makes a missing table an error.
	FailIfMissing bool
}

// DropTable drops a table.
func (a *Admin) DropTable(ctx context.Context, name string, o DropOptions) error {
	arg := wire.NewConfigurationDropAppRequest()
	arg.AppName = name
	arg.Options = wire.NewDropAppOptions()
	arg.Options.SuccessIfNotExist = !o.FailIfMissing
	if o.Reserve > 0 {
		s := int64((o.Reserve + time.Second - 1) / time.Second)
		arg.Options.ReserveSeconds = &s
	}
	reply := wire.NewConfigurationDropAppResponse()
	return a.meta(ctx, call{op: "drop-table", target: name, rpc: "RPC_CM_DROP_APP", repeatable: !o.FailIfMissing},
		arg, reply, func() error { return outcomeOf(reply.Err, "") })
}

// RecallTable brings a dropped table back, with its data, under newName if that
// is not empty.
func (a *Admin) RecallTable(ctx context.Context, id int32, newName string) (Table, error) {
	arg := wire.NewConfigurationRecallAppRequest()
	arg.AppID, arg.NewAppName_ = id, newName
	reply := wire.NewConfigurationRecallAppResponse()
	err := a.meta(ctx, call{op: "recall-table", target: newName, rpc: "RPC_CM_RECALL_APP"}, arg, reply,
		func() error { return outcomeOf(reply.Err, "") })
	if err != nil || reply.Info == nil {
		return Table{}, err
	}
	return tableOf(reply.Info), nil
}

// RenameTable gives a table another name; id and data stay.
func (a *Admin) RenameTable(ctx context.Context, oldName, newName string) error {
	arg := wire.NewConfigurationRenameAppRequest()
	arg.OldAppName, arg.NewAppName_ = oldName, newName
	reply := wire.NewConfigurationRenameAppResponse()
	return a.meta(ctx, call{op: "rename-table", target: oldName, rpc: "RPC_CM_RENAME_APP"}, arg, reply,
		func() error { return outcomeOf(reply.Err, reply.HintMessage) })
}

// ListTables lists the tables in a state, StatusUnknown for all, by id.
func (a *Admin) ListTables(ctx context.Context, s Status) ([]Table, error) {
	arg := wire.NewConfigurationListAppsRequest()
	arg.Status = wire.AppStatus(s)
	reply := wire.NewConfigurationListAppsResponse()
	err := a.meta(ctx, call{op: "list-tables", rpc: "RPC_CM_LIST_APPS", repeatable: true}, arg, reply,
		func() error { return outcomeOf(reply.Err, reply.GetHintMessage()) })
	if err != nil {
		return nil, err
	}
	tables := make([]Table, 0, len(reply.Infos))
	for _, i := range reply.Infos {
		tables = append(tables, tableOf(i))
	}
	sort.Slice(tables, func(i, j int) bool { return tables[i].ID < tables[j].ID })
	return tables, nil
}

// GetTable describes one available table by name.
func (a *Admin) GetTable(ctx context.Context, name string) (Table, error) {
	tables, err := a.ListTables(ctx, StatusAvailable)
	if err != nil {
		return Table{}, err
	}
	for _, t := range tables {
		if t.Name == name {
			return t, nil
		}
	}
	return Table{}, &Error{Op: "get-table", Target: name, Kind: client.ErrTableNotFound}
}

// Partition is where one partition lives.
type Partition struct {
	Index     int
	Term      int64 // the leader's; negative while a split prepares the partition
	Leader    string
	Followers []string
	Replicas  int // wanted
	Committed int64
}

// Routing is the present placement of a table.
type Routing struct {
	ID         int32
	Partitions []Partition // by index
}

// Healthy reports whether every partition has a leader and all replicas.
func (r Routing) Healthy() bool {
	for _, p := range r.Partitions {
		if p.Leader == "" || len(p.Followers)+1 < p.Replicas {
			return false
		}
	}
	return len(r.Partitions) > 0
}

// QueryTable asks where the partitions of a table are.
func (a *Admin) QueryTable(ctx context.Context, name string) (Routing, error) {
	q, err := a.c.QueryRouting(ctx, name)
	if err != nil {
		return Routing{}, call{op: "query-table", target: name, repeatable: true}.wrap(err)
	}
	r := Routing{ID: q.AppID, Partitions: make([]Partition, 0, len(q.Partitions))}
	for _, p := range q.Partitions {
		out := Partition{Term: p.Ballot, Leader: addrOf(p.Primary, p.HpPrimary),
			Replicas: int(p.MaxReplicaCount), Committed: p.LastCommittedDecree}
		if p.Pid != nil {
			out.Index = int(p.Pid.PartitionIndex)
		}
		for _, f := range p.Secondaries {
			out.Followers = append(out.Followers, f.String())
		}
		r.Partitions = append(r.Partitions, out)
	}
	sort.Slice(r.Partitions, func(i, j int) bool { return r.Partitions[i].Index < r.Partitions[j].Index })
	return r, nil
}

// WaitReady waits until every partition of a table has a leader and all its
// replicas.
func (a *Admin) WaitReady(ctx context.Context, name string) error {
	const every = 100 * time.Millisecond
	for {
		r, err := a.QueryTable(ctx, name)
		if err == nil && r.Healthy() {
			return nil
		}
		if err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrNotReady) {
			return err
		}
		select {
		case <-ctx.Done():
			return call{op: "wait-ready", target: name, repeatable: true}.wrap(ctx.Err())
		case <-time.After(every):
		}
	}
}

// SetEnvs sets envs of a table, all or none.
func (a *Admin) SetEnvs(ctx context.Context, table string, envs map[string]string) error {
	arg := wire.NewConfigurationUpdateAppEnvRequest()
	arg.AppName, arg.Op = table, wire.AppEnvOperation_APP_ENV_OP_SET
	for k := range envs {
		arg.Keys = append(arg.Keys, k)
	}
	sort.Strings(arg.Keys)
	for _, k := range arg.Keys {
		arg.Values = append(arg.Values, envs[k])
	}
	_, err := a.updateEnvs(ctx, "set-envs", arg)
	return err
}

// DelEnvs deletes envs of a table; the text says which there were.
func (a *Admin) DelEnvs(ctx context.Context, table string, keys ...string) (string, error) {
	arg := wire.NewConfigurationUpdateAppEnvRequest()
	arg.AppName, arg.Op, arg.Keys = table, wire.AppEnvOperation_APP_ENV_OP_DEL, keys
	return a.updateEnvs(ctx, "del-envs", arg)
}

// ClearEnvs deletes the envs of a table that begin with prefix and a dot, or all
// if prefix is empty; the text says which there were.
func (a *Admin) ClearEnvs(ctx context.Context, table, prefix string) (string, error) {
	arg := wire.NewConfigurationUpdateAppEnvRequest()
	arg.AppName, arg.Op, arg.ClearPrefix = table, wire.AppEnvOperation_APP_ENV_OP_CLEAR, &prefix
	return a.updateEnvs(ctx, "clear-envs", arg)
}

func (a *Admin) updateEnvs(ctx context.Context, op string, arg *wire.ConfigurationUpdateAppEnvRequest) (string, error) {
	reply := wire.NewConfigurationUpdateAppEnvResponse()
	err := a.meta(ctx, call{op: op, target: arg.AppName, rpc: "RPC_CM_UPDATE_APP_ENV", repeatable: true}, arg, reply,
		func() error { return outcomeOf(reply.Err, reply.HintMessage) })
	return reply.HintMessage, err
}

// ReplicaCount reads how many replicas a table wants.
func (a *Admin) ReplicaCount(ctx context.Context, table string) (int, error) {
	arg := wire.NewConfigurationGetMaxReplicaCountRequest()
	arg.AppName = table
	reply := wire.NewConfigurationGetMaxReplicaCountResponse()
	err := a.meta(ctx, call{op: "get-replica-count", target: table, rpc: "RPC_CM_GET_MAX_REPLICA_COUNT", repeatable: true},
		arg, reply, func() error { return outcomeOf(reply.Err, reply.HintMessage) })
	return int(reply.MaxReplicaCount), err
}

// SetReplicaCount changes how many replicas a table wants and gives the old
// number. The replicas themselves follow.
func (a *Admin) SetReplicaCount(ctx context.Context, table string, n int) (old int, err error) {
	arg := wire.NewConfigurationSetMaxReplicaCountRequest()
	arg.AppName, arg.MaxReplicaCount = table, int32(n)
	reply := wire.NewConfigurationSetMaxReplicaCountResponse()
	err = a.meta(ctx, call{op: "set-replica-count", target: table, rpc: "RPC_CM_SET_MAX_REPLICA_COUNT", repeatable: true},
		arg, reply, func() error { return outcomeOf(reply.Err, reply.HintMessage) })
	return int(reply.OldMaxReplicaCount), err
}
