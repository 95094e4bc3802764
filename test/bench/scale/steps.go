package main

import (
	"fmt"
	"time"
)

// step is one thing that grows.
type step struct {
	name   string
	points []point
}

// point is one size of it: a fresh cluster, a table, a load, then the runs.
type point struct {
	label      string // as the tables show it
	x          float64
	series     string // lines of a step's picture; empty = there is one
	partitions int
	idleTables []int // partitions of tables that nobody uses
	replicas   int
	memory     int64 // node.memory of a replica server, bytes
	records    int
	valueSize  int
	inFlight   int
	runs       []load
	maxLoad    time.Duration // the load is cut off then
}

// load is one run.
type load struct {
	name, workload string
	args           []string
}

// size bounds how much is done.
type size struct {
	seconds    int // of a run
	partitions [][]int
	records    []int
	values     []int
	table      int // records of a usual table
	volume     int // bytes of the table of a value size, at most
	clients    []int
	cached     []int // records of 1 KB
	calls      int   // in flight while connections grow
	maxLoad    time.Duration
}

const (
	kb = 1 << 10
	mb = 1 << 20
	gb = 1 << 30
)

// full takes a quarter of an hour on two processors: about 35 points of 10 to 20 s,
// and ten million records.
var full = size{
	seconds:    4,
	partitions: [][]int{{2}, {8}, {64}, {256, 32, 8, 4}},
	records:    []int{100_000, 1_000_000, 10_000_000},
	values:     []int{16, 128, kb, 16 * kb, 128 * kb, mb - 64},
	table:      100_000,
	volume:     128 * mb,
	clients:    []int{1, 10, 100, 500, 2000},
	cached:     []int{32_000, 256_000, 1_024_000},
	calls:      2000,
	maxLoad:    5 * time.Minute,
}

// tiny is for trying the program.
var tiny = size{
	seconds:    1,
	partitions: [][]int{{2}, {16, 2}},
	records:    []int{1_000, 50_000},
	values:     []int{16, 128 * kb},
	table:      2_000,
	volume:     4 * mb,
	clients:    []int{1, 100},
	cached:     []int{4_000, 16_000},
	calls:      100,
	maxLoad:    20 * time.Second,
}

const (
	usualMemory = gb
	smallMemory = 256 * mb // a cache of 115 MB, and that is less than the table
	usualValue  = 128
	usualCalls  = 512
)

// usual is a point before anything of it grows.
func usual(s size) point {
	return point{
		partitions: 8, replicas: 1, memory: usualMemory, records: s.table, valueSize: usualValue, inFlight: usualCalls,
		runs: []load{{name: "get", workload: "get"}, {name: "put", workload: "set"}}, maxLoad: s.maxLoad,
	}
}

func stepsOf(s size) []step {
	return []step{
		{"partitions", partitionPoints(s)},
		{"records", recordPoints(s)},
		{"values", valuePoints(s)},
		{"connections", connectionPoints(s)},
		{"cache", cachePoints(s)},
		{"hotkey", hotKeyPoints(s)},
	}
}

// partitionPoints grows the partitions of a server. Tables have powers of two of
// them, so 300 are a table of 256 and smaller ones that nobody uses.
func partitionPoints(s size) []point {
	var ps []point
	for _, replicas := range []int{1, 3} {
		for _, tables := range s.partitions {
			p, total := usual(s), 0
			for _, n := range tables {
				total += n
			}
			p.x, p.series = float64(total), fmt.Sprintf("replicas: %d", replicas)
			p.label = fmt.Sprintf("%d, %s", total, p.series)
			p.partitions, p.idleTables, p.replicas = tables[0], tables[1:], replicas
			p.runs = append(p.runs, load{name: "idle"})
			ps = append(ps, p)
		}
	}
	return ps
}

func recordPoints(s size) []point {
	var ps []point
	for _, n := range s.records {
		p := usual(s)
		p.x, p.label, p.records, p.valueSize = float64(n), count(float64(n)), n, 100
		ps = append(ps, p)
	}
	return ps
}

// valuePoints keeps the bytes of the table and those in flight bounded.
func valuePoints(s size) []point {
	const mostInFlight = 32 * mb
	var ps []point
	for _, v := range s.values {
		p := usual(s)
		p.x, p.label, p.valueSize = float64(v), bytesText(float64(v)), v
		p.records = min(s.table, max(64, s.volume/v))
		p.inFlight = min(usualCalls, mostInFlight/v)
		ps = append(ps, p)
	}
	return ps
}

// connectionPoints spreads the same calls over more connections.
func connectionPoints(s size) []point {
	var ps []point
	for _, n := range s.clients {
		p := usual(s)
		p.x, p.label, p.inFlight = float64(n), count(float64(n)), s.calls
		for i := range p.runs {
			p.runs[i].args = []string{"--connections", fmt.Sprint(n)}
		}
		ps = append(ps, p)
	}
	return ps
}

func cachePoints(s size) []point {
	var ps []point
	for _, n := range s.cached {
		p := usual(s)
		p.records, p.valueSize, p.memory = n, kb, smallMemory
		p.x, p.label = float64(n)*kb, bytesText(float64(n)*kb)
		p.runs = append(p.runs, load{name: "get, Zipfian", workload: "get", args: []string{"--distribution", "zipfian"}})
		ps = append(ps, p)
	}
	return ps
}

func hotKeyPoints(s size) []point {
	p := usual(s)
	p.label = "one or many"
	for _, w := range []string{"get", "set"} {
		p.runs = append(p.runs,
			load{name: "Zipfian " + w, workload: w, args: []string{"--distribution", "zipfian"}},
			load{name: "one record, " + w, workload: w, args: []string{"--records", "1"}})
	}
	return []point{p}
}
