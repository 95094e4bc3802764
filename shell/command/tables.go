package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// createTimeout bounds the wait for a new table's partitions: each elects a
// leader, which takes a second or two on a busy cluster.
const createTimeout = time.Minute

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
			use: "create <table>", short: "create a table and wait until it is complete",
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

var tableStates = map[string]admin.Status{
	"all":       admin.StatusUnknown,
	"available": admin.StatusAvailable,
	"creating":  admin.StatusCreating,
	"dropping":  admin.StatusDropping,
	"dropped":   admin.StatusDropped,
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
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		tables, err := a.ListTables(ctx, status)
		if err != nil {
			return err
		}
		r := c.open(render.Columns("table_id", "table", "status", "partitions", "replicas", "envs", "created", "dropped"), nil)
		for _, t := range tables {
			err := r.Row(t.ID, t.Name, t.Status.String(), t.Partitions, t.Replicas, len(t.Envs), moment(t.Created), moment(t.Dropped))
			if err != nil {
				return err
			}
		}
		return c.done(render.Summary{})
	})
}

// moment is a time, nothing when there is none.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC()
}

func appFlags(f *pflag.FlagSet) {
	f.BoolP("detailed", "d", false, "show the partitions: term, leader, followers")
}

func runApp(ctx context.Context, c *call) error {
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		t, err := a.GetTable(ctx, c.text(0))
		if err != nil {
			return err
		}
		if c.flagOn("detailed") {
			return c.partitions(ctx, a, t.Name)
		}
		p := c.properties()
		p.add("table", t.Name)
		p.add("table_id", t.ID)
		p.add("status", t.Status.String())
		p.add("partitions", t.Partitions)
		p.add("replicas", t.Replicas)
		p.add("envs", len(t.Envs))
		p.add("created", moment(t.Created))
		return p.done()
	})
}

func (c *call) partitions(ctx context.Context, a *admin.Admin, table string) error {
	routing, err := a.QueryTable(ctx, table)
	if err != nil {
		return err
	}
	r := c.open(render.Columns("partition", "term", "replicas", "replicas_wanted", "leader", "followers"), nil)
	complete := 0
	for _, p := range routing.Partitions {
		held := len(p.Followers)
		if p.Leader != "" {
			held++
		}
		if p.Leader != "" && held >= p.Replicas {
			complete++
		}
		if err := r.Row(p.Index, p.Term, held, p.Replicas, orNil(p.Leader), p.Followers); err != nil {
			return err
		}
	}
	return c.done(render.Summary{
		Text:   fmt.Sprintf("%d of %d partitions fully healthy", complete, len(routing.Partitions)),
		Fields: []render.Field{{Name: "fully_healthy", Value: complete}},
	})
}

// orNil turns an absent text into an absent value.
func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
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
	return c.administerFor(ctx, createTimeout, func(ctx context.Context, a *admin.Admin) error {
		id, err := a.CreateTable(ctx, name, admin.CreateOptions{
			Partitions: c.flagInt("partition_count"), Replicas: c.flagInt("replica_count"),
			Envs: envs, FailIfExists: c.flagOn("fail_if_exist"),
		})
		if err != nil {
			return err
		}
		if err := a.WaitReady(ctx, name); err != nil {
			return err
		}
		return c.done(render.Summary{
			Text:   fmt.Sprintf("create table %s succeed", quoted(name)),
			Fields: []render.Field{{Name: "table_id", Value: id}},
		})
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

func dropFlags(f *pflag.FlagSet) {
	f.Int64P("reserve_seconds", "r", 0, "how long it can be recalled; 0 = as the server is set")
}

func runDrop(ctx context.Context, c *call) error {
	reserve, _ := c.flags.GetInt64("reserve_seconds") // parsed by pflag
	if reserve < 0 {
		return usagef("--reserve_seconds is below 0")
	}
	options := admin.DropOptions{Reserve: time.Duration(reserve) * time.Second, FailIfMissing: true}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		if err := a.DropTable(ctx, c.text(0), options); err != nil {
			return err
		}
		return c.done(render.Summary{Text: fmt.Sprintf("drop table %s succeed", quoted(c.text(0)))})
	})
}

func runRecall(ctx context.Context, c *call) error {
	id, err := strconv.ParseInt(c.text(0), 10, 32)
	if err != nil {
		return usagef(fmt.Sprintf("table id is %q, not a number; ls -s dropped shows it", c.text(0)))
	}
	return c.administerFor(ctx, createTimeout, func(ctx context.Context, a *admin.Admin) error {
		t, err := a.RecallTable(ctx, int32(id), c.optional(1, ""))
		if err != nil {
			return err
		}
		if err := a.WaitReady(ctx, t.Name); err != nil {
			return err
		}
		return c.done(render.Summary{
			Text:   fmt.Sprintf("recall table %d succeed, it is %s", id, quoted(t.Name)),
			Fields: []render.Field{{Name: "table", Value: t.Name}},
		})
	})
}

func runRename(ctx context.Context, c *call) error {
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		if err := a.RenameTable(ctx, c.text(0), c.text(1)); err != nil {
			return err
		}
		return c.done(render.Summary{Text: fmt.Sprintf("rename table %s to %s succeed", quoted(c.text(0)), quoted(c.text(1)))})
	})
}

// administer runs f within the time of one command.
func (c *call) administer(ctx context.Context, f func(context.Context, *admin.Admin) error) error {
	return c.administerFor(ctx, c.session.Timeout, f)
}

func (c *call) administerFor(ctx context.Context, limit time.Duration, f func(context.Context, *admin.Admin) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := c.session.connect(ctx)
	if err != nil {
		return err
	}
	return f(ctx, admin.New(conn))
}
