// Command targets measures what docs/performance.md promises and prints a table of
// promise, measured value and what it was held against. It starts a onebox and a
// redis-server of its own and ends them.
//
//	go run ./test/bench/targets -arion bin/arion -peer PEER -dir DIR
//	go run ./test/bench/targets -arion bin/arion -dir DIR -pegasus
//
// The second form holds Arion against figures of Apache Pegasus, see pegasus.go.
// scripts/bench-targets.sh builds what it needs.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/test/bench/rig"
)

// lab runs the servers and the loads.
type lab struct {
	arion, peer, dir string
	port, rounds     int
	seconds          int
	records          int
	servers          rig.Processes
}

func main() {
	var r lab
	var pegasus bool
	flag.StringVar(&r.arion, "arion", "bin/arion", "the arion binary")
	flag.StringVar(&r.peer, "peer", "", "the binary of test/bench/peer")
	flag.StringVar(&r.dir, "dir", "", "directory for data; emptied at the end by the caller")
	flag.IntVar(&r.port, "port", 29640, "first of some 60 ports")
	flag.IntVar(&r.rounds, "rounds", 3, "runs of each kind; medians count")
	flag.IntVar(&r.seconds, "seconds", 3, "length of a run")
	flag.IntVar(&r.records, "records", 100_000, "records of 128 bytes")
	flag.BoolVar(&pegasus, "pegasus", false, "hold Arion against Apache Pegasus instead")
	flag.Parse()
	r.servers.Dir = r.dir
	run := r.run
	if pegasus {
		run = r.againstPegasus
	}
	err := run()
	r.servers.Stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func (r *lab) run() error {
	if err := r.start(); err != nil {
		return err
	}
	for _, table := range []string{"one", "three", "many"} {
		if _, err := r.bench(table, "load", 512); err != nil {
			return err
		}
	}
	if _, err := r.peerRun("resp", "load", 4, 512); err != nil {
		return err
	}
	fmt.Println("| work | target | measured | held against |\n|---|---|---:|---|")
	for _, t := range targets {
		if err := r.measure(t); err != nil {
			fmt.Printf("| %s | %s | failed | %v |\n", t.work, t.target, err)
		}
	}
	r.printTime()
	return nil
}

// printTime ends a table.
func (r *lab) printTime() {
	load, _ := os.ReadFile("/proc/loadavg") // a report without it is still one
	fmt.Printf("\nMedians of %d runs of %d s, %s, load %s\n", r.rounds, r.seconds, time.Now().UTC().Format(time.RFC3339), strings.TrimSpace(string(load)))
}

func (r *lab) start() error {
	box, err := r.servers.Launch("onebox", nil, r.arion, "onebox", "--dir", filepath.Join(r.dir, "box"), "--meta-port", strconv.Itoa(r.port),
		"--replica-port", strconv.Itoa(r.port+10), "--table", "one:8:1", "--table", "three:8:3", "--table", "many:256:1")
	if err != nil {
		return err
	}
	if err := box.AwaitText("READY"); err != nil {
		return err
	}
	redis, err := r.servers.Launch("redis", nil, "redis-server", "--port", strconv.Itoa(r.port+50), "--bind", "127.0.0.1", "--dir", r.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always")
	if err != nil {
		return err
	}
	return redis.AwaitText("Ready to accept")
}

// figures are what is read of a run.
type figures struct {
	PerSecond float64            `json:"operations_per_second"`
	Records   float64            `json:"records_per_second"`
	P50       float64            `json:"p50_us"`
	P99       float64            `json:"p99_us"`
	P999      float64            `json:"p999_us"`
	Max       float64            `json:"max_us"`
	Errors    map[string]int64   `json:"errors"`
	Latency   map[string]figures `json:"latency"`
	Env       struct {
		Loopback float64 `json:"loopback_p50_us"`
	} `json:"environment"`
}

// worst takes the slowest operation's percentiles for the whole.
func (f figures) worst() figures {
	for _, l := range f.Latency {
		f.P50, f.P99, f.P999, f.Max = max(f.P50, l.P50), max(f.P99, l.P99), max(f.P999, l.P999), max(f.Max, l.Max)
	}
	return f
}

func (r *lab) bench(table, workload string, inFlight int, more ...string) (figures, error) {
	args := append([]string{"bench", "--meta", fmt.Sprint("127.0.0.1:", r.port), "--table", table, "--workload", workload,
		"--in-flight", strconv.Itoa(inFlight), "--records", strconv.Itoa(r.records), "--value-size", "128", "--sort-keys", "100",
		"--batch", "100", "--duration", fmt.Sprint(r.seconds, "s"), "--quiet", "-o", "json"}, more...)
	return command(r.arion, args)
}

func (r *lab) peerRun(mode, workload string, connections, inFlight int, more ...string) (figures, error) {
	return command(r.peer, append([]string{"-mode", mode, "-workload", workload, "-addr", fmt.Sprint("127.0.0.1:", r.port+50),
		"-connections", strconv.Itoa(connections), "-in-flight", strconv.Itoa(inFlight), "-records", strconv.Itoa(r.records),
		"-value-size", "128", "-dir", r.dir, "-duration", fmt.Sprint(r.seconds, "s")}, more...))
}

func command(binary string, args []string) (f figures, err error) {
	cmd := exec.Command(binary, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return f, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	err = json.Unmarshal(out, &f)
	return f.worst(), err
}

// outcome of one round: a value, what it is held against, and what to say.
type outcome struct {
	value     float64
	text, ref string
}

// measure takes the round with the median value.
func (r *lab) measure(t target) error {
	var rounds []outcome
	for range r.rounds {
		o, err := t.measure(r)
		if err != nil {
			return err
		}
		rounds = append(rounds, o)
	}
	slices.SortFunc(rounds, func(a, b outcome) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		}
		return 0
	})
	m := rounds[(len(rounds)-1)/2]
	fmt.Printf("| %s | %s | %s | %s |\n", t.work, t.target, m.text, m.ref)
	return nil
}
