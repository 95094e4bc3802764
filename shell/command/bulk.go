package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/profile"
	"github.com/arionkv/arion/shell/render"
)

// bulkVerbs work on whole tables. Their time limit is that of a step.
func bulkVerbs() []verb {
	return append([]verb{
		{
			use: "copy_data", short: "copy the records of the table to another table, here or in another cluster",
			example: "copy_data -a copy\ncopy_data -c 10.0.0.5:34601 -a temp -h prefix -x user --rate 5000\ncopy_data -a copy --no_overwrite",
			flags:   copyFlags, run: runCopyData, related: []string{"export", "count_data"},
		}, {
			use: "clear_data", short: "delete the records of the table, or those that match",
			example: "clear_data --force --dry-run\nclear_data -h prefix -x tmp- --force --dry-run",
			flags:   clearDataFlags, run: runClearData, changes: true,
		}, {
			use: "data_size [table]", short: "show how much room tables take, by partition with -d",
			example: "data_size\ndata_size temp -d --sort -bytes",
			aliases: []string{"app_disk", "table disk"}, max: 1, flags: dataSizeFlags, run: runDataSize, related: []string{"table stat", "count_data"},
		},
	}, fileVerbs()...)
}

func copyFlags(f *pflag.FlagSet) {
	f.StringP("target_cluster_name", "c", "", "profile or meta servers of the other cluster; default: this one")
	f.StringP("target_app_name", "a", "", "table to copy to (required)")
	tableFilterFlags(f)
	walkFlags(f)
	f.IntP("max_batch_count", "b", 500, "records of one step")
	f.BoolP("no_overwrite", "n", false, "leave records that the other table has")
	f.BoolP("no_ttl", "e", false, "let the copies live for ever")
}

func runCopyData(ctx context.Context, c *call) error {
	if err := c.need("target_app_name"); err != nil {
		return err
	}
	target, closeTarget, err := c.target(ctx)
	if err != nil {
		return err
	}
	defer closeTarget()
	options, err := c.scanOptions()
	if err != nil {
		return err
	}
	options.Expiry, options.PageSize = !c.flagOn("no_ttl"), c.flagInt("max_batch_count")
	w, err := c.newWalk(ctx, options)
	if err != nil {
		return err
	}
	var kept, expired atomic.Int64
	err = w.run(ctx, func(ctx context.Context, rows []client.Row) error {
		entries, gone := entriesOf(rows, time.Now())
		expired.Add(int64(gone))
		if c.flagOn("no_overwrite") {
			n, err := setMissing(ctx, target, entries)
			kept.Add(n)
			return err
		}
		return c.setAll(ctx, target, entries)
	})
	if err != nil {
		return err
	}
	n := w.state.Records - kept.Load() - expired.Load()
	return c.done(render.Summary{
		Text:   fmt.Sprintf("%d records copied from %s to %s, %d left as they were", n, quoted(c.session.Table), quoted(target.Name()), kept.Load()),
		Fields: []render.Field{{Name: "copied", Value: n}, {Name: "kept", Value: kept.Load()}, {Name: "expired", Value: expired.Load()}},
	})
}

// target is the table to copy to, in this cluster or another.
func (c *call) target(ctx context.Context) (*client.Table, func(), error) {
	name := parse.Text(c.flagText("target_app_name"))
	cluster := parse.Text(c.flagText("target_cluster_name"))
	if cluster == "" {
		if name == c.session.Table {
			return nil, nil, usagef("the table would be copied onto itself")
		}
		conn, err := c.session.connect(ctx)
		if err != nil {
			return nil, nil, err
		}
		_, err = c.session.partitionsOf(ctx, conn.Table(name))
		return conn.Table(name), func() {}, err
	}
	metas := strings.Split(cluster, ",")
	if p, err := c.session.Profiles.Get(cluster); err == nil && p != nil {
		metas = p.Metas
	} else if !strings.Contains(cluster, ":") && errors.Is(err, profile.ErrUnknown) {
		return nil, nil, usagef(err.Error() + "; ctx list shows them")
	}
	conn, err := c.session.open(ctx, metas)
	if err != nil {
		return nil, nil, err
	}
	if _, err := c.session.partitionsOf(ctx, conn.Table(name)); err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn.Table(name), func() { conn.Close() }, nil
}

// entriesOf turns rows into what a batch writes, leaving out those that died on
// the way. A record never lives longer than the one it was copied from.
func entriesOf(rows []client.Row, now time.Time) (entries []client.Entry, expired int) {
	for _, row := range rows {
		e := client.Entry{HashKey: row.HashKey, SortKey: row.SortKey, Value: row.Value}
		if !row.Expires.IsZero() {
			if e.TTL = row.Expires.Sub(now).Truncate(time.Second); e.TTL <= 0 {
				expired++
				continue
			}
		}
		entries = append(entries, e)
	}
	return entries, expired
}

func (c *call) setAll(ctx context.Context, t *client.Table, entries []client.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, c.session.Timeout)
	defer cancel()
	if len(entries) == 0 {
		return nil
	}
	errs, err := t.BatchSet(ctx, entries)
	return firstOf(errs, err)
}

// firstOf gives an error that says what went wrong with a record rather than that
// something did.
func firstOf(errs []error, err error) error {
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return err
}

