package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/arionkv/arion/test/cluster"
)

// Fault is something that goes wrong and is put right again by Run.
type Fault struct {
	Name   string
	Weight int
	Run    func(ctx context.Context) error
}

// Nemesis makes faults happen one after the other.
type Nemesis struct {
	Rand   *rand.Rand
	Faults []Fault
	Log    func(format string, args ...any)

	done map[string]int
}

// Run torments until ctx ends. The last fault is put right before it returns.
func (n *Nemesis) Run(ctx context.Context) error {
	n.done = map[string]int{}
	total := 0
	for _, f := range n.Faults {
		total += f.Weight
	}
	for ctx.Err() == nil {
		pause(ctx, n.Rand, 100*time.Millisecond, 700*time.Millisecond)
		pick := n.Rand.IntN(total)
		for _, f := range n.Faults {
			if pick -= f.Weight; pick >= 0 {
				continue
			}
			n.done[f.Name]++
			if err := f.Run(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
			break
		}
	}
	return nil
}

// String counts what was done.
func (n *Nemesis) String() string {
	var parts []string
	for name, times := range n.done {
		parts = append(parts, fmt.Sprintf("%d × %s", times, name))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

// pause waits a random time, or until ctx ends.
func pause(ctx context.Context, r *rand.Rand, from, to time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(from + time.Duration(r.Int64N(int64(to-from)))):
	}
}

// victim prefers servers that lead something: they hurt most.
func (v View) victim(ctx context.Context, r *rand.Rand) string {
	leaders := v.Leaders(ctx)
	if len(leaders) == 0 || r.IntN(4) == 0 {
		return v.Replicas()[r.IntN(len(v.Replicas()))]
	}
	sort.Slice(leaders, func(i, j int) bool {
		return leaders[i].Table < leaders[j].Table || leaders[i].Table == leaders[j].Table && leaders[i].Partition < leaders[j].Partition
	})
	return leaders[r.IntN(len(leaders))].Server
}

// transfer moves some leadership somewhere else. That it may fail is part of the
// game.
func (v View) transfer(r *rand.Rand) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, l := range v.Leaders(ctx) {
			if len(l.Others) > 0 && r.IntN(2) == 0 {
				_ = v.Transfer(ctx, l, l.Others[r.IntN(len(l.Others))])
			}
		}
		return nil
	}
}

// ProcessFaults are what can be done to real processes.
func ProcessFaults(p *cluster.Processes, v View, r *rand.Rand) []Fault {
	signal := func(name string, s syscall.Signal) error { return p.Signal(name, s) }
	paused := func(ctx context.Context, name string) error {
		if err := signal(name, syscall.SIGSTOP); err != nil {
			return err
		}
		pause(ctx, r, 100*time.Millisecond, 3*time.Second)
		return signal(name, syscall.SIGCONT)
	}
	return []Fault{
		{"kill replica server", 4, func(ctx context.Context) error {
			name := v.victim(ctx, r)
			if err := p.Kill(name); err != nil {
				return err
			}
			pause(ctx, r, 10*time.Millisecond, 2500*time.Millisecond)
			return p.Restart(name)
		}},
		{"pause replica server", 4, func(ctx context.Context) error { return paused(ctx, v.victim(ctx, r)) }},
		{"pause two replica servers", 1, func(ctx context.Context) error {
			name := v.victim(ctx, r)
			other := p.Replicas()[r.IntN(len(p.Replicas()))]
			if err := signal(name, syscall.SIGSTOP); err != nil {
				return err
			}
			err := paused(ctx, other)
			if other == name {
				return err
			}
			if err2 := signal(name, syscall.SIGCONT); err == nil {
				err = err2
			}
			return err
		}},
		{"restart replica server", 1, func(ctx context.Context) error { return p.Restart(v.victim(ctx, r)) }},
		{"kill meta", 1, func(ctx context.Context) error {
			name := p.MetaNames()[r.IntN(len(p.MetaNames()))]
			if err := p.Kill(name); err != nil {
				return err
			}
			pause(ctx, r, 10*time.Millisecond, time.Second)
			return p.Restart(name)
		}},
		{"pause meta", 1, func(ctx context.Context) error {
			return paused(ctx, p.MetaNames()[r.IntN(len(p.MetaNames()))])
		}},
		{"move leaders", 2, v.transfer(r)},
		{"kill everything", 1, func(ctx context.Context) error {
			if err := p.Kill(append(append([]string(nil), p.Replicas()...), p.MetaNames()...)...); err != nil {
				return err
			}
			return p.StartAll()
		}},
	}
}

// NetworkFaults are what can be done to the raft links of a cluster in one
// process.
func NetworkFaults(c *cluster.Cluster, v View, r *rand.Rand) []Fault {
	healed := func(ctx context.Context, from, to time.Duration) error {
		pause(ctx, r, from, to)
		c.Heal()
		return nil
	}
	return []Fault{
		{"isolate replica server", 5, func(ctx context.Context) error {
			c.Isolate(v.victim(ctx, r))
			return healed(ctx, 300*time.Millisecond, 3*time.Second)
		}},
		{"cut one direction", 2, func(ctx context.Context) error {
			names := c.Replicas()
			c.Cut(v.victim(ctx, r), names[r.IntN(len(names))])
			return healed(ctx, 300*time.Millisecond, 3*time.Second)
		}},
		{"delay messages", 2, func(ctx context.Context) error {
			c.Delay(v.victim(ctx, r), 20*time.Millisecond+time.Duration(r.Int64N(int64(500*time.Millisecond))))
			return healed(ctx, 500*time.Millisecond, 2*time.Second)
		}},
		{"move leaders", 2, v.transfer(r)},
		{"restart replica server", 1, func(ctx context.Context) error {
			name := v.victim(ctx, r)
			c.Stop(name)
			pause(ctx, r, 10*time.Millisecond, time.Second)
			c.Restart(name)
			return nil
		}},
		{"restart meta", 1, func(ctx context.Context) error {
			name := c.MetaNames()[r.IntN(len(c.MetaNames()))]
			c.Stop(name)
			pause(ctx, r, 10*time.Millisecond, 500*time.Millisecond)
			c.Restart(name)
			return nil
		}},
	}
}
