package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// partitionVerbs change where single partitions live. The meta servers carry a
// proposal out; at level lively the balancer may undo it.
func partitionVerbs() []verb {
	return []verb{
		{
			use: "partition lead <table.partition> <node>", short: "move the leader of a partition to a node that has a replica",
			example: "partition lead 1.0 127.0.0.1:34802 --dry-run\npartition lead temp.4 127.0.0.1:34803 --dry-run",
			min:     2, max: 2, run: runLead, changes: true, related: []string{"table partitions", "balance"},
		}, {
			use: "partition add <table.partition> <node>", short: "add a replica of a partition on a node",
			example: "partition add 1.0 127.0.0.1:34804 --dry-run\npartition add 1.1 127.0.0.1:34804 --dry-run",
			min:     2, max: 2, run: runAddReplica, changes: true,
		}, {
			use: "partition remove <table.partition> <node>", short: "take the replica of a partition off a node",
			example: "partition remove 1.0 127.0.0.1:34803 --dry-run\npartition remove 1.1 127.0.0.1:34801 --dry-run",
			min:     2, max: 2, run: runRemoveReplica, changes: true,
		}, {
			use: "balance", short: "move a leader or a replica from one node to another, as the Pegasus shell has it",
			example: "balance -g 1.0 -p move_pri -f 127.0.0.1:34801 -t 127.0.0.1:34802 --dry-run\nbalance -g 1.0 -p copy_sec -f 127.0.0.1:34802 -t 127.0.0.1:34804 --dry-run",
			flags:   balanceFlags, run: runBalance, changes: true, related: []string{"cluster plan"},
		}, {
			use: "propose", short: "send one step of a proposal, as the Pegasus shell has it",
			example: "propose -g 1.0 -p ADD_SECONDARY -t 127.0.0.1:34801 -n 127.0.0.1:34802 --dry-run\npropose -g 1.0 -p DOWNGRADE_TO_INACTIVE -t 127.0.0.1:34801 -n 127.0.0.1:34803 --dry-run",
			flags:   proposeFlags, run: runPropose, changes: true,
		},
	}
}

// partitionID reads 2.7: table id and partition.
func partitionID(text string) (admin.PartitionID, error) {
	table, index, ok := strings.Cut(text, ".")
	t, err := strconv.ParseInt(table, 10, 32)
	i, err2 := strconv.ParseInt(index, 10, 32)
	if !ok || err != nil || err2 != nil || t < 0 || i < 0 {
		return admin.PartitionID{}, usagef(fmt.Sprintf("%q is no partition; it is written table.partition or table_id.partition, such as temp.7 or 2.7; ls shows the ids", text))
	}
	return admin.PartitionID{Table: int32(t), Index: int32(i)}, nil
}

// namedPartition reads 2.7 or temp.7.
func namedPartition(ctx context.Context, a *admin.Admin, text string) (admin.PartitionID, error) {
	id, err := partitionID(text)
	dot := strings.LastIndexByte(text, '.')
	if err == nil || dot <= 0 {
		return id, err
	}
	index, no := strconv.ParseInt(text[dot+1:], 10, 32)
	if no != nil || index < 0 {
		return id, err
	}
	t, err := a.GetTable(ctx, text[:dot])
	return admin.PartitionID{Table: t.ID, Index: int32(index)}, err
}

// replicasOf finds the table and the present place of a partition.
func replicasOf(ctx context.Context, a *admin.Admin, id admin.PartitionID) (admin.Table, admin.Partition, error) {
	tables, err := a.ListTables(ctx, admin.StatusAvailable)
	if err != nil {
		return admin.Table{}, admin.Partition{}, err
	}
	for _, t := range tables {
		if t.ID != id.Table {
			continue
		}
		r, err := a.QueryTable(ctx, t.Name)
		if err == nil && int(id.Index) >= len(r.Partitions) {
			err = usagef(fmt.Sprintf("table %s has %d partitions, counted from 0", quoted(t.Name), len(r.Partitions)))
		}
		if err != nil {
			return t, admin.Partition{}, err
		}
		return t, r.Partitions[id.Index], nil
	}
	return admin.Table{}, admin.Partition{}, usagef(fmt.Sprintf("there is no table with id %d; ls shows the ids", id.Table))
}

// onPartition runs a proposal for the partition of argument 0. steps gets the
// present place and the node, and gives what to do, or a usage error.
func (c *call) onPartition(ctx context.Context, name string, node, what string, steps func(admin.Partition) ([]admin.Step, error)) error {
	var id admin.PartitionID
	var todo []admin.Step
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		var err error
		if id, err = namedPartition(ctx, a, name); err != nil {
			return plan{}, err
		}
		t, p, err := replicasOf(ctx, a, id)
		if err != nil {
			return plan{}, err
		}
		if todo, err = steps(p); err != nil {
			return plan{}, err
		}
		act := fmt.Sprintf("%s of partition %d.%d on %s", what, id.Table, id.Index, node)
		return plan{act: act, radius: fmt.Sprintf("table %s, led by %s, %d replicas", quoted(t.Name), p.Leader, len(p.Followers)+1)}, nil
	}
	return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
		if err := a.Propose(ctx, id, false, todo...); err != nil {
			return err
		}
		return c.done(render.Summary{Text: "send balance proposal result: ERR_OK", Fields: []render.Field{{Name: "steps", Value: len(todo)}}})
	})
}

