package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// createTimeout bounds the wait for a new table's partitions: each elects a
// leader, which takes a second or two on a busy cluster.
const createTimeout = time.Minute

// readyInterval is the pause between two looks at a table being created.
const readyInterval = 100 * time.Millisecond

// tableVerbs administer tables.
func tableVerbs() []verb {
	return []verb{
		{
			use: "ls", short: "list the tables",
			example: "ls\nls -s all",
			aliases: []string{"list_tables"}, flags: lsFlags, run: runLs,
		}, {
			use: "app <table>", short: "show a table; -d with its partitions",
			example: "app temp -d",
			aliases: []string{"table"}, min: 1, max: 1, flags: appFlags, run: runApp,
		}, {
			use: "create <table>", short: "create a table and wait until it serves",
			example: "create users -p 16\ncreate users -p 8 -r 1 -e default_ttl=86400",
			min:     1, max: 1, flags: createFlags, run: runCreate,
		}, {
			use: "drop <table>", short: "drop a table; it can be recalled for a while",
			example: "drop users\ndrop users -r 3600",
			min:     1, max: 1, flags: dropFlags, run: runDrop,
		}, {
			use: "recall <table_id> [new_name]", short: "bring a dropped table back",
			example: "ls -s dropped; recall 3",
			min:     1, max: 2, run: runRecall,
		}, {
			use: "rename <table> <new_name>", short: "rename a table",
			example: "rename users accounts",
			min:     2, max: 2, run: runRename,
		},
	}
}

func lsFlags(f *pflag.FlagSet) {
	f.StringP("status", "s", "available", "all, available, creating, dropping or dropped")
	f.BoolP("all", "a", false, "the same as -s all")
}

var tableStates = map[string]admin.AppStatus{
	"all":       admin.AppStatus_AS_INVALID,
	"available": admin.AppStatus_AS_AVAILABLE,
	"creating":  admin.AppStatus_AS_CREATING,
	"dropping":  admin.AppStatus_AS_DROPPING,
	"dropped":   admin.AppStatus_AS_DROPPED,
}

func runLs(ctx context.Context, c *call) error {
	name := parse.Text(c.flagText("status"))
	if c.flagOn("all") {
		name = "all"
	}
	status, ok := tableStates[name]
	if !ok {
		return usagef(fmt.Sprintf("--status is %q; known are all, available, creating, dropping and dropped", name))
	}
	ctx, cancel := c.limited(ctx)
	defer cancel()
	tables, err := c.listTables(ctx, status)
	if err != nil {
		return err
	}
	r := c.open(render.Columns("app_id", "status", "app_name", "partition_count", "replica_count", "create_time", "drop_time", "envs_count"), nil)
	for _, t := range tables {
		err := r.Row(t.AppID, stateName(t.Status), t.AppName, t.PartitionCount, t.MaxReplicaCount,
			moment(t.CreateSecond), moment(t.DropSecond), len(t.Envs))
		if err != nil {
			return err
		}
	}
	return c.done(render.Summary{})
}

// stateName is AS_AVAILABLE as AVAILABLE.
func stateName(s admin.AppStatus) string { return strings.TrimPrefix(s.String(), "AS_") }

// moment is a Unix time, nothing when there is none.
func moment(unix int64) any {
	if unix <= 0 {
		return nil
	}
	return time.Unix(unix, 0).UTC()
}

func appFlags(f *pflag.FlagSet) {
	f.BoolP("detailed", "d", false, "show the partitions: term, leader, followers")
}

func runApp(ctx context.Context, c *call) error {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	t, err := c.tableInfo(ctx, c.text(0))
	if err != nil {
		return err
	}
	if c.flagOn("detailed") {
		return c.partitions(ctx, t)
	}
	p := c.properties()
	p.add("app_name", t.AppName)
	p.add("app_id", t.AppID)
	p.add("status", stateName(t.Status))
	p.add("partition_count", t.PartitionCount)
	p.add("max_replica_count", t.MaxReplicaCount)
	p.add("create_time", moment(t.CreateSecond))
	p.add("envs_count", len(t.Envs))
	return p.done()
}

func (c *call) partitions(ctx context.Context, t *admin.AppInfo) error {
	routing, err := c.routing(ctx, t.AppName)
	if err != nil {
		return err
	}
	r := c.open(render.Columns("pidx", "ballot", "replica_count", "primary", "secondaries"), nil)
	healthy := 0
	for _, p := range routing.Partitions {
		held := len(p.Secondaries)
		if addressText(p.Primary) != "-" {
			held++
		}
		if held == int(p.MaxReplicaCount) {
			healthy++
		}
		count := fmt.Sprintf("%d/%d", held, p.MaxReplicaCount)
		if err := r.Row(p.Pid.PartitionIndex, p.Ballot, count, addressText(p.Primary), addressTexts(p.Secondaries)); err != nil {
			return err
		}
	}
	return c.done(render.Summary{
		Text:   fmt.Sprintf("%d of %d partitions fully healthy", healthy, len(routing.Partitions)),
		Fields: []render.Field{{Name: "fully_healthy", Value: healthy}},
	})
}