// setMissing writes the records that are not there and counts the others.
func setMissing(ctx context.Context, t *client.Table, entries []client.Entry) (kept int64, err error) {
	pending := make([]*client.Deferred[client.CheckResult], len(entries))
	for i, e := range entries {
		pending[i] = t.CheckAndSetAsync(ctx, e.HashKey, client.Check{SortKey: e.SortKey, Type: client.ValueNotExist},
			client.Put{SortKey: e.SortKey, Value: e.Value, TTL: e.TTL})
	}
	for _, d := range pending {
		r, e := d.Wait(ctx)
		if e != nil && err == nil {
			err = e
		}
		if e == nil && !r.Passed {
			kept++
		}
	}
	return kept, err
}

func clearDataFlags(f *pflag.FlagSet) {
	tableFilterFlags(f)
	walkFlags(f)
	f.IntP("max_batch_count", "b", 500, "records of one step")
	f.BoolP("force", "f", false, "needed, as the Pegasus shell has it")
}

func runClearData(ctx context.Context, c *call) error {
	if !c.flagOn("force") {
		return usagef("clear_data deletes records; it needs --force")
	}
	options, err := c.scanOptions()
	if err != nil {
		return err
	}
	options.PageSize = c.flagInt("max_batch_count")
	options.NoValue = !c.flags.Changed("value_filter_type")
	table := c.session.Table
	if table == "" {
		return usagef("no table is in use; say: use <table>")
	}
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		t, err := a.GetTable(ctx, table)
		if err != nil {
			return plan{}, err
		}
		what := "every record"
		if options.HashKeys.Type != client.NoFilter || options.SortKeys.Type != client.NoFilter || !options.NoValue || c.flags.Changed("partition") {
			what = "the matching records"
		}
		return plan{act: fmt.Sprintf("delete %s of table %s", what, quoted(table)), radius: radius(ctx, a, t), object: table, lost: true}, nil
	}
	return c.change(ctx, look, func(context.Context, *admin.Admin) error { return c.clearData(ctx, options) })
}

func (c *call) clearData(ctx context.Context, options client.ScanOptions) error {
	w, err := c.newWalk(ctx, options)
	if err != nil {
		return err
	}
	err = w.run(ctx, func(ctx context.Context, rows []client.Row) error {
		ctx, cancel := context.WithTimeout(ctx, c.session.Timeout)
		defer cancel()
		keys := make([]client.Key, len(rows))
		for i, row := range rows {
			keys[i] = client.Key{HashKey: row.HashKey, SortKey: row.SortKey}
		}
		if len(keys) == 0 {
			return nil
		}
		errs, err := w.t.BatchDel(ctx, keys)
		return firstOf(errs, err)
	})
	if err != nil {
		return err
	}
	return c.done(render.Summary{
		Text:   fmt.Sprintf("%d records of %s deleted", w.state.Records, quoted(c.session.Table)),
		Fields: []render.Field{{Name: "deleted", Value: w.state.Records}},
	})
}

func dataSizeFlags(f *pflag.FlagSet) {
	f.BoolP("detailed", "d", false, "by partition")
	f.BoolP("json", "j", false, "the same as -o json")
}

func runDataSize(ctx context.Context, c *call) error {
	only := c.optional(0, "")
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		tables, err := a.ListTables(ctx, admin.StatusAvailable)
		if err != nil {
			return err
		}
		views, err := inspect(ctx, a, detail{})
		if err != nil {
			return err
		}
		all := sizesOf(views)
		columns := render.Columns("table", "partitions", "bytes", "all_replicas_bytes", "replicas")
		if c.flagOn("detailed") {
			columns = render.Columns("table", "partition", "leader", "bytes", "all_replicas_bytes", "replicas")
		}
		r := c.open(columns, nil)
		found := false
		for _, t := range tables {
			if only != "" && t.Name != only {
				continue
			}
			found = true
			if err := c.sizeRows(r, t, all[t.ID]); err != nil {
				return err
			}
		}
		if !found && only != "" {
			return &admin.Error{Op: "get-table", Target: only, Kind: client.ErrTableNotFound}
		}
		return c.done(render.Summary{})
	})
}

func (c *call) sizeRows(r render.Result, t admin.Table, s *sizes) error {
	if s == nil {
		s = &sizes{}
	}
	if !c.flagOn("detailed") {
		replicas := 0
		for _, p := range s.partitions {
			replicas += p.replicas
		}
		return r.Row(t.Name, t.Partitions, render.Size(s.leaders), render.Size(s.all), replicas)
	}
	for i := range t.Partitions {
		p := s.partitions[int32(i)]
		if p == nil {
			p = &partitionSize{}
		}
		if err := r.Row(t.Name, i, orNil(p.node), render.Size(p.leader), render.Size(p.all), p.replicas); err != nil {
			return err
		}
	}
	return nil
}

// sizesOf adds up what the nodes report, by table.
func sizesOf(views []*nodeView) map[int32]*sizes {
	all := map[int32]*sizes{}
	for _, v := range views {
		for _, r := range v.Replicas {
			s := all[r.Partition.Table]
			if s == nil {
				s = &sizes{partitions: map[int32]*partitionSize{}}
				all[r.Partition.Table] = s
			}
			s.add(v.addr, r)
		}
	}
	return all
}
