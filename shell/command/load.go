package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/render"
)

// loadVerbs show what the nodes measure themselves, all the time.
func loadVerbs() []verb {
	return []verb{
		{
			use: "table rates [table[.partition]]", short: "show reads and writes per second of tables, or of the partitions of one",
			example: "table rates\ntable rates temp --sort -writes",
			max:     1, run: runRates, related: []string{"table stat", "hot_keys", "top"},
		}, {
			use: "hot_keys [table[.partition]]", short: "show the hash keys used most in the last seconds",
			example: "hot_keys\nhot_keys temp --like write\nhot_keys temp.3",
			max:     1, run: runHotKeys, related: []string{"detect_hotkey", "table rates"},
		},
	}
}

// replicaRates is an element of what replica.rates answers.
type replicaRates struct {
	Partition  string  `json:"partition"`
	Table      string  `json:"table"`
	Leader     bool    `json:"leader"`
	Reads      float64 `json:"reads_per_sec"`
	Writes     float64 `json:"writes_per_sec"`
	ReadBytes  float64 `json:"read_bytes_per_sec"`
	WriteBytes float64 `json:"write_bytes_per_sec"`
	node       string
}

// askReplicas runs a text command that answers with a JSON list on every living
// replica server, and hands each answer to f.
func (c *call) askReplicas(ctx context.Context, a *admin.Admin, command string, f func(node string, text []byte) error) error {
	nodes, err := a.ListNodes(ctx)
	if err != nil {
		return err
	}
	var servers []server
	for _, n := range nodes {
		if n.Alive {
			servers = append(servers, server{"replica-server", n.Addr})
		}
	}
	for _, x := range ask(ctx, a, servers, command, nil) {
		if x.err != nil {
			return x.err
		}
		if err := f(x.addr, []byte(x.text)); err != nil {
			return &remoteError{text: fmt.Sprintf("%s answers %s with something else than a list", x.addr, command), try: "server_info shows the versions"}
		}
	}
	return nil
}

// chosen tells which partitions, as 2.7, belong to the first argument: a table or
// one partition of it. Without an argument all do. Servers would take ids only, and
// those without a replica would refuse.
func (c *call) chosen(ctx context.Context, a *admin.Admin) (func(partition string) bool, error) {
	if len(c.args) == 0 {
		return func(string) bool { return true }, nil
	}
	t, err := a.GetTable(ctx, c.text(0))
	if err == nil {
		return func(partition string) bool { return strings.HasPrefix(partition, strconv.Itoa(int(t.ID))+".") }, nil
	}
	if !errors.Is(err, client.ErrTableNotFound) || !strings.Contains(c.text(0), ".") {
		return nil, err
	}
	id, err := namedPartition(ctx, a, c.text(0))
	return func(partition string) bool { return partition == fmt.Sprintf("%d.%d", id.Table, id.Index) }, err
}

func runRates(ctx context.Context, c *call) error {
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		chosen, err := c.chosen(ctx, a)
		if err != nil {
			return err
		}
		var all []replicaRates
		err = c.askReplicas(ctx, a, "replica.rates", func(node string, text []byte) error {
			var list []replicaRates
			err := json.Unmarshal(text, &list)
			for _, r := range list {
				if r.node = node; r.Leader && chosen(r.Partition) {
					all = append(all, r)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(c.args) == 0 {
			all = byTable(all)
		}
		slices.SortStableFunc(all, func(x, y replicaRates) int { return cmp.Compare(y.Reads+y.Writes, x.Reads+x.Writes) })
		r := c.open(render.Columns("table", "partition", "leader", "reads", "writes", "read_bytes", "write_bytes"), nil)
		for _, x := range all {
			err := r.Row(x.Table, orNil(x.Partition), orNil(x.node), render.Rate(x.Reads), render.Rate(x.Writes), render.Size(x.ReadBytes), render.Size(x.WriteBytes))
			if err != nil {
				return err
			}
		}
		return c.done(render.Summary{})
	})
}

// byTable adds up the partitions of each table.
func byTable(all []replicaRates) []replicaRates {
	var sums []replicaRates
	for _, x := range all {
		i := slices.IndexFunc(sums, func(s replicaRates) bool { return s.Table == x.Table })
		if i < 0 {
			sums = append(sums, replicaRates{Table: x.Table})
			i = len(sums) - 1
		}
		s := &sums[i]
		s.Reads, s.Writes = s.Reads+x.Reads, s.Writes+x.Writes
		s.ReadBytes, s.WriteBytes = s.ReadBytes+x.ReadBytes, s.WriteBytes+x.WriteBytes
	}
	return sums
}

func runHotKeys(ctx context.Context, c *call) error {
	type hot struct {
		Partition string  `json:"partition"`
		Kind      string  `json:"kind"`
		HashKey   string  `json:"hash_key"`
		Share     float64 `json:"share"`
		Recent    float64 `json:"recent_requests"`
		node      string
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		chosen, err := c.chosen(ctx, a)
		if err != nil {
			return err
		}
		var all []hot
		err = c.askReplicas(ctx, a, "replica.hot-keys", func(node string, text []byte) error {
			var list []hot
			err := json.Unmarshal(text, &list)
			for _, h := range list {
				if h.node = node; chosen(h.Partition) {
					all = append(all, h)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		slices.SortStableFunc(all, func(x, y hot) int { return cmp.Compare(y.Recent, x.Recent) })
		r := c.open(render.Columns("partition_id", "kind", "hash_key", "share_percent", "requests", "node"), nil)
		for _, h := range all {
			// The server has escaped the key already.
			if err := r.Row(h.Partition, h.Kind, h.HashKey, int(100*h.Share), int64(h.Recent), h.node); err != nil {
				return err
			}
		}
		return c.done(render.Summary{})
	})
}
