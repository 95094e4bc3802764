package command

import (
	"bytes"
	"context"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client"
)

// scanFlags name the filters by what they do, as pegic has them.
func scanFlags(f *pflag.FlagSet) {
	f.String("from", "", "first sort key; with a hash key only")
	f.String("to", "", "last sort key, part of the range; with a hash key only")
	for _, part := range []struct{ prefix, what string }{{"", "sort key"}, {"hash_", "hash key"}, {"value_", "value"}} {
		f.String(part.prefix+"prefix", "", part.what+" begins with it")
		f.String(part.prefix+"suffix", "", part.what+" ends with it")
		f.String(part.prefix+"contains", "", part.what+" has it anywhere")
	}
	f.String("value_equals", "", "value is it")
	f.Int("limit", 0, "stop after so many records; 0 = all")
	f.IntP("max_count", "n", 0, "the same as --limit")
	f.BoolP("no_value", "i", false, "show keys only")
	f.BoolP("detailed", "d", false, "show partition and expiry of each record")
	f.Bool("count", false, "only count the records")
	f.IntP("partition", "p", -1, "only this partition")
	f.String("cursor", "", "go on at a cursor that an earlier scan printed, or at that in file:PATH")
}

// matchFlags reads prefix, suffix and contains of one part of a record.
func (c *call) matchFlags(prefix string) (client.Filter, error) {
	var filter client.Filter
	for name, kind := range map[string]client.FilterType{
		"prefix": client.MatchPrefix, "suffix": client.MatchPostfix, "contains": client.MatchAnywhere,
	} {
		pattern, err := c.flagBytes(prefix + name)
		if err != nil {
			return filter, err
		}
		if pattern == nil {
			continue
		}
		if filter.Type != client.NoFilter {
			return filter, usagef("only one of --" + prefix + "prefix, --" + prefix + "suffix and --" + prefix + "contains may be given")
		}
		filter = client.Filter{Type: kind, Pattern: pattern}
	}
	return filter, nil
}

// valueTest gives a test for values, nil when all pass.
func (c *call) valueTest() (func([]byte) bool, error) {
	exact, err := c.flagBytes("value_equals")
	if err != nil {
		return nil, err
	}
	if exact != nil {
		return func(v []byte) bool { return bytes.Equal(v, exact) }, nil
	}
	filter, err := c.matchFlags("value_")
	if err != nil {
		return nil, err
	}
	switch filter.Type {
	case client.MatchPrefix:
		return func(v []byte) bool { return bytes.HasPrefix(v, filter.Pattern) }, nil
	case client.MatchPostfix:
		return func(v []byte) bool { return bytes.HasSuffix(v, filter.Pattern) }, nil
	case client.MatchAnywhere:
		return func(v []byte) bool { return bytes.Contains(v, filter.Pattern) }, nil
	}
	return nil, nil
}

func runScan(ctx context.Context, c *call) error {
	options := client.ScanOptions{Expiry: c.flagOn("detailed")}
	var err error
	if options.SortKeys, err = c.matchFlags(""); err != nil {
		return err
	}
	if options.HashKeys, err = c.matchFlags("hash_"); err != nil {
		return err
	}
	passes, err := c.valueTest()
	if err != nil {
		return err
	}
	noValue := c.flagOn("no_value") || c.flagOn("count")
	options.NoValue = noValue && passes == nil
	s, err := c.scanOver(ctx, options)
	if err != nil {
		return err
	}
	if c.flagOn("count") {
		return c.countScan(ctx, s, passes)
	}
	return c.show(ctx, s, passes, noValue)
}

// scanOver walks over the hash key of argument 0, or else over the table.
func (c *call) scanOver(ctx context.Context, options client.ScanOptions) (*client.Scanner, error) {
	if len(c.args) == 0 {
		if c.flags.Changed("from") || c.flags.Changed("to") {
			return nil, usagef("--from and --to need a hash key; a table is not ordered as a whole")
		}
		return c.scanner(ctx, options)
	}
	if options.HashKeys.Type != client.NoFilter {
		return nil, usagef("a hash key and a filter on hash keys exclude each other")
	}
	hashKey, err := c.bytes(0)
	if err != nil {
		return nil, err
	}
	r := client.Range{StopInclusive: true, Filter: options.SortKeys}
	if r.Start, err = c.flagBytes("from"); err != nil {
		return nil, err
	}
	if r.Stop, err = c.flagBytes("to"); err != nil {
		return nil, err
	}
	r.StopInclusive = r.Stop != nil
	t, err := c.session.table(ctx)
	if err != nil {
		return nil, err
	}
	if cursor, err := c.cursor(); err != nil || cursor != "" {
		if err != nil {
			return nil, err
		}
		return t.ResumeScan(cursor)
	}
	return t.Scan(hashKey, r, options), nil
}

func (c *call) countScan(ctx context.Context, s *client.Scanner, passes func([]byte) bool) error {
	n := 0
	err := c.walk(ctx, s, 0, func(row client.Row) error {
		if passes == nil || passes(row.Value) {
			n++
		}
		return nil
	})
	if err != nil {
		return err
	}
	p := c.properties()
	p.add("count", n)
	return p.done()
}

// limit is the bound of a scan, under either of its names.
func (c *call) limit() int { return max(c.flagInt("max_count"), c.flagInt("limit")) }
