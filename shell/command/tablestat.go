package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// tableStatVerbs show what tables and partitions do.
func tableStatVerbs() []verb {
	return []verb{{
		use: "table stat [table]", short: "show size, writes and lag of tables, or of the partitions of one",
		example: "table stat\ntable stat temp --sort -writes\napp_stat -a temp -o csv",
		aliases: []string{"app_stat", "table_stat", "partition_stat"}, max: 1, flags: statFlags, run: runTableStat,
		related: []string{"top", "data_size"},
	}}
}

func statFlags(f *pflag.FlagSet) {
	f.StringP("app_name", "a", "", "show the partitions of this table")
	f.IntP("sample_interval_ms", "i", 1000, "time between the two looks that rates come from")
	f.BoolP("json", "j", false, "the same as -o json")
}

func runTableStat(ctx context.Context, c *call) error {
	only := c.optional(0, parse.Text(c.flagText("app_name")))
	between := time.Duration(max(1, c.flagInt("sample_interval_ms"))) * time.Millisecond
	return c.administerFor(ctx, c.session.Timeout+between, func(ctx context.Context, a *admin.Admin) error {
		tables, err := a.ListTables(ctx, admin.StatusAvailable)
		if err != nil {
			return err
		}
		first, err := inspect(ctx, a, detail{})
		if err != nil {
			return err
		}
		if err := sleep(ctx, between); err != nil {
			return err
		}
		second, err := inspect(ctx, a, detail{})
		if err != nil {
			return err
		}
		rates, all := writeRates(first, second), sizesOf(second)
		if only == "" {
			return c.tableStats(tables, rates, all)
		}
		for _, t := range tables {
			if t.Name == only {
				return c.partitionStats(t, rates[t.ID], all[t.ID])
			}
		}
		_, err = a.GetTable(ctx, only)
		return err
	})
}

func (c *call) tableStats(tables []admin.Table, rates map[int32]map[int32]float64, all map[int32]*sizes) error {
	r := c.open(render.Columns("table", "partitions", "led", "writes", "hottest", "bytes", "all_replicas_bytes", "lag"), nil)
	for _, t := range tables {
		s := all[t.ID]
		if s == nil {
			s = &sizes{}
		}
		var sum, most, lag float64
		hottest, led := any(nil), 0
		for index, rate := range rates[t.ID] {
			sum += rate
			if rate > most {
				most, hottest = rate, fmt.Sprintf("%d (%.0f/s)", index, rate)
			}
		}
		for _, p := range s.partitions {
			if p.node != "" {
				led++
				lag = max(lag, float64(p.applied-p.lowest))
			}
		}
		if err := r.Row(t.Name, t.Partitions, led, render.Rate(sum), hottest, render.Size(s.leaders), render.Size(s.all), int64(lag)); err != nil {
			return err
		}
	}
	return c.done(render.Summary{Text: "writes are log entries per second; an entry holds the writes that came together"})
}

func (c *call) partitionStats(t admin.Table, rates map[int32]float64, s *sizes) error {
	if s == nil {
		s = &sizes{}
	}
	r := c.open(render.Columns("partition", "leader", "replicas", "writes", "bytes", "applied", "lag"), nil)
	for i := range t.Partitions {
		p := s.partitions[int32(i)]
		if p == nil {
			p = &partitionSize{}
		}
		lag := any(nil)
		if p.node != "" {
			lag = p.applied - p.lowest
		}
		err := r.Row(i, orNil(p.node), p.replicas, render.Rate(rates[int32(i)]), render.Size(p.leader), p.applied, lag)
		if err != nil {
			return err
		}
	}
	return c.done(render.Summary{})
}
