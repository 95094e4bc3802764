// Command scale measures what more of something costs: partitions, records, larger
// values, connections, a hot key, a table larger than the cache. It writes every
// figure to results.json and draws docs/scale.md and its pictures from that.
//
//	go run ./test/bench/scale -arion bin/arion -dir DIR      measure and draw
//	go run ./test/bench/scale -draw                          draw again
//
// scripts/bench-scale.sh builds what it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	var r runner
	var out, only string
	var drawOnly bool
	flag.StringVar(&r.arion, "arion", "bin/arion", "the arion binary")
	flag.StringVar(&r.dir, "dir", "", "directory for data; removed at the end by the caller")
	flag.IntVar(&r.port, "port", 29500, "first of ten ports")
	flag.StringVar(&out, "out", "docs", "where scale.md and scale/ go")
	flag.StringVar(&only, "only", "", "steps to take again, separated by commas; the others stay as they are; empty = all")
	flag.DurationVar(&r.budget, "budget", 15*time.Minute, "points that would begin later are left out")
	flag.BoolVar(&r.short, "short", false, "a minute of tiny sizes, to see that it works")
	flag.BoolVar(&drawOnly, "draw", false, "draw from scale/results.json, measure nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &r, out, only, drawOnly); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, r *runner, out, only string, drawOnly bool) error {
	path := filepath.Join(out, "scale", "results.json")
	if drawOnly {
		res, err := readResults(path)
		if err != nil {
			return err
		}
		return draw(res, out)
	}
	r.size = full
	if r.short {
		r.size = tiny
	}
	steps := stepsOf(r.size)
	if only != "" {
		var err error
		if steps, err = choose(steps, strings.Split(only, ",")); err != nil {
			return err
		}
	}
	res, err := r.measure(ctx, steps)
	if err != nil {
		return err
	}
	if only != "" {
		if res, err = merged(path, res); err != nil {
			return err
		}
	}
	if err := res.save(path); err != nil {
		return err
	}
	return draw(res, out)
}

// merged puts new steps among those that are kept, if there are any.
func merged(path string, newer *results) (*results, error) {
	kept, err := readResults(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newer, nil
	}
	if err != nil {
		return nil, err
	}
	kept.update(newer)
	return kept, nil
}

// choose picks steps by name.
func choose(all []step, names []string) ([]step, error) {
	var chosen []step
	for _, name := range names {
		found := false
		for _, s := range all {
			if s.name == name {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-only %s: there is no such step", name)
		}
	}
	return chosen, nil
}