func createFlags(f *pflag.FlagSet) {
	f.IntP("partition_count", "p", 4, "partitions, a power of two")
	f.IntP("replica_count", "r", 3, "replicas of each partition")
	f.BoolP("fail_if_exist", "f", false, "fail when the table is there already")
	f.StringP("envs", "e", "", "settings of the table, k1=v1,k2=v2")
}

func runCreate(ctx context.Context, c *call) error {
	envs, err := parseEnvs(parse.Text(c.flagText("envs")))
	if err != nil {
		return err
	}
	name := c.text(0)
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	req := &admin.ConfigurationCreateAppRequest{AppName: name, Options: &admin.CreateAppOptions{
		PartitionCount: int32(c.flagInt("partition_count")), ReplicaCount: int32(c.flagInt("replica_count")),
		SuccessIfExist: !c.flagOn("fail_if_exist"), AppType: "pegasus", IsStateful: true, Envs: envs,
	}}
	var reply admin.ConfigurationCreateAppResponse
	err = c.meta(ctx, "RPC_CM_CREATE_APP", req, &reply, !c.flagOn("fail_if_exist"), func() (*base.ErrorCode, string) {
		return reply.Err, ""
	})
	if err != nil {
		return err
	}
	if err := c.waitLeaders(ctx, name); err != nil {
		return err
	}
	return c.done(render.Summary{
		Text:   fmt.Sprintf("create app %s succeed", quoted(name)),
		Fields: []render.Field{{Name: "app_id", Value: reply.Appid}},
	})
}

func parseEnvs(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	envs := make(map[string]string)
	for _, pair := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usagef(fmt.Sprintf("--envs has %q, which is not key=value", pair))
		}
		envs[name] = value
	}
	return envs, nil
}

// waitLeaders waits until every partition of a table has a leader.
func (c *call) waitLeaders(ctx context.Context, name string) error {
	for {
		routing, err := c.routing(ctx, name)
		if err == nil && led(routing) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("table %s was created, and not every partition has a leader yet: %w", quoted(name), ctx.Err())
		case <-time.After(readyInterval):
		}
	}
}

func led(routing *admin.QueryCfgResponse) bool {
	for _, p := range routing.Partitions {
		if addressText(p.Primary) == "-" {
			return false
		}
	}
	return len(routing.Partitions) > 0
}

func dropFlags(f *pflag.FlagSet) {
	f.Int64P("reserve_seconds", "r", 0, "how long it can be recalled; 0 = as the server is set")
}

func runDrop(ctx context.Context, c *call) error {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	name := c.text(0)
	reserve, _ := c.flags.GetInt64("reserve_seconds") // parsed by pflag
	req := &admin.ConfigurationDropAppRequest{AppName: name, Options: &admin.DropAppOptions{}}
	if reserve > 0 {
		req.Options.ReserveSeconds = &reserve
	}
	var reply admin.ConfigurationDropAppResponse
	err := c.meta(ctx, "RPC_CM_DROP_APP", req, &reply, false, func() (*base.ErrorCode, string) { return reply.Err, "" })
	if err != nil {
		return err
	}
	return c.done(render.Summary{Text: fmt.Sprintf("drop app %s succeed", quoted(name))})
}

func runRecall(ctx context.Context, c *call) error {
	id, err := strconv.ParseInt(c.text(0), 10, 32)
	if err != nil {
		return usagef(fmt.Sprintf("table id is %q, not a number; ls -s dropped shows it", c.text(0)))
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	req := &admin.ConfigurationRecallAppRequest{AppID: int32(id), NewAppName_: c.optional(1, "")}
	var reply admin.ConfigurationRecallAppResponse
	err = c.meta(ctx, "RPC_CM_RECALL_APP", req, &reply, false, func() (*base.ErrorCode, string) { return reply.Err, "" })
	if err != nil {
		return err
	}
	if err := c.waitLeaders(ctx, reply.Info.AppName); err != nil {
		return err
	}
	return c.done(render.Summary{
		Text:   fmt.Sprintf("recall app %d succeed, it is %s", id, quoted(reply.Info.AppName)),
		Fields: []render.Field{{Name: "app_name", Value: reply.Info.AppName}},
	})
}

func runRename(ctx context.Context, c *call) error {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	req := &admin.ConfigurationRenameAppRequest{OldAppName: c.text(0), NewAppName_: c.text(1)}
	var reply admin.ConfigurationRenameAppResponse
	err := c.meta(ctx, "RPC_CM_RENAME_APP", req, &reply, false, func() (*base.ErrorCode, string) {
		return reply.Err, reply.HintMessage
	})
	if err != nil {
		return err
	}
	return c.done(render.Summary{Text: fmt.Sprintf("rename app ok, %s is now %s", quoted(c.text(0)), quoted(c.text(1)))})
}
