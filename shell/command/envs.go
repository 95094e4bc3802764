package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// envVerbs change the settings of the current table.
func envVerbs() []verb {
	return []verb{
		{
			use: "get_app_envs", short: "show the settings of the table",
			aliases: []string{"envs"}, run: runGetEnvs,
		}, {
			use: "set_app_envs <key> <value> [key value ...]", short: "change settings of the table",
			example: "set_app_envs default_ttl 86400",
			min:     2, max: unlimited, run: runSetEnvs,
		}, {
			use: "del_app_envs <key> [key ...]", short: "take settings of the table away",
			example: "del_app_envs default_ttl",
			min:     1, max: unlimited, run: runDelEnvs,
		}, {
			use: "clear_app_envs", short: "take all settings of the table away, or those below a prefix",
			example: "clear_app_envs -p replica\nclear_app_envs -a",
			flags:   clearFlags, run: runClearEnvs,
		},
	}
}

func runGetEnvs(ctx context.Context, c *call) error {
	return c.onEnvs(ctx, func(ctx context.Context, a *admin.Admin, table string) error {
		t, err := a.GetTable(ctx, table)
		if err != nil {
			return err
		}
		var keys []string
		for k := range t.Envs {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		r := c.open(render.Columns("key", "value"), func(p *render.Printer, row []any) string {
			return p.Text(row[0]) + " = " + p.Text(row[1])
		})
		for _, k := range keys {
			if err := r.Row(k, t.Envs[k]); err != nil {
				return err
			}
		}
		return c.done(render.Summary{})
	})
}

func runSetEnvs(ctx context.Context, c *call) error {
	if len(c.args)%2 != 0 {
		return usagef(fmt.Sprintf("key %q has no value", c.text(len(c.args)-1)))
	}
	envs := make(map[string]string)
	for i := 0; i < len(c.args); i += 2 {
		envs[c.text(i)] = c.text(i + 1)
	}
	return c.onEnvs(ctx, func(ctx context.Context, a *admin.Admin, table string) error {
		if err := a.SetEnvs(ctx, table, envs); err != nil {
			return err
		}
		return c.done(render.Summary{Text: "set app envs succeed"})
	})
}

func runDelEnvs(ctx context.Context, c *call) error {
	var keys []string
	for i := range c.args {
		keys = append(keys, c.text(i))
	}
	return c.onEnvs(ctx, func(ctx context.Context, a *admin.Admin, table string) error {
		hint, err := a.DelEnvs(ctx, table, keys...)
		return c.envsGone("del app envs succeed", hint, err)
	})
}

func clearFlags(f *pflag.FlagSet) {
	f.BoolP("all", "a", false, "all of them")
	f.StringP("prefix", "p", "", "those whose key begins with it and a dot")
}

func runClearEnvs(ctx context.Context, c *call) error {
	prefix := parse.Text(c.flagText("prefix"))
	if c.flagOn("all") == (prefix != "") {
		return usagef("say either --all or --prefix; help clear_app_envs")
	}
	return c.onEnvs(ctx, func(ctx context.Context, a *admin.Admin, table string) error {
		hint, err := a.ClearEnvs(ctx, table, prefix)
		return c.envsGone("clear app envs succeed", hint, err)
	})
}

// envsGone shows what the server says it took away. It lists keys on lines of
// their own.
func (c *call) envsGone(text, hint string, err error) error {
	if err != nil {
		return err
	}
	if words := strings.Fields(hint); len(words) > 0 {
		text += ": " + render.SafeText(strings.Join(words, " "))
	}
	return c.done(render.Summary{Text: text})
}

// onEnvs runs f for the current table.
func (c *call) onEnvs(ctx context.Context, f func(ctx context.Context, a *admin.Admin, table string) error) error {
	table := c.session.Table
	if table == "" {
		return usagef("no table is in use; say: use <table>")
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error { return f(ctx, a, table) })
}
