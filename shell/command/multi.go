package command

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// multiVerbs work on several records of one hash key.
func multiVerbs() []verb {
	return []verb{
		{
			use:     "multi_set <hash_key> <sort_key> <value> [sort_key value ...]",
			short:   "write records of one hash key in one step",
			example: "multi_set user1 name Ada age 36\nmulti_set user1 photo file:ada.jpg note 'two words'",
			min:     3, max: unlimited, run: runMultiSet,
		}, {
			use:     "multi_get <hash_key> [sort_key ...]",
			short:   "read records of one hash key; without sort keys all of them",
			example: "multi_get user1 name age\nmulti_get user1",
			min:     1, max: unlimited, run: runMultiGet,
		}, {
			use:     "multi_get_range <hash_key> <start_sort_key> <stop_sort_key>",
			short:   "read a range of the records of one hash key",
			example: "multi_get_range log 2024 2025 --max_count 10 --reverse\nmulti_get_range log \"\" \"\" -s prefix -y 2024-",
			min:     3, max: 3, flags: multiGetRangeFlags, run: runMultiGetRange,
		}, {
			use:     "multi_get_sortkeys <hash_key>",
			short:   "read the sort keys of one hash key",
			example: "multi_get_sortkeys user1\nmulti_get_sortkeys user1 --hex",
			min:     1, max: 1, run: runMultiGetSortKeys,
		}, {
			use:     "multi_del <hash_key> <sort_key> [sort_key ...]",
			short:   "delete records of one hash key in one step",
			example: "multi_del user1 name age\nmulti_del user1 hex:00FF",
			min:     2, max: unlimited, run: runMultiDel,
		}, {
			use:     "sortkey_count <hash_key>",
			short:   "count the records of one hash key",
			example: "sortkey_count user1\ncount user1 -o json",
			aliases: []string{"count"},
			min:     1, max: 1, run: runSortKeyCount,
		},
	}
}

func runMultiSet(ctx context.Context, c *call) error {
	if len(c.args)%2 == 0 {
		return &usageError{text: "the last sort key has no value", try: "usage: " + multiVerbs()[0].use}
	}
	fields, err := c.keys(1)
	if err != nil {
		return err
	}
	var records []client.Record
	seen := make(map[string]bool)
	for i := 0; i < len(fields); i += 2 {
		if seen[string(fields[i])] {
			return usagef("sort key " + string(render.AppendQuoted(nil, fields[i])) + " is given twice")
		}
		seen[string(fields[i])] = true
		records = append(records, client.Record{SortKey: fields[i], Value: fields[i+1]})
	}
	return c.onHashKey(ctx, func(ctx context.Context, t *client.Table, hashKey []byte) error {
		if err := t.MultiSet(ctx, hashKey, records); err != nil {
			return err
		}
		return c.answered(render.Summary{Text: "OK", Fields: []render.Field{{Name: "written", Value: len(records)}}})
	})
}

func runMultiGet(ctx context.Context, c *call) error {
	sortKeys, err := c.keys(1)
	if err != nil {
		return err
	}
	return c.onHashKey(ctx, func(ctx context.Context, t *client.Table, hashKey []byte) error {
		var got client.Records
		if len(sortKeys) > 0 {
			got, err = t.MultiGet(ctx, hashKey, sortKeys, client.MultiGetOptions{})
		} else {
			got, err = t.MultiGetRange(ctx, hashKey, client.RangeOptions{})
		}
		if err != nil {
			return err
		}
		return c.records(hashKey, got, false)
	})
}

func multiGetRangeFlags(f *pflag.FlagSet) {
	rangeFlags(f)
	f.IntP("max_count", "n", 0, "most records to read; 0 = as many as the server gives")
	f.BoolP("no_value", "i", false, "read keys only")
	f.BoolP("reverse", "r", false, "take records from the end of the range")
}

// rangeFlags are those of every command on a range of sort keys.
func rangeFlags(f *pflag.FlagSet) {
	f.StringP("start_inclusive", "a", "true", "whether the start belongs to the range")
	f.StringP("stop_inclusive", "b", "false", "whether the stop belongs to the range")
	f.StringP("sort_key_filter_type", "s", "", "anywhere, prefix or postfix")
	f.StringP("sort_key_filter_pattern", "y", "", "bytes that must occur there")
}

func runMultiGetRange(ctx context.Context, c *call) error {
	selected, err := c.sortKeyRange()
	if err != nil {
		return err
	}
	options := client.RangeOptions{
		Range: selected,
		MultiGetOptions: client.MultiGetOptions{
			MaxCount: c.flagInt("max_count"), NoValue: c.flagOn("no_value"),
		},
		Reverse: c.flagOn("reverse"),
	}
	return c.onHashKey(ctx, func(ctx context.Context, t *client.Table, hashKey []byte) error {
		got, err := t.MultiGetRange(ctx, hashKey, options)
		if err != nil {
			return err
		}
		return c.records(hashKey, got, options.NoValue)
	})
}

