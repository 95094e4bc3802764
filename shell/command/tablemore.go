package command

import (
	"context"
	"fmt"
	"strconv"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/render"
)

// radius says how much a table holds.
func radius(ctx context.Context, a *admin.Admin, t admin.Table) string {
	text := fmt.Sprintf("%d partitions of %d replicas", t.Partitions, t.Replicas)
	views, err := inspect(ctx, a, detail{})
	if err != nil {
		return text
	}
	if s := sizesOf(views)[t.ID]; s != nil {
		text += ", about " + render.HumanBytes(s.leaders)
	}
	return text
}

// sizes adds up what the nodes report of one table.
type sizes struct {
	leaders, all int64 // bytes on leaders, and on all replicas
	partitions   map[int32]*partitionSize
}

type partitionSize struct {
	leader   int64
	all      int64
	replicas int
	applied  int64  // the leader's index
	lowest   int64  // that of the last follower
	node     string // of the leader
}

func (s *sizes) add(node string, r admin.Replica) {
	p := s.partitions[r.Partition.Index]
	if p == nil {
		p = &partitionSize{lowest: r.Applied}
		s.partitions[r.Partition.Index] = p
	}
	p.replicas++
	p.all += r.SizeBytes
	s.all += r.SizeBytes
	p.lowest = min(p.lowest, r.Applied)
	if r.Leading {
		p.leader, p.applied, p.node = r.SizeBytes, r.Applied, node
		s.leaders += r.SizeBytes
	}
}

func runReplicaCount(ctx context.Context, c *call) error {
	table := c.text(0)
	if len(c.args) == 1 {
		return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
			n, err := a.ReplicaCount(ctx, table)
			if err != nil {
				return err
			}
			p := c.properties()
			p.add("table", table)
			p.add("replicas", n)
			return p.done()
		})
	}
	n, err := strconv.Atoi(c.text(1))
	if err != nil || n < 1 {
		return usagef(fmt.Sprintf("%q is not a number of replicas", c.text(1)))
	}
	look := func(ctx context.Context, a *admin.Admin) (plan, error) {
		t, err := a.GetTable(ctx, table)
		if err != nil {
			return plan{}, err
		}
		p := plan{act: fmt.Sprintf("change the replicas of table %s from %d to %d", quoted(table), t.Replicas, n), radius: radius(ctx, a, t)}
		if n < t.Replicas {
			p.object = table
		}
		return p, nil
	}
	return c.change(ctx, look, func(ctx context.Context, a *admin.Admin) error {
		old, err := a.SetReplicaCount(ctx, table, n)
		if err != nil {
			return err
		}
		return c.done(render.Summary{
			Text:   fmt.Sprintf("replicas of %s: from %d to %d; the replicas follow, table partitions %s shows how far", quoted(table), old, n, table),
			Fields: []render.Field{{Name: "from", Value: old}, {Name: "to", Value: n}},
		})
	})
}

func runIdempotent(ctx context.Context, c *call) error {
	if len(c.args) == 2 {
		on, err := strconv.ParseBool(c.text(1))
		if err != nil {
			return usagef(fmt.Sprintf("%q is neither true nor false", c.text(1)))
		}
		return c.setIdempotent(ctx, on)
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		on, err := a.AtomicIdempotent(ctx, c.text(0))
		if err != nil {
			return err
		}
		p := c.properties()
		p.add("table", c.text(0))
		p.add("atomic_idempotent", on)
		return p.done()
	})
}

func runIdempotentOn(ctx context.Context, c *call) error  { return c.setIdempotent(ctx, true) }
func runIdempotentOff(ctx context.Context, c *call) error { return c.setIdempotent(ctx, false) }

func (c *call) setIdempotent(ctx context.Context, on bool) error {
	act := fmt.Sprintf("set atomic_idempotent of table %s to %t", quoted(c.text(0)), on)
	if allowed, err := c.proceed(plan{act: act}); !allowed {
		return err
	}
	return c.administer(ctx, func(ctx context.Context, a *admin.Admin) error {
		was, err := a.AtomicIdempotent(ctx, c.text(0))
		if err != nil {
			return err
		}
		if err := a.SetAtomicIdempotent(ctx, c.text(0), on); err != nil {
			return err
		}
		return c.done(render.Summary{
			Text:   fmt.Sprintf("atomic_idempotent of %s: from %t to %t", quoted(c.text(0)), was, on),
			Fields: []render.Field{{Name: "from", Value: was}, {Name: "to", Value: on}},
		})
	})
}
