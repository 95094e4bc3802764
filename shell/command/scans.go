package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// scanVerbs walk over many records. Their time limit is that of a page, not of
// the whole.
func scanVerbs() []verb {
	return []verb{
		{
			use:     "scan [hash_key]",
			short:   "walk over a hash key, or over the whole table, with every filter there is",
			example: "scan user1 --prefix n\nscan --hash_prefix user --contains nam --limit 10\nscan --value_contains Ada --no_value",
			max:     1, flags: scanFlags, run: runScan, related: []string{"hash_scan", "full_scan", "count_data"},
		}, {
			use:     "hash_scan <hash_key> <start_sort_key> <stop_sort_key>",
			short:   "walk over the records of one hash key, in order",
			example: "hash_scan log 2024 2025\nhash_scan log '' '' -s prefix -y 2024- -n 100",
			min:     3, max: 3, flags: hashScanFlags, run: runHashScan,
		}, {
			use:     "full_scan",
			short:   "walk over the records of the table",
			example: "full_scan -n 10\nfull_scan -h prefix -x user -i",
			flags:   fullScanFlags, run: runFullScan,
		}, {
			use:     "count_data",
			short:   "count the records of the table by walking over them",
			example: "count_data\ncount_data -d -h prefix -x user\ncount_data -a --rate 20000",
			flags:   countFlags, run: runCountData,
		}, {
			use:     "multi_del_range <hash_key> <start_sort_key> <stop_sort_key>",
			short:   "delete a range of the records of one hash key, in steps",
			example: "multi_del_range log 2023 2024\nmulti_del_range log '' '' -s prefix -y tmp-",
			min:     3, max: 3, flags: rangeFlags, run: runMultiDelRange,
		},
	}
}

func hashScanFlags(f *pflag.FlagSet) {
	rangeFlags(f)
	valueFlags(f)
	outputFlags(f)
	oldScanFlags(f)
}

func fullScanFlags(f *pflag.FlagSet) {
	tableFilterFlags(f)
	outputFlags(f)
	oldScanFlags(f)
	f.String("cursor", "", "go on at a cursor that an earlier scan printed, or at that in file:PATH")
}

// oldScanFlags are of the Pegasus shell.
func oldScanFlags(f *pflag.FlagSet) {
	f.BoolP("detailed", "d", false, "show the partition of each record")
	f.StringP("timeout_ms", "t", "", "longest time of one page, in milliseconds")
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
	f.IntP("max_batch_count", "b", 0, "accepted for old scripts")
	f.StringP("timeout_ms", "t", "", "longest time of one page, in milliseconds")
	walkFlags(f)
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
	s, err := c.scanner(ctx, options)
	if err != nil {
		return err
	}
	return c.show(ctx, s, passes, noValue)
}

// scanner walks over the table, or goes on at the cursor of the flag.
func (c *call) scanner(ctx context.Context, o client.ScanOptions) (*client.Scanner, error) {
	cursor, err := c.cursor()
	if err != nil {
		return nil, err
	}
	if cursor != "" {
		t, err := c.session.table(ctx)
		if err != nil {
			return nil, err
		}
		return t.ResumeScan(cursor)
	}
	scanners, err := c.scanners(ctx, o, 1)
	if err != nil {
		return nil, err
	}
	return scanners[0], nil
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
	if _, err := c.session.partitionsOf(ctx, t); err != nil {
		return nil, err
	}
	index := c.flagInt("partition")
	if index < 0 {
		return t.UnorderedScanners(ctx, split, o)
	}
	count, err := c.session.partitionsOf(ctx, t)
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
	limit, shown := c.limit(), 0
	rows, err := c.scanRows(ctx, noValue)
	if err != nil {
		return err
	}
	err = c.walk(ctx, s, limit, func(row client.Row) error {
		if passes != nil && !passes(row.Value) {
			return nil
		}
		if err := rows(row); err != nil {
			return err
		}
		if shown++; shown == limit {
			return errEnough
		}
		return nil
	})
	complete := !errors.Is(err, errEnough)
	if err != nil && complete {
		return &stopped{err: err, cursor: s.Cursor(), verb: c.verb}
	}
	summary := render.Summary{
		Text:   fmt.Sprintf("%d key-value pairs got.", shown),
		Fields: []render.Field{{Name: "completed", Value: complete}},
	}
	if !complete && c.flags.Lookup("cursor") != nil {
		cursor := string(s.Cursor())
		summary.Fields = append(summary.Fields, render.Field{Name: "cursor", Value: cursor})
		if c.session.Printer.Terminal { // a pipe gets what it can keep
			cursor = shownCursor(c.verb, s.Cursor())
		}
		c.say("cursor: %s", cursor)
	}
	return c.done(summary)
}

// stopped is an error of a scan that can go on where it stood.
type stopped struct {
	err    error
	cursor client.Cursor
	verb   string
}

func (e *stopped) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *stopped) Unwrap() error { return e.err }

func (e *stopped) advise(f render.Failure) render.Failure {
	if !worthResuming(f.Exit) {
		return f
	}
	f.Try = fmt.Sprintf("go on with %s --cursor %s", e.verb, shownCursor(e.verb, e.cursor))
	return f
}