func runLead(ctx context.Context, c *call) error {
	node := c.text(1)
	return c.onPartition(ctx, c.text(0), node, "move the leader", func(p admin.Partition) ([]admin.Step, error) {
		switch {
		case p.Leader == node:
			return nil, usagef(node + " leads the partition already")
		case !slices.Contains(p.Followers, node):
			return nil, usagef(node + " has no replica of it to lead with; followers are " + strings.Join(p.Followers, ", "))
		}
		return []admin.Step{{Kind: admin.StepUnlead, Target: p.Leader, Node: p.Leader}, {Kind: admin.StepLead, Target: node, Node: node}}, nil
	})
}

func runAddReplica(ctx context.Context, c *call) error {
	node := c.text(1)
	return c.onPartition(ctx, c.text(0), node, "add a replica", func(p admin.Partition) ([]admin.Step, error) {
		if p.Leader == node || slices.Contains(p.Followers, node) {
			return nil, usagef(node + " has a replica of it already")
		}
		return []admin.Step{{Kind: admin.StepAdd, Target: p.Leader, Node: node}}, nil
	})
}

func runRemoveReplica(ctx context.Context, c *call) error {
	node := c.text(1)
	return c.onPartition(ctx, c.text(0), node, "remove the replica", func(p admin.Partition) ([]admin.Step, error) {
		switch {
		case len(p.Followers) == 0:
			return nil, usagef("this is the only replica; it would be lost")
		case p.Leader != node && !slices.Contains(p.Followers, node):
			return nil, usagef(node + " has no replica of it; table partitions shows who has")
		}
		return []admin.Step{{Kind: admin.StepRemove, Target: p.Leader, Node: node}}, nil
	})
}

func balanceFlags(f *pflag.FlagSet) {
	f.StringP("gpid", "g", "", "partition, table_id.index (required)")
	f.StringP("type", "p", "", "move_pri, copy_pri or copy_sec (required)")
	f.StringP("from", "f", "", "node it leaves (required)")
	f.StringP("to", "t", "", "node it comes to (required)")
}

func runBalance(ctx context.Context, c *call) error {
	if err := c.need("gpid", "type", "from", "to"); err != nil {
		return err
	}
	from, to := parse.Text(c.flagText("from")), parse.Text(c.flagText("to"))
	move := []admin.Step{{Kind: admin.StepUnlead, Target: from, Node: from}, {Kind: admin.StepLead, Target: to, Node: to}}
	var steps []admin.Step
	kind := parse.Text(c.flagText("type"))
	switch kind {
	case "move_pri":
		steps = move
	case "copy_pri":
		steps = append([]admin.Step{{Kind: admin.StepCopy, Target: from, Node: to}}, move...)
	case "copy_sec":
		steps = []admin.Step{{Kind: admin.StepCopy, Node: to}, {Kind: admin.StepRemove, Node: from}}
	default:
		return usagef(fmt.Sprintf("--type is %q; known are move_pri, copy_pri and copy_sec", kind))
	}
	return c.onPartition(ctx, parse.Text(c.flagText("gpid")), to, kind+" from "+from, func(p admin.Partition) ([]admin.Step, error) {
		follows := slices.Contains(p.Followers, from)
		switch {
		case kind == "copy_sec" && !follows:
			return nil, usagef(from + " has no follower of it; followers are " + strings.Join(p.Followers, ", "))
		case kind != "copy_sec" && p.Leader != from:
			return nil, usagef(from + " does not lead it; the leader is " + p.Leader)
		case kind == "move_pri" && !slices.Contains(p.Followers, to):
			return nil, usagef(to + " has no replica of it to lead with; followers are " + strings.Join(p.Followers, ", "))
		}
		return steps, nil
	})
}

// need reports required flags that are missing.
func (c *call) need(names ...string) error {
	for _, name := range names {
		if !c.flags.Changed(name) {
			return usagef("--" + name + " is missing; help " + c.verb)
		}
	}
	return nil
}

var stepKinds = map[string]admin.StepKind{
	"ASSIGN_PRIMARY": admin.StepAssign, "UPGRADE_TO_PRIMARY": admin.StepLead, "DOWNGRADE_TO_SECONDARY": admin.StepUnlead,
	"ADD_SECONDARY": admin.StepAdd, "ADD_SECONDARY_FOR_LB": admin.StepCopy, "DOWNGRADE_TO_INACTIVE": admin.StepRemove,
}

func proposeFlags(f *pflag.FlagSet) {
	f.BoolP("force", "f", false, "although other steps are under way")
	f.StringP("gpid", "g", "", "partition, table_id.index (required)")
	f.StringP("type", "p", "", "ASSIGN_PRIMARY, UPGRADE_TO_PRIMARY, DOWNGRADE_TO_SECONDARY, ADD_SECONDARY, DOWNGRADE_TO_INACTIVE (required)")
	f.StringP("target", "t", "", "node that carries it out (required)")
	f.StringP("node", "n", "", "node that it is about (required)")
}

func runPropose(ctx context.Context, c *call) error {
	if err := c.need("gpid", "type", "target", "node"); err != nil {
		return err
	}
	id, err := partitionID(parse.Text(c.flagText("gpid")))
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(parse.Text(c.flagText("type")), "CT_")
	kind, ok := stepKinds[name]
	if !ok {
		return usagef(fmt.Sprintf("--type is %q; help propose lists them", name))
	}
	step := admin.Step{Kind: kind, Target: parse.Text(c.flagText("target")), Node: parse.Text(c.flagText("node"))}
	look := func(context.Context, *admin.Admin) (plan, error) {
		return plan{act: fmt.Sprintf("propose %s of partition %d.%d on %s to %s", name, id.Table, id.Index, step.Node, step.Target)}, nil
	}
	return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
		if err := a.Propose(ctx, id, c.flagOn("force"), step); err != nil {
			return err
		}
		return c.done(render.Summary{Text: "send proposal response: ERR_OK"})
	})
}
