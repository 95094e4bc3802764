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
			use: "envs get [table]", short: "show the settings of a table",
			example: "envs get\nget_app_envs --table temp",
			aliases: []string{"get_app_envs", "envs", "table_env list", "table_env ls"}, max: 1, flags: jsonFlag, run: runGetEnvs,
			related: []string{"envs list"},
		}, {
			use: "envs set <env> <value> [env value ...]", short: "change settings of the table",
			example: "envs set default_ttl 86400 --dry-run\nset_app_envs business.info 'team blue' --dry-run",
			aliases: []string{"set_app_envs", "table_env set"}, min: 2, max: unlimited, run: runSetEnvs, changes: true,
			related: []string{"envs list"},
		}, {
			use: "envs del <env> [env ...]", short: "take settings of the table away",
			example: "envs del default_ttl --dry-run\ndel_app_envs default_ttl business.info --dry-run",
			aliases: []string{"del_app_envs", "table_env delete", "table_env del"}, min: 1, max: unlimited, run: runDelEnvs, changes: true,
		}, {
			use: "envs clear", short: "take all settings of the table away, or those below a prefix",
			example: "envs clear -p replica --dry-run\nclear_app_envs -a --dry-run",
			aliases: []string{"clear_app_envs", "table_env clear"}, flags: clearFlags, run: runClearEnvs, changes: true,
		}, {
			use: "envs list [env]", short: "list every setting that a table can have, with its meaning",
			example: "envs list\nenvs list default_ttl\nenvs list --like throttling",
			max:     1, run: runKnownEnvs, local: true,
		},
	}
}

func jsonFlag(f *pflag.FlagSet) { f.BoolP("json", "j", false, "the same as -o json") }

func runGetEnvs(ctx context.Context, c *call) error {
	table, err := c.tableArgument(0)
	if err != nil {
		return err
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
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
		return usagef(fmt.Sprintf("env %q has no value; usage: envs set <env> <value> ...: the table is that of use or --table", c.text(len(c.args)-1)))
	}
	envs := make(map[string]string)
	for i := 0; i < len(c.args); i += 2 {
		envs[c.text(i)] = c.text(i + 1)
	}
	if err := checkEnvs(envs); err != nil {
		return err
	}
	return c.onEnvs(ctx, "set "+describeEnvs(envs), false, func(ctx context.Context, a *admin.Admin, table string) error {
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
	return c.onEnvs(ctx, "delete "+strings.Join(keys, ", "), false, func(ctx context.Context, a *admin.Admin, table string) error {
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
	what := "delete every env"
	if prefix != "" {
		what += " below " + quoted(prefix)
	}
	return c.onEnvs(ctx, what, true, func(ctx context.Context, a *admin.Admin, table string) error {
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

// onEnvs changes the settings of the current table by f. naming: a person has to
// repeat the table.
func (c *call) onEnvs(ctx context.Context, what string, naming bool, f func(ctx context.Context, a *admin.Admin, table string) error) error {
	table := c.session.Table
	if table == "" {
		return usagef("no table is in use; say: use <table>")
	}
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		t, err := a.GetTable(ctx, table)
		p := plan{act: what + " of table " + quoted(table), radius: fmt.Sprintf("%d partitions", t.Partitions)}
		if naming {
			p.object = table
		}
		return p, err
	}
	return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error { return f(ctx, a, table) })
}
