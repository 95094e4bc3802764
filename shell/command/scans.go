package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// scanVerbs walk over many records. Their time limit is that of a page, not of
// the whole.
func scanVerbs() []verb {
	return []verb{
		{
			use:     "hash_scan <hash_key> <start_sort_key> <stop_sort_key>",
			short:   "walk over the records of one hash key, in order",
			example: "hash_scan log 2024 2025\nhash_scan log \"\" \"\" -s prefix -y 2024- -n 100",
			min:     3, max: 3, flags: hashScanFlags, run: runHashScan,
		}, {
			use:     "full_scan",
			short:   "walk over the records of the table",
			example: "full_scan -n 10\nfull_scan -h prefix -x user -i",
			flags:   fullScanFlags, run: runFullScan,
		}, {
			use:     "count_data",
			short:   "count the records of the table by walking over them",
			example: "count_data\ncount_data -d -h prefix -x user",
			flags:   countFlags, run: runCountData,
		}, {
			use:     "multi_del_range <hash_key> <start_sort_key> <stop_sort_key>",
			short:   "delete a range of the records of one hash key, in steps",
			example: "multi_del_range log 2023 2024",
			min:     3, max: 3, flags: rangeFlags, run: runMultiDelRange,
		},
	}
}

func hashScanFlags(f *pflag.FlagSet) {
	rangeFlags(f)
	valueFlags(f)
	outputFlags(f)
}

func fullScanFlags(f *pflag.FlagSet) {
	tableFilterFlags(f)
	outputFlags(f)
}

func tableFilterFlags(f *pflag.FlagSet) {
	f.StringP("hash_key_filter_type", "h", "", "anywhere, prefix or postfix")
	f.StringP("hash_key_filter_pattern", "x", "", "bytes that must occur in the hash key there")
	f.StringP("sort_key_filter_type", "s", "", "anywhere, prefix or postfix")
	f.StringP("sort_key_filter_pattern", "y", "", "bytes that must occur in the sort key there")
	valueFlags(f)
	f.IntP("partition", "p", -1, "only this partition")
}

// valueFlags are filters of the shell's own: the server knows none on values.
func valueFlags(f *pflag.FlagSet) {
	f.StringP("value_filter_type", "v", "", "anywhere, prefix, postfix or exact; values are fetched and compared here")
	f.StringP("value_filter_pattern", "z", "", "bytes that must occur in the value there")
}

func outputFlags(f *pflag.FlagSet) {
	f.IntP("max_count", "n", 0, "stop after so many records; 0 = all")
	f.BoolP("no_value", "i", false, "show keys only")
}

func countFlags(f *pflag.FlagSet) {
	tableFilterFlags(f)
	f.BoolP("precise", "c", false, "accepted for old scripts: the count is always precise")
	f.BoolP("diff_hash_key", "d", false, "count different hash keys as well")
	f.BoolP("stat_size", "a", false, "add up the sizes of keys and values as well")
}

func runHashScan(ctx context.Context, c *call) error {
	hashKey, err := c.bytes(0)
	if err != nil {
		return err
	}
	selected, err := c.sortKeyRange()
	if err != nil {
		return err
	}
	passes, err := c.valueFilter()
	if err != nil {
		return err
	}
	t, err := c.session.table(ctx)
	if err != nil {
		return err
	}
	noValue := c.flagOn("no_value")
	s := t.Scan(hashKey, selected, client.ScanOptions{NoValue: noValue && passes == nil})
	return c.show(ctx, s, passes, noValue)
}

func runFullScan(ctx context.Context, c *call) error {
	options, err := c.scanOptions()
	if err != nil {
		return err
	}
	passes, err := c.valueFilter()
	if err != nil {
		return err
	}
	noValue := c.flagOn("no_value")
	options.NoValue = noValue && passes == nil
	scanners, err := c.scanners(ctx, options, 1)
	if err != nil {
		return err
	}
	return c.show(ctx, scanners[0], passes, noValue)
}

// scanOptions reads the key filters of a walk over the table.
func (c *call) scanOptions() (o client.ScanOptions, err error) {
	if o.HashKeys, err = c.filter("hash_key_filter"); err != nil {
		return o, err
	}
	o.SortKeys, err = c.filter("sort_key_filter")
	return o, err
}

// scanners gives at most split scanners over the table, or one over the
// partition that the flag names.
func (c *call) scanners(ctx context.Context, o client.ScanOptions, split int) ([]*client.Scanner, error) {
	t, err := c.session.table(ctx)
	if err != nil {
		return nil, err
	}
	index := c.flagInt("partition")
	if index < 0 {
		return t.UnorderedScanners(ctx, split, o)
	}
	count, err := t.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	if index >= count {
		return nil, usagef(fmt.Sprintf("--partition is %d; the table has %d, counted from 0", index, count))
	}
	// Asked for as many as there are partitions, the client gives one for each.
	all, err := t.UnorderedScanners(ctx, count, o)
	if err != nil {
		return nil, err
	}
	return all[index : index+1], nil
}

