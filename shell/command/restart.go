package command

import (
	"context"
	"fmt"
	"time"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// restartWait is what a node may take to come back before the helper gives up; a
// person or another tool restarts it.
const restartWait = 30 * time.Minute

// runRollingRestart takes the nodes one after the other: move the leaders off,
// wait until somebody has restarted the server, take it back, wait until every
// partition is whole again.
func runRollingRestart(ctx context.Context, c *call) error {
	var nodes []string
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		all, err := a.ListNodes(ctx)
		if err != nil {
			return plan{}, err
		}
		only := parse.Text(c.flagText("node"))
		for _, n := range all {
			if n.Alive && (only == "" || only == n.Addr) {
				nodes = append(nodes, n.Addr)
			}
		}
		if len(nodes) == 0 {
			return plan{}, usagef("no such node is alive; nodes lists them")
		}
		return plan{act: fmt.Sprintf("go through %d nodes", len(nodes)),
			radius: "leaders move off each before its restart; you restart it when told to"}, nil
	}
	return c.changeFor(ctx, jobWait, look, func(ctx context.Context, a *admin.Admin) error {
		for i, node := range nodes {
			c.say("node %d of %d: %s", i+1, len(nodes), node)
			if err := c.restartOne(ctx, a, node); err != nil {
				return err
			}
		}
		return c.done(render.Summary{Text: fmt.Sprintf("%d nodes restarted", len(nodes)), Fields: []render.Field{{Name: "restarted", Value: len(nodes)}}})
	})
}

func (c *call) restartOne(ctx context.Context, a *admin.Admin, node string) error {
	if err := c.waitWhole(ctx, a); err != nil {
		return err
	}
	var before admin.NodeState
	err := c.brief(ctx, func(ctx context.Context) (err error) {
		before, err = a.NodeState(ctx, node)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := c.session.metaCommand(ctx, a, "node.drain", node, "leaders"); err != nil {
		return err
	}
	// Whatever happens from here on, the node must not stay without leaders.
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.session.Timeout)
		defer cancel()
		if _, err := c.session.metaCommand(end, a, "node.resume", node); err != nil {
			c.say("%s is still relieved: node resume %s", node, node)
		}
	}()
	err = c.until(ctx, "leaders move off "+node, func(ctx context.Context) (bool, error) {
		now, err := a.NodeState(ctx, node)
		return err == nil && leading(now) == 0, nil
	})
	if err != nil {
		return err
	}
	c.say("restart the server of %s now", node)
	err = c.until(ctx, "waiting for the restart", func(ctx context.Context) (bool, error) {
		now, err := a.NodeState(ctx, node)
		return err == nil && now.Boot > before.Boot, nil
	})
	if err != nil {
		return err
	}
	return c.waitWhole(ctx, a)
}

func leading(n admin.NodeState) int {
	count := 0
	for _, r := range n.Replicas {
		if r.Leading {
			count++
		}
	}
	return count
}

// waitWhole waits until every partition of every table has all its replicas.
func (c *call) waitWhole(ctx context.Context, a *admin.Admin) error {
	told := false
	return c.until(ctx, "waiting until every partition is whole", func(ctx context.Context) (bool, error) {
		tables, err := a.ListTables(ctx, admin.StatusAvailable)
		if err != nil {
			if !told {
				c.say("the meta servers do not answer: %v", err)
				told = true
			}
			return false, nil
		}
		for _, t := range tables {
			r, err := a.QueryTable(ctx, t.Name)
			if err != nil || !r.Healthy() {
				return false, nil
			}
		}
		return true, nil
	})
}

// until asks again and again, saying once what it waits for.
func (c *call) until(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, restartWait)
	defer cancel()
	for said := false; ; said = true {
		one, stop := context.WithTimeout(ctx, c.session.Timeout)
		ok, err := done(one)
		stop()
		if ok || err != nil {
			return err
		}
		if !said {
			c.say("%s", what)
		}
		if err := sleep(ctx, poll); err != nil {
			return err
		}
	}
}

// say tells a person what is going on, beside the result.
func (c *call) say(format string, args ...any) {
	if !c.session.Printer.Quiet {
		fmt.Fprintln(c.session.Printer.Err, render.SafeText(fmt.Sprintf(format, args...)))
	}
}