// sortKeyRange reads arguments 1 and 2 and the range flags.
func (c *call) sortKeyRange() (r client.Range, err error) {
	if r.Start, err = c.bytes(1); err != nil {
		return r, err
	}
	if r.Stop, err = c.bytes(2); err != nil {
		return r, err
	}
	startInclusive, err := c.flagBool("start_inclusive")
	if err != nil {
		return r, err
	}
	r.StartExclusive = !startInclusive
	if r.StopInclusive, err = c.flagBool("stop_inclusive"); err != nil {
		return r, err
	}
	r.Filter, err = c.filter("sort_key_filter")
	return r, err
}

var filterTypes = map[string]client.FilterType{
	"":         client.NoFilter,
	"anywhere": client.MatchAnywhere,
	"prefix":   client.MatchPrefix,
	"postfix":  client.MatchPostfix,
}

// filter reads the flags prefix_type and prefix_pattern.
func (c *call) filter(prefix string) (client.Filter, error) {
	name := parse.Text(c.flagText(prefix + "_type"))
	kind, ok := filterTypes[name]
	if !ok {
		return client.Filter{}, usagef(fmt.Sprintf("--%s_type is %q; known are anywhere, prefix and postfix", prefix, name))
	}
	pattern, err := c.flagBytes(prefix + "_pattern")
	if err != nil {
		return client.Filter{}, err
	}
	if kind == client.NoFilter && pattern != nil {
		return client.Filter{}, usagef(fmt.Sprintf("--%s_pattern is given without --%s_type", prefix, prefix))
	}
	return client.Filter{Type: kind, Pattern: pattern}, nil
}

func runMultiGetSortKeys(ctx context.Context, c *call) error {
	return c.onHashKey(ctx, func(ctx context.Context, t *client.Table, hashKey []byte) error {
		got, err := t.GetSortKeys(ctx, hashKey, client.MultiGetOptions{})
		if err != nil {
			return err
		}
		r := c.open(render.Columns("sort_key"), oneValue)
		for _, sortKey := range got.SortKeys {
			if err := r.Row(render.Bytes(sortKey)); err != nil {
				return err
			}
		}
		return c.answered(fetched(len(got.SortKeys), "sort keys", got.Complete))
	})
}

func runMultiDel(ctx context.Context, c *call) error {
	sortKeys, err := c.keys(1)
	if err != nil {
		return err
	}
	return c.onHashKey(ctx, func(ctx context.Context, t *client.Table, hashKey []byte) error {
		if err := t.MultiDel(ctx, hashKey, sortKeys); err != nil {
			return err
		}
		return c.answered(render.Summary{
			Text:   fmt.Sprintf("%d key-value pairs deleted.", len(sortKeys)),
			Fields: []render.Field{{Name: "deleted", Value: len(sortKeys)}},
		})
	})
}

func runSortKeyCount(ctx context.Context, c *call) error {
	return c.onHashKey(ctx, func(ctx context.Context, t *client.Table, hashKey []byte) error {
		n, err := t.SortKeyCount(ctx, hashKey)
		if err != nil {
			return err
		}
		return c.answered(render.Summary{
			Text: strconv.FormatInt(n, 10), Fields: []render.Field{{Name: "count", Value: n}},
		})
	})
}

// records shows what a multi-get gave.
func (c *call) records(hashKey []byte, got client.Records, noValue bool) error {
	r := c.openRecords(noValue)
	for _, record := range got.Records {
		if err := r.record(hashKey, record.SortKey, record.Value); err != nil {
			return err
		}
	}
	return c.answered(fetched(len(got.Records), "key-value pairs", got.Complete))
}

// fetched is the closing line of the multi-gets, worded as scripts know it.
func fetched(n int, noun string, complete bool) render.Summary {
	ending := "fetch completed."
	if !complete {
		ending = "fetch not completed."
	}
	return render.Summary{
		Text:   fmt.Sprintf("%d %s got, %s", n, noun, ending),
		Fields: []render.Field{{Name: "completed", Value: complete}},
	}
}

// recordRows shows records as `"hash" : "sort" => "value"`.
type recordRows struct {
	result  render.Result
	noValue bool
}

func (c *call) openRecords(noValue bool) recordRows {
	columns := render.Columns("hash_key", "sort_key", "value")
	line := func(p *render.Printer, row []any) string {
		return p.Text(row[0]) + " : " + p.Text(row[1]) + " => " + p.Text(row[2])
	}
	if noValue {
		columns = columns[:2]
		line = func(p *render.Printer, row []any) string { return p.Text(row[0]) + " : " + p.Text(row[1]) }
	}
	return recordRows{c.open(columns, line), noValue}
}

func (r recordRows) record(hashKey, sortKey, value []byte) error {
	if r.noValue {
		return r.result.Row(render.Bytes(hashKey), render.Bytes(sortKey))
	}
	return r.result.Row(render.Bytes(hashKey), render.Bytes(sortKey), render.Bytes(value))
}
