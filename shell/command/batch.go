package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// batchVerbs work on records of several hash keys, which is not one step.
func batchVerbs() []verb {
	return []verb{
		{
			use: "batch_get <hash_key> <sort_key> [hash_key sort_key ...]", short: "read records of several hash keys at once",
			example: "batch_get user1 name user2 name\nbatch_get user1 name user2 name -o jsonl",
			min:     2, max: unlimited, run: runBatchGet,
		}, {
			use: "batch_set <hash_key> <sort_key> <value> [hash_key sort_key value ...]", short: "write records of several hash keys at once",
			example: "batch_set user1 name Ada user2 name Bob\nbatch_set user1 seen now user2 seen now --ttl 60",
			min:     3, max: unlimited, flags: batchSetFlags, run: runBatchSet,
		}, {
			use: "batch_del <hash_key> <sort_key> [hash_key sort_key ...]", short: "delete records of several hash keys at once",
			example: "batch_del user1 seen user2 seen\nbatch_del user1 seen",
			min:     2, max: unlimited, run: runBatchDel,
		}, {
			use: "compare_exchange <hash_key> <sort_key> <expected> <desired> [ttl_in_seconds]", short: "replace a value if it is what one expects",
			example: "compare_exchange user1 state new active\ncompare_exchange user1 state active idle 3600",
			min:     4, max: 5, run: runExchange, related: []string{"check_and_set"},
		},
	}
}

// pairs reads all arguments as hash key and sort key, by turns.
func (c *call) pairs(each int) ([][]byte, error) {
	if len(c.args)%each != 0 {
		return nil, &usageError{text: "the last record is not complete", try: "usage: " + Usage(c.verb)}
	}
	return c.keys(0)
}

func runBatchGet(ctx context.Context, c *call) error {
	words, err := c.pairs(2)
	if err != nil {
		return err
	}
	keys := make([]client.Key, 0, len(words)/2)
	for i := 0; i < len(words); i += 2 {
		keys = append(keys, client.Key{HashKey: words[i], SortKey: words[i+1]})
	}
	return c.onTable(ctx, func(ctx context.Context, t *client.Table) error {
		got, err := t.BatchGet(ctx, keys)
		if err != nil {
			return err
		}
		rows, found := c.openRecords(false), 0
		for i, r := range got {
			if errors.Is(r.Err, client.ErrNotFound) {
				continue
			}
			found++
			if err := rows.record(keys[i].HashKey, keys[i].SortKey, r.Value); err != nil {
				return err
			}
		}
		return c.done(render.Summary{
			Text:   fmt.Sprintf("%d key-value pairs got, %d not found.", found, len(keys)-found),
			Fields: []render.Field{{Name: "not_found", Value: len(keys) - found}},
		})
	})
}

func batchSetFlags(f *pflag.FlagSet) { f.String("ttl", "0", "seconds the records live; 0 = for ever") }

func runBatchSet(ctx context.Context, c *call) error {
	words, err := c.pairs(3)
	if err != nil {
		return err
	}
	ttl, err := seconds("--ttl", parse.Text(c.flagText("ttl")))
	if err != nil {
		return err
	}
	var entries []client.Entry
	for i := 0; i < len(words); i += 3 {
		entries = append(entries, client.Entry{HashKey: words[i], SortKey: words[i+1], Value: words[i+2], TTL: ttl})
	}
	return c.onTable(ctx, func(ctx context.Context, t *client.Table) error {
		errs, err := t.BatchSet(ctx, entries)
		if err = firstOf(errs, err); err != nil {
			return err
		}
		return c.done(render.Summary{Text: "OK", Fields: []render.Field{{Name: "written", Value: len(entries)}}})
	})
}

func runBatchDel(ctx context.Context, c *call) error {
	words, err := c.pairs(2)
	if err != nil {
		return err
	}
	var keys []client.Key
	for i := 0; i < len(words); i += 2 {
		keys = append(keys, client.Key{HashKey: words[i], SortKey: words[i+1]})
	}
	return c.onTable(ctx, func(ctx context.Context, t *client.Table) error {
		errs, err := t.BatchDel(ctx, keys)
		if err = firstOf(errs, err); err != nil {
			return err
		}
		return c.done(render.Summary{Text: fmt.Sprintf("%d key-value pairs deleted.", len(keys)), Fields: []render.Field{{Name: "deleted", Value: len(keys)}}})
	})
}

func runExchange(ctx context.Context, c *call) error {
	words, err := c.keys(2)
	if err != nil {
		return err
	}
	ttl, err := c.ttl(4)
	if err != nil {
		return err
	}
	return c.onRecord(ctx, func(ctx context.Context, t *client.Table, hashKey, sortKey []byte) error {
		r, err := t.CompareExchange(ctx, hashKey, sortKey, words[0], words[1], ttl)
		if err != nil {
			return err
		}
		s := render.Summary{Text: "Exchanged.", Fields: []render.Field{{Name: "exchanged", Value: r.Exchanged}}}
		if r.Exchanged {
			return c.answered(s)
		}
		s.Text = "Not exchanged, the record does not exist."
		s.Fields = append(s.Fields, render.Field{Name: "exist", Value: r.Exist})
		if r.Exist {
			s.Text = "Not exchanged, the value is " + c.session.Printer.Text(render.Bytes(r.Actual))
			s.Fields = append(s.Fields, render.Field{Name: "actual", Value: render.Bytes(r.Actual)})
		}
		return c.negative(codeNotMet, s)
	})
}
