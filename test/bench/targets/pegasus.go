package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/arionkv/arion/cmd/arion/bench"
	"github.com/arionkv/arion/test/bench/rig"
)

// What Apache Pegasus did on the same kind of machine (2 virtual processors, AMD
// EPYC, 23 GB, a virtual disk with ext4): 2.6.0-SNAPSHOT built with -O2, 128-byte
// values, 8 partitions, 200,000 keys, 4 connections, a pipelined client on the same
// machine, its log not synced, which is its default. With syncing its puts on one
// server were 5.0k, 10.5k, 13.2k and 15.6k. A latency of 0 was not noted down.
var pegasusCells = []cell{
	{1, "get", 1, 8_500, 0.201},
	{1, "get", 32, 33_000, 2.1},
	{1, "get", 128, 45_000, 5.8},
	{1, "get", 512, 44_000, 20},
	{1, "put", 1, 5_600, 0.309},
	{1, "put", 32, 15_500, 5.6},
	{1, "put", 128, 15_600, 23},
	{1, "put", 512, 17_000, 81},
	{3, "get", 1, 8_000, 0},
	{3, "get", 32, 55_000, 0},
	{3, "get", 128, 76_000, 0},
	{3, "get", 512, 91_000, 52},
	{3, "put", 1, 1_700, 0.909},
	{3, "put", 32, 3_500, 61},
	{3, "put", 128, 4_800, 155},
	{3, "put", 512, 9_800, 230},
}

// cell is one load: servers and replicas, calls in flight, and Pegasus's figures.
type cell struct {
	servers   int
	work      string
	inFlight  int
	perSecond float64
	p99       float64 // milliseconds
}

const (
	pegasusRecords     = 200_000
	pegasusConnections = 4
	pegasusPartitions  = 8
	pegasusTarget      = 3 // times its throughput
)

// againstPegasus measures the cells with the same settings. Servers are processes
// of their own here, as they were there.
func (r *lab) againstPegasus() error {
	fmt.Println("| servers and replicas | in flight | load | Apache Pegasus | Arion | ratio | p99 lower | kept |\n|---:|---:|---|---:|---:|---:|---|---|")
	for _, servers := range []int{1, 3} {
		if err := r.pegasusServers(servers); err != nil {
			return err
		}
	}
	r.printTime()
	return nil
}

func (r *lab) pegasusServers(servers int) error {
	c, err := rig.Start(rig.Options{Arion: r.arion, Dir: filepath.Join(r.dir, "servers"+strconv.Itoa(servers)), Port: r.port, Replicas: servers})
	if err != nil {
		return err
	}
	defer c.Stop()
	if err := c.CreateTable(context.Background(), "bench", pegasusPartitions, servers); err != nil {
		return err
	}
	if _, err := r.pegasusRun(c, "load", 512); err != nil {
		return err
	}
	for _, x := range pegasusCells {
		if x.servers != servers {
			continue
		}
		var rounds []pegasusRun
		for range r.rounds {
			f, err := r.pegasusRun(c, map[string]string{"get": "get", "put": "set"}[x.work], x.inFlight)
			if err != nil {
				return err
			}
			rounds = append(rounds, f)
		}
		fmt.Println(x.row(medianRun(rounds)))
	}
	return nil
}

// pegasusRun is throughput, and p99 in milliseconds.
type pegasusRun struct{ perSecond, p99 float64 }

func (r *lab) pegasusRun(c *rig.Cluster, workload string, inFlight int) (pegasusRun, error) {
	rep, err := c.Bench(context.Background(), "bench", workload, "--records", strconv.Itoa(pegasusRecords), "--sort-keys", "1",
		"--value-size", "128", "--in-flight", strconv.Itoa(inFlight), "--connections", strconv.Itoa(min(pegasusConnections, inFlight)),
		"--duration", fmt.Sprint(r.seconds, "s"), "--warmup", "500ms", "--distribution", bench.Uniform)
	if err != nil {
		return pegasusRun{}, err
	}
	if len(rep.Errors) > 0 {
		return pegasusRun{}, fmt.Errorf("%s with %d in flight: calls failed: %v", workload, inFlight, rep.Errors)
	}
	f := pegasusRun{perSecond: rep.PerSecond}
	for _, l := range rep.Latency { // there is one kind of operation
		f.p99 = float64(l.P99) / 1000
	}
	return f, nil
}

// medianRun is the run with the median throughput.
func medianRun(runs []pegasusRun) pegasusRun {
	slices.SortFunc(runs, func(a, b pegasusRun) int {
		if a.perSecond < b.perSecond {
			return -1
		}
		return 1
	})
	return runs[(len(runs)-1)/2]
}

func (x cell) row(f pegasusRun) string {
	ratio := f.perSecond / x.perSecond
	theirs, lower := fmt.Sprintf("%.1fk/s", x.perSecond/1000), "–"
	kept := ratio >= pegasusTarget
	if x.p99 > 0 {
		theirs += fmt.Sprintf(", p99 %.3g ms", x.p99)
		lower = yes(f.p99 < x.p99)
		kept = kept && f.p99 < x.p99
	}
	return fmt.Sprintf("| %d | %d | %s | %s | %.1fk/s, p99 %.3g ms | ×%.2f | %s | %s |",
		x.servers, x.inFlight, x.work, theirs, f.perSecond/1000, f.p99, ratio, lower, yes(kept))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