// longestCursor is what a person can be asked to copy from a screen.
const longestCursor = 300

// shownCursor gives the cursor, or the file that it was kept in: that of a whole
// table knows the place in each partition.
func shownCursor(verb string, cursor client.Cursor) string {
	if len(cursor) <= longestCursor {
		return string(cursor)
	}
	f, err := os.CreateTemp("", "arion-"+verb+"-*.cursor")
	if err != nil {
		return string(cursor)
	}
	_, err = f.WriteString(string(cursor))
	if errors.Join(err, f.Close()) != nil {
		return string(cursor)
	}
	return "file:" + f.Name()
}

// cursor reads the flag; empty without it.
func (c *call) cursor() (client.Cursor, error) {
	b, err := c.flagBytes("cursor")
	return client.Cursor(strings.TrimSpace(string(b))), err
}

// scanRows opens the result and gives what prints a record.
func (c *call) scanRows(ctx context.Context, noValue bool) (func(client.Row) error, error) {
	if !c.flagOn("detailed") {
		rows := c.openRecords(noValue)
		return func(row client.Row) error { return rows.record(row.HashKey, row.SortKey, row.Value) }, nil
	}
	t, err := c.session.table(ctx)
	if err != nil {
		return nil, err
	}
	count, err := c.session.partitionsOf(ctx, t)
	if err != nil {
		return nil, err
	}
	r := c.open(render.Columns("partition", "hash_key", "sort_key", "value", "expires"), func(p *render.Printer, row []any) string {
		return fmt.Sprintf("[%s] %s : %s => %s (expires %s)", p.Text(row[0]), p.Text(row[1]), p.Text(row[2]), p.Text(row[3]), p.Text(row[4]))
	})
	return func(row client.Row) error {
		value := any(render.Bytes(row.Value))
		if noValue {
			value = nil
		}
		index := key.PartitionIndex(key.Hash(row.HashKey, row.SortKey), int32(count))
		return r.Row(index, render.Bytes(row.HashKey), render.Bytes(row.SortKey), value, moment(row.Expires))
	}, nil
}

// walk hands every row of a scanner to f until it gives an error. The session's
// time limit is that of each page.
func (c *call) walk(ctx context.Context, s *client.Scanner, limit int, f func(client.Row) error) error {
	defer s.Close()
	timeout := c.session.Timeout
	if text := parse.Text(c.flagText("timeout_ms")); text != "" {
		var err error
		if timeout, err = parseDuration(text); err != nil {
			return err
		}
	}
	for {
		pageCtx, cancel := context.WithTimeout(ctx, timeout)
		rows, err := s.NextPageOf(pageCtx, pageLimit(limit))
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

// pageLimit keeps a scan that stops early from being ahead of its cursor: what was
// taken counts as delivered.
func pageLimit(limit int) int {
	if limit > 0 {
		return 1
	}
	return 0
}

// countLanes is how many partitions are walked side by side: enough to keep a
// small cluster busy, few enough to leave it room for others.
const countLanes = 4

// totals is what count_data counts.
type totals struct{ Records, HashKeys, KeyBytes, ValueBytes int64 }

func runCountData(ctx context.Context, c *call) error {
	options, err := c.scanOptions()
	if err != nil {
		return err
	}
	options.NoValue = !c.flags.Changed("value_filter_type") && !c.flagOn("stat_size")
	w, err := c.newWalk(ctx, options)
	if err != nil {
		return err
	}
	var sum totals
	if w.state.Extra != nil { // of the run that this one goes on with
		if err := json.Unmarshal(w.state.Extra, &sum); err != nil {
			return usagef("--resume: the file to resume from is of no count")
		}
	}
	var mu sync.Mutex
	last := map[uint64][]byte{} // by partition: records of one hash key are neighbours there
	err = w.run(ctx, func(_ context.Context, rows []client.Row) error {
		mu.Lock()
		defer mu.Unlock()
		for _, row := range rows {
			sum.count(row, last, uint64(len(w.state.Cursors)))
		}
		extra, err := json.Marshal(sum)
		w.mu.Lock()
		w.state.Extra = extra
		w.mu.Unlock()
		return err
	})
	if err != nil {
		return err
	}
	return c.showTotals(sum)
}

// count adds a record. A hash key is new when the last one of its partition was
// another.
func (t *totals) count(row client.Row, last map[uint64][]byte, partitions uint64) {
	partition := key.Hash(row.HashKey, nil) % max(1, partitions)
	if before, ok := last[partition]; !ok || !bytes.Equal(before, row.HashKey) {
		t.HashKeys++
		last[partition] = append(before[:0], row.HashKey...)
	}
	t.Records++
	t.KeyBytes += int64(len(row.HashKey) + len(row.SortKey))
	t.ValueBytes += int64(len(row.Value))
}

func (c *call) showTotals(t totals) error {
	p := c.properties()
	p.add("count", t.Records)
	if c.flagOn("diff_hash_key") {
		p.add("hash_key_count", t.HashKeys)
	}
	if c.flagOn("stat_size") {
		p.add("key_bytes", render.Size(t.KeyBytes))
		p.add("value_bytes", render.Size(t.ValueBytes))
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
