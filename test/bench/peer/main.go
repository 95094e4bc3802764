// Command peer drives load at what Arion is compared with, and at the floor
// below it: Redis over RESP, etcd over gRPC, RocksDB without a server, and bare
// servers that do nothing but frames. It prints one line of JSON.
//
// It exists so that every contestant has a client as lean as Arion's: all of them
// keep a window of requests outstanding on few connections and write what has
// gathered in one system call. scripts/bench-compare.sh runs it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	mode        string
	addrs       []string
	workload    string // get or set
	records     int
	valueSize   int
	connections int
	inFlight    int
	duration    time.Duration
	dir         string

	// The data of the floor, shaped as a table's.
	partitions, sortKeys int
	memtable             bool
}

// modes by name.
var modes = map[string]func(options) (*result, error){
	"resp":    runRESP,
	"etcd":    runEtcd,
	"echo":    runEcho,
	"framed":  runFramed,
	"rocks":   runRocks,
	"iterate": runIterate,
	"sync":    runSync,
}

func main() {
	var o options
	var addrs string
	flag.StringVar(&o.mode, "mode", "", "resp, etcd, echo (frames alone), framed (frames and RocksDB), rocks, iterate or sync")
	flag.StringVar(&addrs, "addr", "", "servers, host:port, separated by commas")
	flag.StringVar(&o.workload, "workload", "get", "load, get or set")
	flag.IntVar(&o.records, "records", 100_000, "size of the key space")
	flag.IntVar(&o.valueSize, "value-size", 128, "bytes")
	flag.IntVar(&o.connections, "connections", 1, "connections")
	flag.IntVar(&o.inFlight, "in-flight", 50, "requests outstanding on all connections together")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "length of the run")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "directory for modes that keep data")
	flag.IntVar(&o.partitions, "partitions", 8, "databases the floor's records are spread over")
	flag.IntVar(&o.sortKeys, "sort-keys", 1, "the floor's records per hash key")
	flag.BoolVar(&o.memtable, "memtable", false, "leave the floor's records in memtables, where a server has what was written lately")
	flag.Parse()
	o.addrs = strings.Split(addrs, ",")
	run := modes[o.mode]
	if run == nil || o.inFlight < o.connections || o.connections < 1 || o.records < 1 || o.partitions < 1 || o.partitions > maxPartitions || o.sortKeys < 1 {
		flag.Usage()
		os.Exit(2)
	}
	r, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
}
