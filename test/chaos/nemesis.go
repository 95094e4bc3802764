package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
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
	Log    func(format string, args ...any) // nil: silent
	// Check is asked between faults, nil: never. Its error ends the run.
	Check func() error

	mu   sync.Mutex
	done []strike
}

// strike is a fault that was in force from begin to end.
type strike struct {
	name       string
	begin, end time.Time
}

// Run torments until ctx ends. The last fault is put right before it returns.
func (n *Nemesis) Run(ctx context.Context) error {
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
			if err := n.strike(ctx, f); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
			break
		}
	}
	return nil
}

func (n *Nemesis) strike(ctx context.Context, f Fault) error {
	begin := time.Now()
	err := f.Run(ctx)
	n.mu.Lock()
	n.done = append(n.done, strike{f.Name, begin, time.Now()})
	n.mu.Unlock()
	if n.Log != nil {
		n.Log("%s %s, %v", begin.Format("15:04:05.000"), f.Name, time.Since(begin).Round(time.Millisecond))
	}
	if err == nil && n.Check != nil {
		err = n.Check()
	}
	return err
}

// blame finds the fault during which most of a gap passed; a fault is still felt
// until the next one.
func (n *Nemesis) blame(g Gap) string {
	most, name := time.Duration(0), "no fault"
	for i, s := range n.done {
		end := g.End
		if i+1 < len(n.done) {
			end = n.done[i+1].begin
		}
		if felt := minTime(end, g.End).Sub(maxTime(s.begin, g.Begin)); felt > most {
			most, name = felt, s.name
		}
	}
	return name
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// listed is how many gaps are shown.
const listed = 10

// Report lists the faults with their counts and durations, and for how long a
// partition took no writes meanwhile. Call it after Run.
func (n *Nemesis) Report(gaps []Gap) string {
	times, forced, without := map[string]int{}, map[string]time.Duration{}, map[string]time.Duration{}
	for _, s := range n.done {
		times[s.name]++
		forced[s.name] = max(forced[s.name], s.end.Sub(s.begin))
	}
	var b strings.Builder
	for i, g := range gaps {
		without[n.blame(g)] = max(without[n.blame(g)], g.length())
		if i < listed {
			fmt.Fprintf(&b, "  %v, %s\n", g, n.blame(g))
		}
	}
	b.WriteString("  times  fault                          longest in force  longest without a write\n")
	for _, name := range slices.Sorted(maps.Keys(times)) {
		fmt.Fprintf(&b, "  %5d  %-30s %13d ms %20d ms\n", times[name], name, forced[name].Milliseconds(), without[name].Milliseconds())
	}
	return b.String()
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
