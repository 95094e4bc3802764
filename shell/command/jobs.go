package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/render"
)

// splitVerbs double the partitions of a table.
func splitVerbs() []verb {
	return []verb{
		{
			use: "split start [table] [new_count]", short: "split every partition of a table in two",
			example: "split start temp --dry-run\npartition-split start -a temp -p 16 --dry-run",
			aliases: []string{"partition_split start"}, max: 2, flags: splitStartFlags, run: runSplitStart, changes: true,
			related: []string{"split status", "split pause", "split cancel"},
		}, {
			use: "split status [table]", short: "show how far a split is",
			example: "split status temp\nwatch 2s split status temp -n 1",
			aliases: []string{"partition_split query"}, max: 1, flags: tableFlag, run: runSplitStatus,
		}, {
			use: "split pause [table] [partition]", short: "halt the split of a table or of one partition",
			example: "split pause temp --dry-run\nsplit pause temp 3 --dry-run",
			aliases: []string{"partition_split pause"}, max: 2, flags: splitPartFlags, run: splitControl(admin.SplitPause, "pause"), changes: true,
		}, {
			use: "split resume [table] [partition]", short: "go on with a paused split",
			example: "split resume temp --dry-run\nsplit resume temp 3 --dry-run",
			aliases: []string{"partition_split restart", "split restart"}, max: 2, flags: splitPartFlags, run: splitControl(admin.SplitRestart, "resume"), changes: true,
		}, {
			use: "split cancel [table]", short: "give a split up and go back to the old count",
			example: "split cancel temp --dry-run\npartition-split cancel -a temp -p 8 --dry-run",
			aliases: []string{"partition_split cancel"}, max: 1, flags: splitCancelFlags, run: splitControl(admin.SplitCancel, "cancel"), changes: true,
		},
	}
}

// The -a flag names the table for those who come from admin-cli.
func tableFlag(f *pflag.FlagSet) { f.StringP("table_name", "a", "", "the table, as admin-cli has it") }

func splitStartFlags(f *pflag.FlagSet) {
	tableFlag(f)
	f.IntP("new_partition_count", "p", 0, "partitions afterwards: twice the present number")
}

func splitPartFlags(f *pflag.FlagSet) {
	tableFlag(f)
	f.IntP("parent_pidx", "i", admin.AllPartitions, "only this partition")
}

func splitCancelFlags(f *pflag.FlagSet) {
	tableFlag(f)
	f.IntP("old_partition_count", "p", 0, "the count to go back to")
}

// jobTable is the table of a job: argument 0, -a, or the table in use.
func (c *call) jobTable() (string, error) {
	if c.flags.Changed("table_name") {
		return c.flagText("table_name"), nil
	}
	return c.tableArgument(0)
}

// number is argument n as a number, or the flag, or the flag's default.
func (c *call) number(n int, flag string) (int, error) {
	if n >= len(c.args) {
		return c.flagInt(flag), nil
	}
	value, err := strconv.Atoi(c.text(n))
	if err != nil {
		return 0, usagef(quoted(c.text(n)) + " is not a number")
	}
	return value, nil
}

func runSplitStart(ctx context.Context, c *call) error {
	table, err := c.jobTable()
	if err != nil {
		return err
	}
	count, err := c.number(1, "new_partition_count")
	if err != nil {
		return err
	}
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		t, err := a.GetTable(ctx, table)
		if err != nil {
			return plan{}, err
		}
		if count == 0 {
			count = 2 * t.Partitions
		}
		return plan{act: fmt.Sprintf("split table %s from %d to %d partitions", quoted(table), t.Partitions, count),
			radius: radius(ctx, a, t), object: table}, nil
	}
	return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
		if err := a.StartSplit(ctx, table, count); err != nil {
			return err
		}
		return c.done(render.Summary{
			Text:   fmt.Sprintf("split of %s to %d partitions started; split status %s shows how far", quoted(table), count, table),
			Fields: []render.Field{{Name: "partitions", Value: count}},
		})
	})
}

func runSplitStatus(ctx context.Context, c *call) error {
	table, err := c.jobTable()
	if err != nil {
		return err
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		t, err := a.GetTable(ctx, table)
		if err != nil {
			return err
		}
		state, err := a.SplitState(ctx, table)
		if errors.Is(err, admin.ErrState) {
			return c.done(render.Summary{
				Text:   fmt.Sprintf("table %s is not splitting; it has %d partitions", quoted(table), t.Partitions),
				Fields: []render.Field{{Name: "splitting", Value: false}, {Name: "partitions", Value: t.Partitions}},
			})
		}
		if err != nil {
			return err
		}
		r := c.open(render.Columns("partition", "state"), nil)
		for _, index := range slices.Sorted(maps.Keys(state)) {
			if err := r.Row(index, strings.ToLower(state[index])); err != nil {
				return err
			}
		}
		return c.done(render.Summary{
			Text:   fmt.Sprintf("%d of %d partitions still to split", len(state), t.Partitions/2),
			Fields: []render.Field{{Name: "splitting", Value: true}, {Name: "left", Value: len(state)}, {Name: "partitions", Value: t.Partitions}},
		})
	})
}

