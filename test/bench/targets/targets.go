package main

import "fmt"

// target is one promise.
type target struct {
	work, target string
	measure      func(*lab) (outcome, error)
}

// floorShape gives the floors what the servers have at that time: records of the
// same hash keys, not flushed yet.
var floorShape = []string{"-sort-keys", "100", "-memtable"}

var targets = []target{
	{"pipelined get, 512 in flight", "≥ 0.7 × bare frames with RocksDB", func(r *lab) (outcome, error) {
		return ratio(
			func() (figures, error) { return r.bench("one", "get", 512, "--connections", "4") },
			func() (figures, error) { return r.peerRun("framed", "get", 4, 512, floorShape...) }, "bare frames with RocksDB")
	}},
	{"un-pipelined get, 50 connections", "≥ 1.0 × Redis GET", func(r *lab) (outcome, error) {
		return ratio(
			func() (figures, error) { return r.bench("one", "get", 50, "--connections", "50") },
			func() (figures, error) { return r.peerRun("resp", "get", 50, 50) }, "Redis")
	}},
	{"pipelined put, 1 replica, 512 in flight", "≥ 1.0 × Redis SET, appendfsync always", func(r *lab) (outcome, error) {
		return ratio(
			func() (figures, error) { return r.bench("one", "set", 512, "--connections", "4") },
			func() (figures, error) { return r.peerRun("resp", "set", 4, 512) }, "Redis")
	}},
	{"put, 3 replicas, 512 in flight", "≥ 40k/s", func(r *lab) (outcome, error) {
		f, err := r.bench("three", "set", 512)
		return outcome{f.PerSecond, fmt.Sprintf("%.0f/s", f.PerSecond), fmt.Sprintf("p99 %.1f ms", f.P99/1000)}, err
	}},
	{"lone put, 3 replicas", "p50 ≤ 2.5 × (synced append + 2 loopback round trips)", lonePut},
	{"multi_get of 100", "≥ 1.5M records/s", func(r *lab) (outcome, error) {
		f, err := r.bench("one", "multi_get", 16)
		return outcome{f.Records, fmt.Sprintf("%.0fk records/s", f.Records/1000), fmt.Sprintf("p99 %.1f ms", f.P99/1000)}, err
	}},
	{"full scan", "≥ 0.7 × the engine's own pages", func(r *lab) (outcome, error) {
		return ratio(
			func() (figures, error) {
				f, err := r.bench("one", "scan", 8)
				f.PerSecond = f.Records
				return f, err
			},
			func() (figures, error) { return r.peerRun("iterate", "get", 1, 1, floorShape...) }, "engine")
	}},
	{"mixed 50/50, open loop at 60 % of peak, 3 replicas", "p99 ≤ 10 ms, p999 ≤ 30 ms", openLoop},
	{"load, 3 replicas", "no stall over 1 s", func(r *lab) (outcome, error) {
		f, err := r.bench("three", "load", 512)
		return outcome{f.Max, fmt.Sprintf("longest call %.0f ms", f.Max/1000), fmt.Sprintf("%.0f/s", f.PerSecond)}, err
	}},
	{"put at 256 partitions, 1 replica", "≥ 0.8 × at 8", func(r *lab) (outcome, error) {
		return ratio(
			func() (figures, error) { return r.bench("many", "set", 512) },
			func() (figures, error) { return r.bench("one", "set", 512) }, "8 partitions")
	}},
}

func ratio(ours, theirs func() (figures, error), name string) (outcome, error) {
	a, err := ours()
	if err != nil {
		return outcome{}, err
	}
	b, err := theirs()
	if err != nil {
		return outcome{}, err
	}
	v := a.PerSecond / b.PerSecond
	return outcome{v, fmt.Sprintf("×%.2f (%.0fk/s)", v, a.PerSecond/1000), fmt.Sprintf("%s %.0fk/s", name, b.PerSecond/1000)}, nil
}

func lonePut(r *lab) (outcome, error) {
	f, err := r.bench("three", "set", 1)
	if err != nil {
		return outcome{}, err
	}
	s, err := r.peerRun("sync", "set", 1, 1)
	if err != nil {
		return outcome{}, err
	}
	floor := s.P50 + 2*f.Env.Loopback
	return outcome{f.P50 / floor, fmt.Sprintf("×%.2f (%.2f ms)", f.P50/floor, f.P50/1000),
		fmt.Sprintf("sync %.2f ms, round trip %.3f ms", s.P50/1000, f.Env.Loopback/1000)}, nil
}

func openLoop(r *lab) (outcome, error) {
	peak, err := r.bench("three", "mixed", 256)
	if err != nil {
		return outcome{}, err
	}
	rate := 0.6 * peak.PerSecond
	// The first moments are those of a client that connects and asks where partitions are.
	f, err := r.bench("three", "mixed", 4096, "--warmup", "500ms", "--rate", fmt.Sprintf("%.0f", rate))
	return outcome{f.P99, fmt.Sprintf("p99 %.1f ms, p999 %.1f ms", f.P99/1000, f.P999/1000), fmt.Sprintf("%.0f/s of %.0f/s", rate, peak.PerSecond)}, err
}
