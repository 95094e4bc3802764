// Command targets measures what docs/performance.md promises and prints a table of
// promise, measured value and what it was held against. It starts a onebox and a
// redis-server of its own and ends them.
//
//	go run ./test/bench/targets -arion bin/arion -peer PEER -dir DIR
//
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
	"syscall"
	"time"
)

// rig runs the servers and the loads.
type rig struct {
	arion, peer, dir string
	port, rounds     int
	seconds          int
	records          int
	servers          []*exec.Cmd
}

func main() {
	var r rig
	flag.StringVar(&r.arion, "arion", "bin/arion", "the arion binary")
	flag.StringVar(&r.peer, "peer", "", "the binary of test/bench/peer")
	flag.StringVar(&r.dir, "dir", "", "directory for data; emptied at the end by the caller")
	flag.IntVar(&r.port, "port", 29640, "first of some 60 ports")
	flag.IntVar(&r.rounds, "rounds", 3, "runs of each kind; medians count")
	flag.IntVar(&r.seconds, "seconds", 3, "length of a run")
	flag.IntVar(&r.records, "records", 100_000, "records of 128 bytes")
	flag.Parse()
	err := r.run()
	r.stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func (r *rig) run() error {
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
	load, _ := os.ReadFile("/proc/loadavg") // a report without it is still one
	fmt.Printf("\nMedians of %d runs of %d s, %s, load %s\n", r.rounds, r.seconds, time.Now().UTC().Format(time.RFC3339), strings.TrimSpace(string(load)))
	return nil
}

func (r *rig) start() error {
	box, err := r.launch("onebox", r.arion, "onebox", "--dir", filepath.Join(r.dir, "box"), "--meta-port", strconv.Itoa(r.port),
		"--replica-port", strconv.Itoa(r.port+10), "--table", "one:8:1", "--table", "three:8:3", "--table", "many:256:1")
	if err != nil {
		return err
	}
	if err := awaitText(box, "READY"); err != nil {
		return err
	}
	redis, err := r.launch("redis", "redis-server", "--port", strconv.Itoa(r.port+50), "--bind", "127.0.0.1", "--dir", r.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always")
	if err != nil {
		return err
	}
	return awaitText(redis, "Ready to accept")
}

// launch starts a server whose output goes to a file, and names the file.
func (r *rig) launch(name, binary string, args ...string) (string, error) {
	path := filepath.Join(r.dir, name+".log")
	log, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer log.Close()
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return "", err
	}
	r.servers = append(r.servers, cmd)
	return path, nil
}

func awaitText(path, text string) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), text) {
			return nil
		}
	}
	return fmt.Errorf("%s does not say %q", path, text)
}

// stop ends what was started here.
func (r *rig) stop() {
	for _, cmd := range r.servers {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	}
	for _, cmd := range r.servers {
		kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
	}
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

func (r *rig) bench(table, workload string, inFlight int, more ...string) (figures, error) {
	args := append([]string{"bench", "--meta", fmt.Sprint("127.0.0.1:", r.port), "--table", table, "--workload", workload,
		"--in-flight", strconv.Itoa(inFlight), "--records", strconv.Itoa(r.records), "--value-size", "128", "--sort-keys", "100",
		"--batch", "100", "--duration", fmt.Sprint(r.seconds, "s"), "--quiet", "-o", "json"}, more...)
	return command(r.arion, args)
}

func (r *rig) peerRun(mode, workload string, connections, inFlight int) (figures, error) {
	return command(r.peer, []string{"-mode", mode, "-workload", workload, "-addr", fmt.Sprint("127.0.0.1:", r.port+50),
		"-connections", strconv.Itoa(connections), "-in-flight", strconv.Itoa(inFlight), "-records", strconv.Itoa(r.records),
		"-value-size", "128", "-dir", r.dir, "-duration", fmt.Sprint(r.seconds, "s")})
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
func (r *rig) measure(t target) error {
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
