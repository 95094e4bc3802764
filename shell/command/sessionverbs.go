package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/shell/render"
)

func sessionVerbs() []verb {
	return []verb{
		helpVerb(),
		{
			use: "use [table]", short: "choose the table that record commands work on, or show it",
			example: "use temp\nuse", max: 1, run: runUse, local: true,
		}, {
			use: "enable", short: "allow commands that administer, until disable or exit",
			example: "enable\nenable; disable", run: runEnable, local: true, related: []string{"disable"},
		}, {
			use: "disable", short: "make administration read-only again",
			example: "disable\nenable; disable", run: runDisable, local: true,
		}, {
			use: "timeout [milliseconds]", short: "set or show how long a command may take",
			example: "timeout 10000\ntimeout", max: 1, run: runTimeout, local: true,
		}, {
			use: "escape_all [true|false]", short: "set or show whether every byte is printed as \\xHH",
			example: "escape_all true\nescape_all false", max: 1, run: runEscapeAll, local: true,
		}, {
			use: "hash <hash_key> [sort_key]", short: "show the hash of a key and the partition it is in",
			example: "hash user1 name\npartition_index user1", aliases: []string{"partition_index"}, min: 1, max: 2, run: runHash,
		}, {
			use: "version", short: "show the version",
			example: "version\nversion -o json", run: runVersion, local: true,
		}, {
			use: "exit", short: "leave the shell",
			example: "exit\nquit", aliases: []string{"quit"}, run: runExit, local: true,
		},
	}
}

func runEnable(_ context.Context, c *call) error {
	c.session.Enabled = true
	return c.ok()
}

func runDisable(_ context.Context, c *call) error {
	c.session.Enabled = false
	return c.ok()
}

// runUse does not ask whether the table exists: the first command on it does,
// and a script may create it in between.
func runUse(_ context.Context, c *call) error {
	if len(c.args) == 0 {
		if c.session.Table == "" {
			return usagef("no table is in use; say: use <table>")
		}
		return c.value("table", c.session.Table)
	}
	c.session.Table = c.text(0)
	c.session.Origins.set("table", "use")
	if c.session.Interactive {
		known := c.session.Known()
		if len(known.Tables) > 0 && !known.Stale && !slices.Contains(known.Tables, c.session.Table) {
			c.say("no table %s was there a moment ago; ls shows the tables", quoted(c.session.Table))
		}
	}
	return c.ok()
}

func runTimeout(_ context.Context, c *call) error {
	if len(c.args) == 0 {
		return c.value("timeout_ms", c.session.Timeout.Milliseconds())
	}
	d, err := parseDuration(c.text(0))
	if err != nil {
		return err
	}
	c.session.setTimeout = d
	return c.ok()
}

func runEscapeAll(_ context.Context, c *call) error {
	if len(c.args) == 0 {
		return c.value("escape_all", c.session.Printer.Bytes == render.EscapeAll)
	}
	on, err := strconv.ParseBool(c.text(0))
	if err != nil {
		return usagef(fmt.Sprintf("%q is neither true nor false", c.text(0)))
	}
	form := render.Quoted
	if on {
		form = render.EscapeAll
	}
	c.session.setBytes = &form
	return c.ok()
}

func runHash(ctx context.Context, c *call) error {
	words, err := c.keys(0)
	if err != nil {
		return err
	}
	hashKey, sortKey := words[0], []byte(nil)
	if len(words) > 1 {
		sortKey = words[1]
	}
	hash := key.Hash(hashKey, sortKey)
	properties := c.properties()
	properties.add("key_hash", strconv.FormatUint(hash, 10))
	if c.session.Table == "" {
		return properties.done()
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		routing, err := a.QueryTable(ctx, c.session.Table)
		if err != nil {
			return err
		}
		count := len(routing.Partitions)
		index := int(key.PartitionIndex(hash, int32(count)))
		properties.add("table", c.session.Table)
		properties.add("table_id", routing.ID)
		properties.add("partitions", count)
		properties.add("partition", index)
		if index < count {
			properties.add("leader", orNil(routing.Partitions[index].Leader))
			properties.add("followers", routing.Partitions[index].Followers)
		}
		return properties.done()
	})
}

func runVersion(_ context.Context, c *call) error {
	return c.value("version", c.session.Version)
}

func runExit(_ context.Context, c *call) error {
	c.session.quit = true
	return c.done(render.Summary{Local: true})
}

// ok ends a command of the shell itself that has nothing to show.
func (c *call) ok() error { return c.done(render.Summary{Text: "OK", Local: true}) }

// value ends a command of the shell itself whose result is one named value.
func (c *call) value(name string, value any) error {
	c.open(render.Columns(name), oneValue)
	if err := c.result.Row(value); err != nil {
		return err
	}
	return c.done(render.Summary{Local: true})
}

func oneValue(p *render.Printer, row []any) string { return p.Text(row[0]) }

// properties are name and value pairs: lines for people, one row in JSON.
type properties struct {
	c      *call
	names  []string
	values []any
	local  bool // no server was asked
}

func (c *call) properties() *properties { return &properties{c: c} }

func (p *properties) add(name string, value any) {
	p.names = append(p.names, name)
	p.values = append(p.values, value)
}

func (p *properties) done() error {
	p.c.open(render.Columns(p.names...), func(printer *render.Printer, row []any) string {
		width := 0
		for _, name := range p.names {
			width = max(width, len(name))
		}
		lines := make([]string, len(row))
		for i, value := range row {
			lines[i] = fmt.Sprintf("%-*s : %s", width, p.names[i], printer.Text(value))
		}
		return strings.Join(lines, "\n")
	})
	if err := p.c.result.Row(p.values...); err != nil {
		return err
	}
	return p.c.done(render.Summary{Local: p.local})
}
