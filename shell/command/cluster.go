package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
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

var nodeStates = map[string]admin.NodeStatus{
	"all":     admin.NodeStatus_NS_INVALID,
	"alive":   admin.NodeStatus_NS_ALIVE,
	"unalive": admin.NodeStatus_NS_UNALIVE,
}

func runNodes(ctx context.Context, c *call) error {
	name := parse.Text(c.flagText("status"))
	status, ok := nodeStates[name]
	if !ok {
		return usagef(fmt.Sprintf("--status is %q; known are all, alive and unalive", name))
	}
	ctx, cancel := c.limited(ctx)
	defer cancel()
	var reply admin.ConfigurationListNodesResponse
	err := c.meta(ctx, "RPC_CM_LIST_NODES", &admin.ConfigurationListNodesRequest{Status: status}, &reply, true,
		func() (*base.ErrorCode, string) { return reply.Err, "" })
	if err != nil {
		return err
	}
	columns := render.Columns("address", "status")
	var held map[string]*held
	if c.flagOn("detailed") {
		columns = render.Columns("address", "status", "replica_count", "primary_count", "secondary_count")
		if held, err = c.countReplicas(ctx); err != nil {
			return err
		}
	}
	r := c.open(columns, nil)
	alive := 0
	for _, n := range reply.Infos {
		row := []any{addressText(n.Node), strings.TrimPrefix(n.Status.String(), "NS_")}
		if n.Status == admin.NodeStatus_NS_ALIVE {
			alive++
		}
		if held != nil {
			row = append(row, held[addressText(n.Node)].row()...)
		}
		if err := r.Row(row...); err != nil {
			return err
		}
	}
	return c.done(render.Summary{
		Text:   fmt.Sprintf("%d nodes, %d alive", len(reply.Infos), alive),
		Fields: []render.Field{{Name: "total_node_count", Value: len(reply.Infos)}, {Name: "alive_node_count", Value: alive}},
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
func (c *call) countReplicas(ctx context.Context) (map[string]*held, error) {
	tables, err := c.listTables(ctx, admin.AppStatus_AS_AVAILABLE)
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
		routing, err := c.routing(ctx, t.AppName)
		if err != nil {
			return nil, err
		}
		for _, p := range routing.Partitions {
			at(addressText(p.Primary)).leaders++
			for _, follower := range addressTexts(p.Secondaries) {
				at(follower).followers++
			}
		}
	}
	return nodes, nil
}

func runClusterInfo(ctx context.Context, c *call) error {
	ctx, cancel := c.limited(ctx)
	defer cancel()
	var reply admin.ConfigurationClusterInfoResponse
	err := c.meta(ctx, "RPC_CM_CLUSTER_INFO", &admin.ConfigurationClusterInfoRequest{}, &reply, true,
		func() (*base.ErrorCode, string) { return reply.Err, "" })
	if err != nil {
		return err
	}
	p := c.properties()
	for i, name := range reply.Keys {
		if i < len(reply.Values) {
			p.add(name, reply.Values[i])
		}
	}
	return p.done()
}

// completionWait is what completion may take before a person notices.
const completionWait = 50 * time.Millisecond

// KnownTables lists table names for completion; nothing when the metas are slow.
func (s *Session) KnownTables() []string {
	ctx, cancel := context.WithTimeout(context.Background(), completionWait)
	defer cancel()
	c := &call{invocation: &invocation{session: s}}
	tables, err := c.listTables(ctx, admin.AppStatus_AS_AVAILABLE)
	if err != nil {
		return nil
	}
	var names []string
	for _, t := range tables {
		names = append(names, t.AppName)
	}
	return names
}
