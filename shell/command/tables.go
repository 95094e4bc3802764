package command

import (
	"context"
	"fmt"
	"slices"
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

// createCalls is how many times longer than another command creating may take: the
// servers answer once every partition exists.
const createCalls = 3

// tableVerbs administer tables.
func tableVerbs() []verb {
	return []verb{
		{
			use: "table list", short: "list the tables",
			example: "table list\nls -s all\ntable list --like '^user' --sort -partitions",
			aliases: []string{"ls", "list_tables"}, flags: lsFlags, run: runLs,
			related: []string{"table show", "table stat"},
		}, {
			use: "table show <table>", short: "show a table; -d with its partitions",
			example: "table show temp\napp temp -d",
			aliases: []string{"app"}, min: 1, max: 1, flags: appFlags, run: runApp,
			related: []string{"table partitions", "envs get"},
		}, {
			use: "table partitions [table]", short: "show the partitions of a table: leader, followers, term",
			example: "table partitions temp\ntable partitions temp --sort leader -o csv",
			aliases: []string{"table_partitions"}, max: 1, run: runPartitions,
		}, {
			use: "table create <table>", short: "create a table and wait until it is complete",
			example: "table create users -p 16\ncreate accounts -p 8 -r 1 -e default_ttl=86400",
			aliases: []string{"create"}, min: 1, max: 1, flags: createFlags, run: runCreate, changes: true,
		}, {
			use: "table drop <table>", short: "drop a table; it can be recalled for a while",
			example: "table drop users --dry-run\ndrop users -r 3600",
			aliases: []string{"drop"}, min: 1, max: 1, flags: dropFlags, run: runDrop, changes: true,
			related: []string{"table recall"},
		}, {
			use: "table recall <table> [new_name]", short: "bring a dropped table back, by its name or its id",
			example: "table list -s dropped\nrecall 3 users --dry-run",
			aliases: []string{"recall"}, min: 1, max: 2, run: runRecall, changes: true,
		}, {
			use: "table rename <table> <new_name>", short: "rename a table",
			example: "rename users accounts --dry-run\ntable rename accounts users --dry-run",
			aliases: []string{"rename"}, min: 2, max: 2, run: runRename, changes: true,
		}, {
			use: "table replicas <table> [count]", short: "show or change how many replicas a table has",
			example: "table replicas temp\nset_replica_count temp 3 --dry-run",
			aliases: []string{"get_replica_count", "set_replica_count"}, min: 1, max: 2, run: runReplicaCount, changes: true,
		}, {
			use: "table idempotent <table> [true|false]", short: "show or change whether atomic writes are logged as plain ones",
			example: "table idempotent temp\ntable idempotent temp true --dry-run",
			aliases: []string{"get_atomic_idempotent"}, min: 1, max: 2, run: runIdempotent, changes: true,
		}, {
			use: "enable_atomic_idempotent <table>", short: "the same as table idempotent <table> true",
			example: "enable_atomic_idempotent temp --dry-run\nenable_atomic_idempotent temp --dry-run -o json",
			min:     1, max: 1, run: runIdempotentOn, changes: true,
		}, {
			use: "disable_atomic_idempotent <table>", short: "the same as table idempotent <table> false",
			example: "disable_atomic_idempotent temp --dry-run\ndisable_atomic_idempotent temp --dry-run -o json",
			min:     1, max: 1, run: runIdempotentOff, changes: true,
		},
	}
}

func lsFlags(f *pflag.FlagSet) {
	f.StringP("status", "s", "available", "all, available, creating, dropping or dropped")
	f.BoolP("all", "a", false, "the same as -s all")
	f.Bool("drop", false, "the same as -s dropped")
	f.BoolP("detailed", "d", false, "count the partitions that are not whole")
	f.StringP("app_name_pattern", "p", "", "tables whose name matches")
	f.StringP("match_type", "m", "all", "all, exact, anywhere, prefix or postfix")
	f.BoolP("json", "j", false, "the same as -o json")
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
	if c.flagOn("drop") {
		name = "dropped"
	}
	status, ok := tableStates[name]
	if !ok {
		return usagef(fmt.Sprintf("--status is %q; known are all, available, creating, dropping and dropped", name))
	}
	matches, err := c.nameFilter()
	if err != nil {
		return err
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		tables, err := a.ListTables(ctx, status)
		if err != nil {
			return err
		}
		tables = slices.DeleteFunc(tables, func(t admin.Table) bool { return !matches(t.Name) })
		if c.flagOn("detailed") {
			return c.showHealth(ctx, a, tables)
		}
		r := c.open(render.Columns("table_id", "table", "status", "partitions", "replicas", "envs", "created", "dropped", "+recall_until", "+atomic_idempotent"), nil)
		for _, t := range tables {
			err := r.Row(t.ID, t.Name, t.Status.String(), t.Partitions, t.Replicas, len(t.Envs),
				moment(t.Created), moment(t.Dropped), moment(t.Purged), t.AtomicIdempotent)
			if err != nil {
				return err
			}
		}
		return c.done(render.Summary{})
	})
}

// nameFilter reads -p and -m.
func (c *call) nameFilter() (func(string) bool, error) {
	pattern := parse.Text(c.flagText("app_name_pattern"))
	switch kind := parse.Text(c.flagText("match_type")); kind {
	case "all":
		return func(string) bool { return true }, nil
	case "exact":
		return func(name string) bool { return name == pattern }, nil
	case "anywhere":
		return func(name string) bool { return strings.Contains(name, pattern) }, nil
	case "prefix":
		return func(name string) bool { return strings.HasPrefix(name, pattern) }, nil
	case "postfix":
		return func(name string) bool { return strings.HasSuffix(name, pattern) }, nil
	default:
		return nil, usagef(fmt.Sprintf("--match_type is %q; known are all, exact, anywhere, prefix and postfix", kind))
	}
}

