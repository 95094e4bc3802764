package command

import (
	"context"
	"strings"

	"github.com/arionkv/arion/client/admin"
)

// metaVerbs change the group of meta servers, and rescue partitions.
func metaVerbs() []verb {
	return []verb{
		{
			use: "cluster metas", short: "list the meta servers, and which one leads",
			example: "cluster metas\ncluster metas -o json",
			run:     metaVerb("meta.list", true), related: []string{"cluster add_meta", "cluster remove_meta"},
		}, {
			use: "cluster add_meta <address>", short: "make a place for a new meta server; start it with meta.join then",
			example: "cluster add_meta 10.0.0.4:34601 --dry-run\ncluster add_meta 10.0.0.4:34601 --dry-run -o json",
			min:     1, max: 1, run: metaChange("meta.add", "add the meta server"), changes: true,
		}, {
			use: "cluster remove_meta <address>", short: "take a meta server out of the group, alive or dead",
			example: "cluster remove_meta 10.0.0.4:34601 --dry-run\ncluster remove_meta 10.0.0.4:34601 --dry-run -o json",
			min:     1, max: 1, run: metaChange("meta.remove", "remove the meta server"), changes: true,
		}, {
			use: "partition recover <all|table|table.partition>", short: "form partitions anew that lost their majority for good; may lose writes",
			example: "partition recover all --dry-run\npartition recover temp.3 --dry-run",
			min:     1, max: 1, run: runRecover, changes: true, related: []string{"ddd_diagnose", "cluster status"},
		},
	}
}

func metaChange(command, act string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		look := func(context.Context, *admin.Admin) (plan, error) {
			return plan{act: act + " " + c.text(0), radius: "the majority of the group changes", object: c.text(0)}, nil
		}
		return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error { return c.metaSays(ctx, a, command, c.text(0)) })
	}
}

// runRecover asks the meta servers first what they would do: without yes they only
// tell.
func runRecover(ctx context.Context, c *call) error {
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		text, err := c.session.metaCommand(ctx, a, "partition.recover", c.text(0))
		if c.flagOn("dry_run") && err != nil {
			text, err = err.Error(), nil
		}
		return plan{act: "form " + c.text(0) + " anew from the best replica left", radius: strings.Join(strings.Fields(text), " "), object: c.text(0), lost: true}, err
	}
	return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
		return c.metaSays(ctx, a, "partition.recover", c.text(0), "yes")
	})
}
