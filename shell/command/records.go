package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/shell/render"
)

// recordVerbs work on one record.
func recordVerbs() []verb {
	return []verb{
		{
			use:     "set <hash_key> <sort_key> <value> [ttl_in_seconds]",
			short:   "write a record",
			example: "set user1 name Ada\nset user1 token hex:00FF 3600\nset user1 photo file:ada.jpg",
			min:     3, max: 4, run: runSet,
		}, {
			use:     "get <hash_key> <sort_key>",
			short:   "read a record",
			example: "get user1 name\nget \"user 1\" 'sort key'",
			min:     2, max: 2, run: runGet,
		}, {
			use:     "del <hash_key> <sort_key>",
			short:   "delete a record",
			example: "del user1 name\ndel \"user 1\" hex:00FF",
			min:     2, max: 2, run: runDel,
		}, {
			use:     "exist <hash_key> <sort_key>",
			short:   "tell whether a record exists",
			example: "exist user1 name\nexist user1 name -o json",
			min:     2, max: 2, run: runExist,
		}, {
			use:     "ttl <hash_key> <sort_key>",
			short:   "show the seconds a record has left",
			example: "ttl user1 token\nttl user1 name -o json",
			min:     2, max: 2, run: runTTL,
		}, {
			use:     "incr <hash_key> <sort_key> [increment]",
			short:   "add to a record that holds a decimal number",
			example: "incr user1 visits\nincr user1 visits -5",
			min:     2, max: 3, run: runIncr,
		},
	}
}

func runSet(ctx context.Context, c *call) error {
	hashKey, sortKey, err := c.hashAndSort()
	if err != nil {
		return err
	}
	value, err := c.bytes(2)
	if err != nil {
		return err
	}
	ttl, err := c.ttl(3)
	if err != nil {
		return err
	}
	return c.onTable(ctx, func(ctx context.Context, t *client.Table) error {
		if err := t.SetTTL(ctx, hashKey, sortKey, value, ttl); err != nil {
			return err
		}
		return c.answered(render.Summary{Text: "OK"})
	})
}

func runGet(ctx context.Context, c *call) error {
	return c.onRecord(ctx, func(ctx context.Context, t *client.Table, hashKey, sortKey []byte) error {
		value, err := t.Get(ctx, hashKey, sortKey)
		if errors.Is(err, client.ErrNotFound) {
			return c.negative(codeNotFound, render.Summary{Text: "Not found"})
		}
		if err != nil {
			return err
		}
		shape := render.Shape{Verb: c.verb, Columns: render.Columns("hash_key", "sort_key", "value"), Alone: 3}
		shape.Line = func(p *render.Printer, row []any) string { return p.Text(row[2]) }
		c.result = c.session.Printer.Begin(shape)
		if err := c.result.Row(render.Bytes(hashKey), render.Bytes(sortKey), render.Bytes(value)); err != nil {
			return err
		}
		return c.answered(render.Summary{})
	})
}

func runDel(ctx context.Context, c *call) error {
	return c.onRecord(ctx, func(ctx context.Context, t *client.Table, hashKey, sortKey []byte) error {
		if err := t.Del(ctx, hashKey, sortKey); err != nil {
			return err
		}
		return c.answered(render.Summary{Text: "OK"})
	})
}

func runExist(ctx context.Context, c *call) error {
	return c.onRecord(ctx, func(ctx context.Context, t *client.Table, hashKey, sortKey []byte) error {
		there, err := t.Exist(ctx, hashKey, sortKey)
		switch {
		case err != nil:
			return err
		case !there:
			return c.negative(codeNotFound, render.Summary{Text: "False", Fields: []render.Field{{Name: "exist", Value: false}}})
		}
		return c.answered(render.Summary{Text: "True", Fields: []render.Field{{Name: "exist", Value: true}}})
	})
}

func runTTL(ctx context.Context, c *call) error {
	return c.onRecord(ctx, func(ctx context.Context, t *client.Table, hashKey, sortKey []byte) error {
		ttl, err := t.TTL(ctx, hashKey, sortKey)
		switch {
		case errors.Is(err, client.ErrNotFound):
			return c.negative(codeNotFound, render.Summary{Text: "Not found"})
		case err != nil:
			return err
		case ttl == client.NoTTL:
			return c.answered(render.Summary{Text: "Infinite", Fields: []render.Field{{Name: "ttl_seconds", Value: nil}}})
		}
		left := int64(ttl.Seconds())
		return c.answered(render.Summary{
			Text: strconv.FormatInt(left, 10), Fields: []render.Field{{Name: "ttl_seconds", Value: left}},
		})
	})
}

func runIncr(ctx context.Context, c *call) error {
	by, err := strconv.ParseInt(c.optional(2, "1"), 10, 64)
	if err != nil {
		return usagef(fmt.Sprintf("increment is %q, not a whole number of 64 bits", c.text(2)))
	}
	return c.onRecord(ctx, func(ctx context.Context, t *client.Table, hashKey, sortKey []byte) error {
		sum, err := t.Incr(ctx, hashKey, sortKey, by)
		if err != nil {
			return err
		}
		return c.answered(render.Summary{
			Text: strconv.FormatInt(sum, 10), Fields: []render.Field{{Name: "value", Value: sum}},
		})
	})
}

// onTable runs f on the current table, within the time of one command.
func (c *call) onTable(ctx context.Context, f func(context.Context, *client.Table) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.session.Timeout)
	defer cancel()
	t, err := c.session.table(ctx)
	if err != nil {
		return err
	}
	return f(ctx, t)
}

// onRecord is onTable for the record that the first two arguments name.
func (c *call) onRecord(ctx context.Context, f func(ctx context.Context, t *client.Table, hashKey, sortKey []byte) error) error {
	hashKey, sortKey, err := c.hashAndSort()
	if err != nil {
		return err
	}
	return c.onTable(ctx, func(ctx context.Context, t *client.Table) error {
		return f(ctx, t, hashKey, sortKey)
	})
}

// onHashKey is onTable for the hash key that the first argument names.
func (c *call) onHashKey(ctx context.Context, f func(ctx context.Context, t *client.Table, hashKey []byte) error) error {
	hashKey, err := c.bytes(0)
	if err != nil {
		return err
	}
	return c.onTable(ctx, func(ctx context.Context, t *client.Table) error { return f(ctx, t, hashKey) })
}