// showHealth counts, for each table, the partitions that miss something.
func (c *call) showHealth(ctx context.Context, a *admin.Admin, tables []admin.Table) error {
	r := c.open(render.Columns("table_id", "table", "partitions", "fully_healthy", "unhealthy", "write_unhealthy", "read_unhealthy"), nil)
	sick := 0
	for _, t := range tables {
		if t.Status != admin.StatusAvailable {
			continue
		}
		routing, err := a.QueryTable(ctx, t.Name)
		if err != nil {
			return err
		}
		whole, writable, readable := health(routing)
		count := len(routing.Partitions)
		if whole < count {
			sick++
		}
		if err := r.Row(t.ID, t.Name, count, whole, count-whole, count-writable, count-readable); err != nil {
			return err
		}
	}
	return c.done(render.Summary{
		Text:   fmt.Sprintf("%d tables, %d not fully healthy", len(tables), sick),
		Fields: []render.Field{{Name: "unhealthy_tables", Value: sick}},
	})
}

// health counts the partitions with all replicas, with a leader and a majority,
// and with a leader.
func health(r admin.Routing) (whole, writable, readable int) {
	for _, p := range r.Partitions {
		if p.Leader == "" {
			continue
		}
		readable++
		if len(p.Followers)+1 > p.Replicas/2 {
			writable++
		}
		if len(p.Followers)+1 >= p.Replicas {
			whole++
		}
	}
	return whole, writable, readable
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

func runPartitions(ctx context.Context, c *call) error {
	table, err := c.tableArgument(0)
	if err != nil {
		return err
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error { return c.partitions(ctx, a, table) })
}

// tableArgument is argument n, or the table in use.
func (c *call) tableArgument(n int) (string, error) {
	table := c.optional(n, c.session.Table)
	if table == "" {
		return "", usagef("no table is in use; say: use <table>, or name one")
	}
	return table, nil
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
	act := fmt.Sprintf("create table %s with %d partitions of %d replicas", quoted(name), c.flagInt("partition_count"), c.flagInt("replica_count"))
	if allowed, err := c.proceed(plan{act: act}); !allowed {
		return err
	}
	var id int32
	err = c.administerFor(ctx, createCalls*c.session.Timeout, func(ctx context.Context, a *admin.Admin) (err error) {
		id, err = a.CreateTable(ctx, name, admin.CreateOptions{
			Partitions: c.flagInt("partition_count"), Replicas: c.flagInt("replica_count"),
			Envs: envs, FailIfExists: c.flagOn("fail_if_exist"),
		})
		return err
	})
	if err != nil {
		return err
	}
	return c.administerFor(ctx, createTimeout, func(ctx context.Context, a *admin.Admin) error {
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
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		t, err := a.GetTable(ctx, c.text(0))
		if err != nil {
			return plan{}, err
		}
		left := "it can be recalled for 7 days"
		if reserve > 0 {
			left = "it can be recalled for " + options.Reserve.String()
		}
		return plan{act: "drop table " + quoted(t.Name), radius: radius(ctx, a, t) + "; " + left, object: t.Name}, nil
	}
	return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
		if err := a.DropTable(ctx, c.text(0), options); err != nil {
			return err
		}
		if p := c.session.Printer; p.People() && !p.Quiet {
			fmt.Fprintln(p.Err, "table recall "+c.text(0)+" brings it back")
		}
		return c.done(render.Summary{Text: fmt.Sprintf("drop table %s succeed", quoted(c.text(0)))})
	})
}

func runRecall(ctx context.Context, c *call) error {
	id, err := c.dropped(ctx)
	if err != nil {
		return err
	}
	if allowed, err := c.proceed(plan{act: fmt.Sprintf("bring table %d back", id)}); !allowed {
		return err
	}
	return c.administerFor(ctx, createTimeout, func(ctx context.Context, a *admin.Admin) error {
		t, err := a.RecallTable(ctx, id, c.optional(1, ""))
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

// dropped gives the id of the dropped table that the first argument names. Several
// of one name may have been dropped: the person chooses, by the id.
func (c *call) dropped(ctx context.Context) (int32, error) {
	name := c.text(0)
	if id, err := strconv.ParseInt(name, 10, 32); err == nil {
		return int32(id), nil
	}
	var ids []string
	var id int32
	err := c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		tables, err := a.ListTables(ctx, admin.StatusDropped)
		for _, t := range tables {
			if t.Name == name {
				id = t.ID
				ids = append(ids, strconv.Itoa(int(t.ID)))
			}
		}
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case len(ids) == 0:
		return 0, usagef("no table " + quoted(name) + " has been dropped; ls -s dropped shows those that can be recalled")
	case len(ids) > 1:
		return 0, usagef(fmt.Sprintf("%d tables %s have been dropped; say which by its id: %s; ls -s dropped -o wide tells them apart",
			len(ids), quoted(name), strings.Join(ids, ", ")))
	}
	return id, nil
}

func runRename(ctx context.Context, c *call) error {
	act := fmt.Sprintf("rename table %s to %s", quoted(c.text(0)), quoted(c.text(1)))
	if allowed, err := c.proceed(plan{act: act, radius: "clients that use the old name fail", object: c.text(0)}); !allowed {
		return err
	}
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
