package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/cmd/arion/bench"
	"github.com/arionkv/arion/test/bench/rig"
)

// runner measures points one after the other.
type runner struct {
	arion, dir string
	port       int
	budget     time.Duration
	size       size
	short      bool
	begin      time.Time

	environment *bench.Environment // of the first run
}

// measure takes all steps. A point that fails is kept with its error: the others
// are worth having.
func (r *runner) measure(ctx context.Context, steps []step) (*results, error) {
	r.begin = time.Now()
	res, total, done := new(results), 0, 0
	for _, s := range steps {
		total += len(s.points)
	}
	for _, s := range steps {
		sr := stepResult{Name: s.name, Taken: time.Now().UTC(), Load: loadAverage(), Short: r.short}
		for _, p := range s.points {
			done++
			r.say("%d of %d: %s %s", done, total, s.name, p.label)
			sr.Points = append(sr.Points, r.point(ctx, p))
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		res.Steps = append(res.Steps, sr)
	}
	if r.environment == nil {
		return nil, errors.New("no point could be measured, see above")
	}
	res.Environment = *r.environment
	r.say("done")
	return res, nil
}

func (r *runner) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%5.0f s  %s\n", time.Since(r.begin).Seconds(), fmt.Sprintf(format, args...))
}

// loadAverage tells how busy the machine is; a result without it is still one.
func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

var errBudget = errors.New("left out: the time was up")

func (r *runner) point(ctx context.Context, p point) pointResult {
	pr := pointResult{
		Label: p.label, X: p.x, Series: p.series, Partitions: p.partitions, Replicas: p.replicas, Budget: p.memory,
		Records: p.records, ValueSize: p.valueSize, InFlight: p.inFlight,
	}
	err := errBudget
	if time.Since(r.begin) < r.budget {
		err = r.fill(ctx, p, &pr)
	}
	if err != nil {
		pr.Error = err.Error()
		r.say("    %v", err)
	}
	return pr
}

// fill runs everything of a point.
func (r *runner) fill(ctx context.Context, p point, pr *pointResult) error {
	dir := filepath.Join(r.dir, "point")
	defer os.RemoveAll(dir)
	c, err := rig.Start(rig.Options{
		Arion: r.arion, Dir: dir, Port: r.port, Replicas: p.replicas,
		Settings: []string{fmt.Sprintf("ARION_NODE_MEMORY=%dB", p.memory)},
	})
	if err != nil {
		return err
	}
	defer c.Stop()
	for i, n := range append([]int{p.partitions}, p.idleTables...) {
		name := "bench"
		if i > 0 {
			name += strconv.Itoa(i)
		}
		if err := c.CreateTable(ctx, name, n, p.replicas); err != nil {
			return fmt.Errorf("table of %d partitions: %w", n, err)
		}
	}
	err = r.loads(ctx, c, p, pr)
	return errors.Join(err, r.sizes(c, pr))
}

func (r *runner) loads(ctx context.Context, c *rig.Cluster, p point, pr *pointResult) error {
	for _, l := range append([]load{{name: "load", workload: "load"}}, p.runs...) {
		f, err := r.load(ctx, c, p, l)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		pr.Runs = append(pr.Runs, f)
		r.say("    %-10s %9.0f/s  p99 %7.1f ms  longest %7.1f ms  servers %.2f cores  failed %d",
			f.Name, f.PerSecond, f.P99/1000, f.Max/1000, f.ServerCPU, f.Failed)
	}
	return nil
}

// idleTime is how long an idle cluster's use of processors is measured.
const idleTime = 2 * time.Second

func (r *runner) load(ctx context.Context, c *rig.Cluster, p point, l load) (runResult, error) {
	if l.workload == "" {
		cores, err := c.IdleCPU(ctx, idleTime)
		return runResult{Name: l.name, ServerCPU: cores}, err
	}
	args := []string{
		"--records", strconv.Itoa(p.records), "--value-size", strconv.Itoa(p.valueSize), "--in-flight", strconv.Itoa(p.inFlight),
	}
	if l.workload == "load" { // counted from its first record
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.maxLoad)
		defer cancel()
	} else {
		args = append(args, "--warmup", "500ms", "--duration", fmt.Sprint(r.size.seconds, "s"), "--distribution", bench.Uniform)
	}
	if r.environment == nil {
		args = append(args, "--sync-dir", r.dir)
	}
	rep, err := c.Bench(ctx, "bench", l.workload, append(args, l.args...)...) // the last of a flag counts
	if err != nil {
		return runResult{}, err
	}
	if r.environment == nil {
		r.environment = &rep.Environment
	}
	return newRunResult(l.name, rep), nil
}

func (r *runner) sizes(c *rig.Cluster, pr *pointResult) (err error) {
	if pr.PeakMemory, err = c.PeakMemory(); err != nil {
		return err
	}
	pr.Disk, err = c.DiskBytes()
	return err
}
