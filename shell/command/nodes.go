package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

func nodeVerbs() []verb {
	return []verb{
		{
			use: "node list", short: "list the replica servers; -d with what they hold, their disk and latency",
			example: "node list -d\nnodes -s unalive\nnode list -d --sort -leaders",
			aliases: []string{"nodes"}, flags: nodesFlags, run: runNodes, related: []string{"doctor", "top"},
		}, {
			use: "node drain <node>", short: "move everything off a node before it goes; --leaders before it only restarts",
			example: "node drain 127.0.0.1:34803 --dry-run\nnode drain 127.0.0.1:34803 --leaders --dry-run",
			min:     1, max: 1, flags: drainFlags, run: runDrain, changes: true, related: []string{"node resume", "node drain_status"},
		}, {
			use: "node resume <node>", short: "take a drained node back into service",
			example: "node resume 127.0.0.1:34803 --dry-run\nnode resume 127.0.0.1:34803 --dry-run -o json",
			min:     1, max: 1, run: runResume, changes: true,
		}, {
			use: "node drain_status [node]", short: "show how far drains are",
			example: "node drain_status\nnode drain_status 127.0.0.1:34803",
			max:     1, run: runDrainStatus,
		}, {
			use: "node forget <node>", short: "forget a node that is gone for good and holds nothing",
			example: "node forget 127.0.0.1:34809 --dry-run\nnode forget 127.0.0.1:34809 --dry-run -o json",
			min:     1, max: 1, run: runForget, changes: true,
		}, {
			use: "node disk [node]", short: "show the disks of the nodes",
			example: "node disk\nnode disk 127.0.0.1:34801 --bytes",
			aliases: []string{"disk_capacity", "disk_replica"}, max: 1, flags: diskFlags, run: runDisks,
		},
	}
}

func nodesFlags(f *pflag.FlagSet) {
	f.StringP("status", "s", "all", "all, alive or unalive")
	f.BoolP("detailed", "d", false, "show replicas, leaders, disk, latency of a call, version")
	f.BoolP("json", "j", false, "the same as -o json")
	f.BoolP("resource_usage", "u", false, "the same as -d")
	f.BoolP("resolve_ip", "r", false, "accepted for old scripts: addresses are shown as they are")
}

func runNodes(ctx context.Context, c *call) error {
	status := parse.Text(c.flagText("status"))
	if status != "all" && status != "alive" && status != "unalive" {
		return usagef(fmt.Sprintf("--status is %q; known are all, alive and unalive", status))
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		if c.flagOn("detailed") || c.flagOn("resource_usage") {
			return c.showNodes(ctx, a, status)
		}
		nodes, err := a.ListNodes(ctx)
		if err != nil {
			return err
		}
		views := make([]*nodeView, len(nodes))
		for i, n := range nodes {
			views[i] = &nodeView{addr: n.Addr, alive: n.Alive}
		}
		return c.nodeRows(ctx, a, views, status, render.Columns("node", "status"), func(*nodeView) []any { return nil })
	})
}

func (c *call) showNodes(ctx context.Context, a *admin.Admin, status string) error {
	views, err := inspect(ctx, a, detail{disks: true})
	if err != nil {
		return err
	}
	routed, err := countReplicas(ctx, a)
	if err != nil {
		return err
	}
	columns := render.Columns("node", "status", "replicas", "leaders", "followers", "data", "disk_free", "disk_total", "latency_ms", "version", "+error")
	return c.nodeRows(ctx, a, views, status, columns, func(v *nodeView) []any {
		if v.Replicas == nil && v.err != nil || !v.alive {
			h := routed[v.addr] // all that is known of a server that does not tell
			return []any{h.leaders + h.followers, h.leaders, h.followers, nil, nil, nil, nil, nil, errorText(v.err)}
		}
		var data int64
		for _, r := range v.Replicas {
			data += r.SizeBytes
		}
		capacity, free := v.space()
		return []any{len(v.Replicas), v.leaders, len(v.Replicas) - v.leaders, render.Size(data), render.Size(free), render.Size(capacity),
			v.latency, v.Version, errorText(v.err)}
	})
}

// held counts the replicas of one node.
type held struct{ leaders, followers int }

// countReplicas adds up the routing of all tables, by address.
func countReplicas(ctx context.Context, a *admin.Admin) (map[string]held, error) {
	tables, err := a.ListTables(ctx, admin.StatusAvailable)
	if err != nil {
		return nil, err
	}
	nodes := make(map[string]held)
	for _, t := range tables {
		routing, err := a.QueryTable(ctx, t.Name)
		if err != nil {
			return nil, err
		}
		for _, p := range routing.Partitions {
			if p.Leader != "" {
				h := nodes[p.Leader]
				h.leaders++
				nodes[p.Leader] = h
			}
			for _, follower := range p.Followers {
				h := nodes[follower]
				h.followers++
				nodes[follower] = h
			}
		}
	}
	return nodes, nil
}

func errorText(err error) any {
	if err == nil {
		return nil
	}
	return err.Error()
}

func (c *call) nodeRows(
	ctx context.Context, a *admin.Admin, views []*nodeView, status string, columns []render.Column, more func(*nodeView) []any,
) error {
	r := c.open(columns, nil)
	alive := 0
	for _, v := range views {
		state := "unalive"
		if v.alive {
			state = "alive"
			alive++
		}
		if status != "all" && status != state {
			continue
		}
		if err := r.Row(append([]any{v.addr, state}, more(v)...)...); err != nil {
			return err
		}
	}
	summary := render.Summary{
		Text:   fmt.Sprintf("%d nodes, %d alive", len(views), alive),
		Fields: []render.Field{{Name: "total", Value: len(views)}, {Name: "alive", Value: alive}},
	}
	if drains, err := c.drains(ctx, a, ""); err == nil && len(drains) > 0 { // servers that do not know the question drain nothing
		states := map[string]string{}
		for _, d := range drains {
			summary.Text += fmt.Sprintf(", drain of %s: %s", d.object, d.state)
			states[d.object] = d.state
		}
		summary.Fields = append(summary.Fields, render.Field{Name: "drains", Value: states})
	}
	return c.done(summary)
}