// valueFilter gives a test for values, nil when all pass.
func (c *call) valueFilter() (func([]byte) bool, error) {
	pattern, err := c.flagBytes("value_filter_pattern")
	if err != nil {
		return nil, err
	}
	switch kind := parse.Text(c.flagText("value_filter_type")); kind {
	case "":
		if pattern != nil {
			return nil, usagef("--value_filter_pattern is given without --value_filter_type")
		}
		return nil, nil
	case "anywhere":
		return func(v []byte) bool { return bytes.Contains(v, pattern) }, nil
	case "prefix":
		return func(v []byte) bool { return bytes.HasPrefix(v, pattern) }, nil
	case "postfix":
		return func(v []byte) bool { return bytes.HasSuffix(v, pattern) }, nil
	case "exact":
		return func(v []byte) bool { return bytes.Equal(v, pattern) }, nil
	default:
		return nil, usagef(fmt.Sprintf("--value_filter_type is %q; known are anywhere, prefix, postfix and exact", kind))
	}
}

// errEnough ends a walk early.
var errEnough = errors.New("enough records")

// show prints the records of a scanner that pass, up to max_count.
func (c *call) show(ctx context.Context, s *client.Scanner, passes func([]byte) bool, noValue bool) error {
	limit, shown := c.flagInt("max_count"), 0
	rows := c.openRecords(noValue)
	err := c.walk(ctx, s, func(row client.Row) error {
		if passes != nil && !passes(row.Value) {
			return nil
		}
		if err := rows.record(row.HashKey, row.SortKey, row.Value); err != nil {
			return err
		}
		if shown++; shown == limit {
			return errEnough
		}
		return nil
	})
	complete := !errors.Is(err, errEnough)
	if err != nil && complete {
		return err
	}
	return c.done(render.Summary{
		Text:   fmt.Sprintf("%d key-value pairs got.", shown),
		Fields: []render.Field{{Name: "completed", Value: complete}},
	})
}

// walk hands every row of a scanner to f until it gives an error. The session's
// time limit is that of each page.
func (c *call) walk(ctx context.Context, s *client.Scanner, f func(client.Row) error) error {
	defer s.Close()
	for {
		pageCtx, cancel := context.WithTimeout(ctx, c.session.Timeout)
		rows, err := s.NextPage(pageCtx)
		cancel()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := f(row); err != nil {
				return err
			}
		}
	}
}

// countLanes is how many partitions are walked side by side: enough to keep a
// small cluster busy, few enough to leave it room for others.
const countLanes = 4

// totals is what count_data counts.
type totals struct{ records, hashKeys, keyBytes, valueBytes int64 }

func (t *totals) add(o totals) {
	t.records += o.records
	t.hashKeys += o.hashKeys
	t.keyBytes += o.keyBytes
	t.valueBytes += o.valueBytes
}

func runCountData(ctx context.Context, c *call) error {
	options, err := c.scanOptions()
	if err != nil {
		return err
	}
	passes, err := c.valueFilter()
	if err != nil {
		return err
	}
	options.NoValue = passes == nil && !c.flagOn("stat_size")
	scanners, err := c.scanners(ctx, options, countLanes)
	if err != nil {
		return err
	}
	parts := make([]totals, len(scanners))
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range scanners {
		group.Go(func() error {
			var err error
			parts[i], err = c.count(ctx, s, passes)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var sum totals
	for _, part := range parts {
		sum.add(part)
	}
	return c.showTotals(sum)
}

func (c *call) count(ctx context.Context, s *client.Scanner, passes func([]byte) bool) (totals, error) {
	var t totals
	var last []byte
	err := c.walk(ctx, s, func(row client.Row) error {
		if passes != nil && !passes(row.Value) {
			return nil
		}
		// Records of one hash key are neighbours within their partition.
		if t.records == 0 || !bytes.Equal(last, row.HashKey) {
			t.hashKeys++
			last = row.HashKey
		}
		t.records++
		t.keyBytes += int64(len(row.HashKey) + len(row.SortKey))
		t.valueBytes += int64(len(row.Value))
		return nil
	})
	return t, err
}

func (c *call) showTotals(t totals) error {
	p := c.properties()
	p.add("count", t.records)
	if c.flagOn("diff_hash_key") {
		p.add("hash_key_count", t.hashKeys)
	}
	if c.flagOn("stat_size") {
		p.add("key_bytes", t.keyBytes)
		p.add("value_bytes", t.valueBytes)
	}
	return p.done()
}

func runMultiDelRange(ctx context.Context, c *call) error {
	selected, err := c.sortKeyRange()
	if err != nil {
		return err
	}
	hashKey, err := c.bytes(0)
	if err != nil {
		return err
	}
	t, err := c.session.table(ctx)
	if err != nil {
		return err
	}
	n, err := t.DelRange(ctx, hashKey, selected)
	if err != nil {
		return err
	}
	return c.done(render.Summary{
		Text:   fmt.Sprintf("OK, %d sort keys deleted.", n),
		Fields: []render.Field{{Name: "deleted", Value: n}},
	})
}
