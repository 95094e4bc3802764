package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
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
			use: "clear_app_envs", short: "take all settings of the table away, or those with a prefix",
			example: "clear_app_envs -p replica.\nclear_app_envs -a",
			flags:   clearFlags, run: runClearEnvs,
		},
	}
}

func runGetEnvs(ctx context.Context, c *call) error {
	if c.session.Table == "" {
		return usagef("no table is in use; say: use <table>")
	}
	ctx, cancel := c.limited(ctx)
	defer cancel()
	t, err := c.tableInfo(ctx, c.session.Table)
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
}

func runSetEnvs(ctx context.Context, c *call) error {
	if len(c.args)%2 != 0 {
		return usagef(fmt.Sprintf("key %q has no value", c.text(len(c.args)-1)))
	}
	req := &admin.ConfigurationUpdateAppEnvRequest{Op: admin.AppEnvOperation_APP_ENV_OP_SET}
	for i := 0; i < len(c.args); i += 2 {
		req.Keys = append(req.Keys, c.text(i))
		req.Values = append(req.Values, c.text(i+1))
	}
	return c.updateEnvs(ctx, req, "set app envs succeed")
}

func runDelEnvs(ctx context.Context, c *call) error {
	req := &admin.ConfigurationUpdateAppEnvRequest{Op: admin.AppEnvOperation_APP_ENV_OP_DEL}
	for i := range c.args {
		req.Keys = append(req.Keys, c.text(i))
	}
	return c.updateEnvs(ctx, req, "del app envs succeed")
}

func clearFlags(f *pflag.FlagSet) {
	f.BoolP("all", "a", false, "all of them")
	f.StringP("prefix", "p", "", "those whose key begins so")
}

func runClearEnvs(ctx context.Context, c *call) error {
	prefix := parse.Text(c.flagText("prefix"))
	if c.flagOn("all") == (prefix != "") {
		return usagef("say either --all or --prefix; help clear_app_envs")
	}
	req := &admin.ConfigurationUpdateAppEnvRequest{Op: admin.AppEnvOperation_APP_ENV_OP_CLEAR, ClearPrefix: &prefix}
	return c.updateEnvs(ctx, req, "clear app envs succeed")
}

func (c *call) updateEnvs(ctx context.Context, req *admin.ConfigurationUpdateAppEnvRequest, text string) error {
	if c.session.Table == "" {
		return usagef("no table is in use; say: use <table>")
	}
	ctx, cancel := c.limited(ctx)
	defer cancel()
	req.AppName = c.session.Table
	var reply admin.ConfigurationUpdateAppEnvResponse
	err := c.meta(ctx, "RPC_CM_UPDATE_APP_ENV", req, &reply, true, func() (*base.ErrorCode, string) {
		return reply.Err, reply.HintMessage
	})
	if err != nil {
		return err
	}
	if reply.HintMessage != "" {
		text += ": " + render.SafeText(reply.HintMessage)
	}
	return c.done(render.Summary{Text: text})
}
