package command

import (
	"context"
	"errors"
	"strings"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/render"
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
		return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
			before := c.session.votingMetas(ctx, a)
			text, err := c.session.metaCommand(ctx, a, command, c.text(0))
			var refused *remoteError
			if errors.As(err, &refused) {
				refused.try = "cluster metas shows whether another change is under way: there is one at a time"
			}
			if err != nil {
				return err
			}
			if command == "meta.add" {
				text += "\nand with meta.servers = " + strings.Join(append(before, c.text(0)), ",")
			}
			return c.done(render.Summary{Text: multiline(inShell.Replace(text)), Fields: []render.Field{{Name: "message", Value: text}}})
		})
	}
}

// votingMetas are the members of the group; one that joins or was removed decides
// nothing. Without an answer they are those that the cluster names.
func (s *Session) votingMetas(ctx context.Context, a *admin.Admin) []string {
	text, err := s.metaCommand(ctx, a, "meta.list")
	var voting []string
	for _, line := range strings.Split(text, "\n") {
		if fields := strings.Fields(line); len(fields) >= 4 && fields[3] == "voting" {
			voting = append(voting, fields[0])
		}
	}
	if err != nil || len(voting) == 0 {
		return s.metaServers(ctx, a)
	}
	return voting
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
