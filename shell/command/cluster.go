package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/render"
)

// clusterVerbs look at the cluster and steer its meta servers.
func clusterVerbs() []verb {
	return []verb{
		{
			use: "cluster info", short: "show the cluster's name, metas and state",
			example: "cluster info\ncluster_info -o json",
			aliases: []string{"cluster_info"}, flags: jsonFlag, run: runClusterInfo,
		}, {
			use: "cluster level [level]", short: "show or change what the meta servers may do by themselves",
			example: "cluster level\nset_meta_level lively --dry-run\nget_meta_level",
			aliases: []string{"get_meta_level", "set_meta_level", "meta_level", "meta_level set"}, max: 1, run: runLevel, changes: true,
		}, {
			use: "cluster plan", short: "show what level lively would move, without moving it",
			example: "cluster plan\ncluster plan -o json",
			aliases: []string{"balance_plan"}, run: metaVerb("balance.plan", false), related: []string{"cluster level", "balance"},
		}, {
			use: "cluster status", short: "show the partitions that are not as they should be, and what is done about it",
			example: "cluster status\nwatch 2s cluster status -n 1",
			run:     metaVerb("repair.status", false), related: []string{"doctor"},
		}, {
			use: "cluster settings [name] [value]", short: "show or change the settings of repair and balancing",
			example: "cluster settings\ncluster settings copies 16 --dry-run",
			max:     2, run: runSettings, changes: true,
		}, {
			use: "cluster restart", short: "help with restarting the nodes one by one: relieve, wait for the restart, resume",
			example: "cluster restart --dry-run\ncluster restart --node 127.0.0.1:34801 --dry-run",
			flags:   restartFlags, run: runRollingRestart, changes: true, related: []string{"node drain"},
		},
	}
}

func runClusterInfo(ctx context.Context, c *call) error {
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		facts, err := a.ClusterInfo(ctx)
		if err != nil {
			return err
		}
		p := c.properties()
		for _, f := range facts {
			value := any(f.Value)
			if strings.HasPrefix(f.Value, "{") && json.Valid([]byte(f.Value)) {
				value = json.RawMessage(compactJSON(f.Value))
			}
			p.add(f.Name, value)
		}
		return p.done()
	})
}

func compactJSON(text string) string { return strings.Join(strings.Fields(text), "") }

var levelMeanings = map[admin.Level]string{
	admin.LevelStopped: "no client may ask: the whole cluster stops answering",
	admin.LevelBlind:   "deaths of nodes are not acted upon",
	admin.LevelFrozen:  "nothing moves and no table can be made",
	admin.LevelSteady:  "repair, but no balancing",
	admin.LevelLively:  "repair and balancing: replicas will move",
}

func runLevel(ctx context.Context, c *call) error {
	if len(c.args) == 0 {
		return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
			l, err := a.Level(ctx)
			if err != nil {
				return err
			}
			return c.done(render.Summary{
				Text:   fmt.Sprintf("current meta level is fl_%s: %s", l, levelMeanings[l]),
				Fields: []render.Field{{Name: "level", Value: l.String()}},
			})
		})
	}
	to, err := admin.ParseLevel(strings.TrimPrefix(c.text(0), "fl_"))
	if err != nil {
		return usagef(fmt.Sprintf("%q is no level; known are stopped, blind, freezed, steady and lively", c.text(0)))
	}
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		old, err := a.Level(ctx)
		p := plan{act: fmt.Sprintf("change the meta level from %s to %s", old, to), radius: levelMeanings[to]}
		if to < admin.LevelSteady {
			p.object = to.String()
		}
		return p, err
	}
	return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
		old, err := a.SetLevel(ctx, to)
		if err != nil {
			return err
		}
		return c.done(render.Summary{
			Text:   fmt.Sprintf("control meta level ok, the old level is fl_%s", old),
			Fields: []render.Field{{Name: "from", Value: old.String()}, {Name: "to", Value: to.String()}},
		})
	})
}

// metaVerb shows what the meta servers say to a text command.
func metaVerb(command string, header bool) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
			text, err := c.session.metaCommand(ctx, a, command)
			if err != nil {
				return err
			}
			return c.metaText(text, header)
		})
	}
}

func runSettings(ctx context.Context, c *call) error {
	var args []string
	for i := range c.args {
		args = append(args, c.text(i))
	}
	if len(args) < 2 {
		return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
			text, err := c.session.metaCommand(ctx, a, "setting", args...)
			if err != nil {
				return err
			}
			return c.metaText("setting value meaning\n"+text, true)
		})
	}
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		_, err := c.session.metaCommand(ctx, a, "setting", args[0])
		return plan{act: fmt.Sprintf("change setting %s to %s", args[0], args[1])}, err
	}
	return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
		return c.metaSays(ctx, a, "setting", args...)
	})
}

func restartFlags(f *pflag.FlagSet) {
	f.String("node", "", "only this node")
}