func drainFlags(f *pflag.FlagSet) {
	f.Bool("leaders", false, "move only the leaders: enough before a restart")
	f.BoolP("wait", "w", false, "wait until it is done, showing how far it is")
}

// nodeChange runs a text command about a node after saying what it holds.
func (c *call) nodeChange(ctx context.Context, act string, asking bool, then func(context.Context, *admin.Admin) error) error {
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		p := plan{act: act + " " + c.text(0)}
		if asking {
			p.object = c.text(0)
		}
		views, err := inspect(ctx, a, detail{})
		if err != nil {
			return p, err
		}
		for _, v := range views {
			if v.addr == c.text(0) && v.err == nil {
				p.radius = fmt.Sprintf("%d replicas, %d of them leaders", len(v.Replicas), v.leaders)
			}
		}
		return p, nil
	}
	return c.changeFor(ctx, jobWait, look, then)
}

func runDrain(ctx context.Context, c *call) error {
	args, act := []string{c.text(0)}, "move all replicas off"
	if c.flagOn("leaders") {
		args, act = append(args, "leaders"), "move all leaders off"
	}
	return c.nodeChange(ctx, act, true, func(ctx context.Context, a *admin.Admin) error {
		text, err := c.session.metaCommand(ctx, a, "node.drain", args...)
		if err != nil {
			return err
		}
		if c.flagOn("wait") {
			if text, err = c.waitDrained(ctx, a); err != nil {
				return err
			}
		}
		summary := render.Summary{Text: multiline(text), Fields: []render.Field{{Name: "message", Value: text}}}
		if c.sayStuck(text) { // who waited must not go on as if the node were empty
			c.exit, summary.Code = ExitNotFound, codeNotMet
		}
		return c.done(summary)
	})
}

// sayStuck tells a person what to do about drains that cannot go on, and whether
// there are any.
func (c *call) sayStuck(text string) (found bool) {
	for _, line := range strings.Split(text, "\n") {
		if fields := strings.Fields(line); len(fields) > 0 && fields[len(fields)-1] == "stuck" {
			found = true
			c.say("%s is stuck: no other node in service may hold what it has. Add a node or ask for fewer replicas (table replicas); before a mere restart node drain --leaders is enough; node resume calls it off", fields[0])
		}
	}
	return found
}

// waitDrained waits for the last word of the drain status, which is made for it.
func (c *call) waitDrained(ctx context.Context, a *admin.Admin) (string, error) {
	for said := ""; ; {
		text, err := c.session.metaCommand(ctx, a, "node.drain-status", c.text(0))
		if err != nil {
			return "", err
		}
		fields := strings.Fields(text)
		switch last := fields[max(0, len(fields)-1):]; {
		case len(last) == 0 || last[0] != "moving":
			return text, nil
		case text != said && !c.session.Printer.Quiet:
			said = text
			fmt.Fprintln(c.session.Printer.Err, multiline(text))
		}
		if err := sleep(ctx, poll); err != nil {
			return "", err
		}
	}
}

func runResume(ctx context.Context, c *call) error {
	return c.nodeChange(ctx, "take back into service", false, func(ctx context.Context, a *admin.Admin) error {
		return c.metaSays(ctx, a, "node.resume", c.text(0))
	})
}

func runForget(ctx context.Context, c *call) error {
	return c.nodeChange(ctx, "forget", true, func(ctx context.Context, a *admin.Admin) error {
		return c.metaSays(ctx, a, "node.forget", c.text(0))
	})
}

func (c *call) metaSays(ctx context.Context, a *admin.Admin, command string, args ...string) error {
	text, err := c.session.metaCommand(ctx, a, command, args...)
	if err != nil {
		return err
	}
	return c.done(render.Summary{Text: multiline(inShell.Replace(text)), Fields: []render.Field{{Name: "message", Value: text}}})
}

func runDrainStatus(ctx context.Context, c *call) error {
	var args []string
	if len(c.args) > 0 {
		args = []string{c.text(0)}
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		text, err := c.session.metaCommand(ctx, a, "node.drain-status", args...)
		if err != nil {
			return err
		}
		c.sayStuck(text)
		return c.metaText(text, false)
	})
}

func diskFlags(f *pflag.FlagSet) {
	f.StringP("node", "n", "", "only this node, as admin-cli has it")
}

func runDisks(ctx context.Context, c *call) error {
	only := c.optional(0, parse.Text(c.flagText("node")))
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		views, err := inspect(ctx, a, detail{disks: true})
		if err != nil {
			return err
		}
		r := c.open(render.Columns("node", "disk", "directory", "capacity", "free", "free_percent", "leaders", "followers"), nil)
		for _, v := range views {
			if only != "" && only != v.addr {
				continue
			}
			for _, d := range v.disks {
				percent := 0
				if d.CapacityMB > 0 {
					percent = int(100 * d.FreeMB / d.CapacityMB)
				}
				err := r.Row(v.addr, d.Tag, d.Dir, render.Size(d.CapacityMB<<20), render.Size(d.FreeMB<<20), percent, d.Leaders, d.Followers)
				if err != nil {
					return err
				}
			}
		}
		return c.done(render.Summary{})
	})
}