func splitControl(what admin.SplitControl, word string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		table, err := c.jobTable()
		if err != nil {
			return err
		}
		partition := admin.AllPartitions
		if what != admin.SplitCancel {
			if partition, err = c.number(1, "parent_pidx"); err != nil {
				return err
			}
		}
		old := 0
		look := func(ctx context.Context, a *admin.Admin) (plan, error) {
			t, err := a.GetTable(ctx, table)
			if what == admin.SplitCancel {
				if old = c.flagInt("old_partition_count"); old == 0 {
					old = t.Partitions / 2
				}
			}
			return plan{act: word + " the split of table " + quoted(table)}, err
		}
		return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
			if err := a.ControlSplit(ctx, table, what, partition, old); err != nil {
				return err
			}
			return c.done(render.Summary{Text: word + " split of " + quoted(table) + " succeed"})
		})
	}
}

// compactVerbs rewrite the data of a table.
func compactVerbs() []verb {
	return []verb{
		{
			use: "compact start [table]", short: "compact a table by hand, in the background",
			example: "compact start temp --dry-run\ncompact start temp --wait --dry-run",
			aliases: []string{"manual_compaction start"}, max: 1, flags: compactFlags, run: runCompact, changes: true,
			related: []string{"compact status"},
		}, {
			use: "compact status [table]", short: "show how far a compaction is",
			example: "compact status temp\nwatch 2s compact status temp -n 1",
			aliases: []string{"manual_compaction query"}, max: 1, flags: tableFlag, run: runCompactStatus,
		},
	}
}

func compactFlags(f *pflag.FlagSet) {
	tableFlag(f)
	f.IntP("target_level", "l", -1, "level to end in; -1 = chosen by the server")
	f.IntP("max_concurrent_running_count", "c", 0, "partitions at a time on each node; 0 = all")
	f.BoolP("bottommost_level_compaction", "b", false, "rewrite the last level as well")
	f.BoolP("wait", "w", false, "wait until it is done, showing how far it is")
}

func runCompact(ctx context.Context, c *call) error {
	table, err := c.jobTable()
	if err != nil {
		return err
	}
	options := admin.CompactOptions{
		TargetLevel: c.flagInt("target_level"), MaxRunning: c.flagInt("max_concurrent_running_count"), Bottommost: c.flagOn("bottommost_level_compaction"),
	}
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		t, err := a.GetTable(ctx, table)
		if err != nil {
			return plan{}, err
		}
		return plan{act: "compact table " + quoted(table), radius: radius(ctx, a, t) + "; disks will be busy"}, nil
	}
	return c.changeFor(ctx, jobWait, look, func(ctx context.Context, a *admin.Admin) error {
		if err := c.brief(ctx, func(ctx context.Context) error { return a.StartCompaction(ctx, table, options) }); err != nil {
			return err
		}
		if c.flagOn("wait") {
			if err := c.waitCompacted(ctx, a, table); err != nil {
				return err
			}
			return c.done(render.Summary{Text: "compaction of " + quoted(table) + " is done"})
		}
		return c.done(render.Summary{Text: "compaction of " + quoted(table) + " started; compact status " + table + " shows how far"})
	})
}

// jobWait bounds waiting for a job of the cluster; Ctrl-C ends it earlier.
const jobWait = 24 * time.Hour

// poll is how often a job is asked about.
const poll = 500 * time.Millisecond

func (c *call) waitCompacted(ctx context.Context, a *admin.Admin, table string) error {
	bar := c.progress("percent")
	bar.total = 100
	defer bar.end()
	for {
		var n int
		err := c.brief(ctx, func(ctx context.Context) (err error) {
			n, err = a.CompactionProgress(ctx, table)
			return err
		})
		if errors.Is(err, admin.ErrState) || err == nil && n >= 100 {
			return nil
		}
		if err != nil {
			return err
		}
		bar.set(int64(n))
		if err := sleep(ctx, poll); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func runCompactStatus(ctx context.Context, c *call) error {
	table, err := c.jobTable()
	if err != nil {
		return err
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		n, err := a.CompactionProgress(ctx, table)
		if errors.Is(err, admin.ErrState) {
			return c.done(render.Summary{Text: "no compaction of " + quoted(table) + " is running", Fields: []render.Field{{Name: "running", Value: false}}})
		}
		if err != nil {
			return err
		}
		return c.done(render.Summary{Text: fmt.Sprintf("%d %%", n), Fields: []render.Field{{Name: "running", Value: n < 100}, {Name: "percent", Value: n}}})
	})
}
