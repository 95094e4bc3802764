package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// clusterVerbs look at the cluster.
func clusterVerbs() []verb {
	return []verb{
		{
			use: "nodes", short: "list the replica servers; -d with what they hold",
			example: "nodes -d",
			flags:   nodesFlags, run: runNodes,
		}, {
			use: "cluster_info", short: "show the cluster's name, metas and state",
			run: runClusterInfo,
		},
	}
}

func nodesFlags(f *pflag.FlagSet) {
	f.StringP("status", "s", "all", "all, alive or unalive")
	f.BoolP("detailed", "d", false, "count the replicas of each")
}

func runNodes(ctx context.Context, c *call) error {
	status := parse.Text(c.flagText("status"))
	if status != "all" && status != "alive" && status != "unalive" {
		return usagef(fmt.Sprintf("--status is %q; known are all, alive and unalive", status))
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		nodes, err := a.ListNodes(ctx)
		if err != nil {
			return err
		}
		return c.showNodes(ctx, a, nodes, status)
	})
}

func (c *call) showNodes(ctx context.Context, a *admin.Admin, nodes []admin.Node, status string) error {
	columns := render.Columns("node", "status")
	var held map[string]*held
	if c.flagOn("detailed") {
		columns = render.Columns("node", "status", "replicas", "leaders", "followers")
		var err error
		if held, err = countReplicas(ctx, a); err != nil {
			return err
		}
	}
	r := c.open(columns, nil)
	alive := 0
	for _, n := range nodes {
		state := "unalive"
		if n.Alive {
			state = "alive"
			alive++
		}
		if status != "all" && status != state {
			continue
		}
		row := []any{n.Addr, state}
		if held != nil {
			row = append(row, held[n.Addr].row()...)
		}
		if err := r.Row(row...); err != nil {
			return err
		}
	}
	return c.done(render.Summary{
		Text:   fmt.Sprintf("%d nodes, %d alive", len(nodes), alive),
		Fields: []render.Field{{Name: "total", Value: len(nodes)}, {Name: "alive", Value: alive}},
	})
}

// held counts the replicas of one node. A nil one holds nothing.
type held struct{ leaders, followers int }

func (h *held) row() []any {
	if h == nil {
		return []any{0, 0, 0}
	}
	return []any{h.leaders + h.followers, h.leaders, h.followers}
}

// countReplicas adds up the routing of all tables, by address.
func countReplicas(ctx context.Context, a *admin.Admin) (map[string]*held, error) {
	tables, err := a.ListTables(ctx, admin.StatusAvailable)
	if err != nil {
		return nil, err
	}
	nodes := make(map[string]*held)
	at := func(address string) *held {
		if nodes[address] == nil {
			nodes[address] = &held{}
		}
		return nodes[address]
	}
	for _, t := range tables {
		routing, err := a.QueryTable(ctx, t.Name)
		if err != nil {
			return nil, err
		}
		for _, p := range routing.Partitions {
			if p.Leader != "" {
				at(p.Leader).leaders++
			}
			for _, follower := range p.Followers {
				at(follower).followers++
			}
		}
	}
	return nodes, nil
}

func runClusterInfo(ctx context.Context, c *call) error {
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		facts, err := a.ClusterInfo(ctx)
		if err != nil {
			return err
		}
		p := c.properties()
		for _, f := range facts {
			p.add(f.Name, f.Value)
		}
		return p.done()
	})
}

// completionWait is what completion may take before a person notices.
const completionWait = 50 * time.Millisecond

// KnownTables lists table names for completion; nothing when the metas are slow.
func (s *Session) KnownTables() []string {
	var names []string
	c := &call{invocation: &invocation{session: s}}
	// Completion has nobody to tell an error.
	_ = c.administerFor(context.Background(), completionWait, func(ctx context.Context, a *admin.Admin) error {
		tables, err := a.ListTables(ctx, admin.StatusAvailable)
		for _, t := range tables {
			names = append(names, t.Name)
		}
		return err
	})
	return names
}
