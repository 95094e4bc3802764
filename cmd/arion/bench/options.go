package bench

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Options say what to run.
type Options struct {
	Metas    []string
	Table    string
	Workload string // one of Workloads

	Records      int    // size of the key space; load writes each once
	SortKeys     int    // records per hash key
	Value        Sizes  // bytes of a value
	Distribution string // which records are chosen; empty = what the workload asks for
	Batch        int    // records of one multi_get, batch_get, batch_set or YCSB scan
	ReadShare    float64
	TTL          time.Duration
	Seed         uint64
	Verify       bool // values carry checksum and sequence, reads are checked

	Connections int           // to each server; the calls in flight are split among them
	InFlight    int           // calls waiting for an answer at once
	Rate        float64       // operations per second of the open loop; 0 = closed loop
	Warmup      time.Duration // not measured
	Duration    time.Duration // of all workloads but load
	Operations  int           // ends the run before Duration; 0 = no bound

	ServerPIDs []int     // processes whose CPU time is reported
	FsyncDir   string    // where the latency of a sync is measured; empty = not at all
	Progress   io.Writer // gets a line each second; nil = none
}

// The distributions of chosen records.
const (
	Uniform = "uniform"
	Zipfian = "zipfian" // some records much more often than others, spread over the key space
	Latest  = "latest"  // the youngest most often
)

const (
	maxValue       = 1 << 20
	maxConnections = 4096
	maxBatch       = 3000 // what a server returns at most
)

// Defaults are those of the command line.
func Defaults() Options {
	return Options{
		Workload: "mixed", Records: 100_000, SortKeys: 10, Value: Sizes{100, 100}, Batch: 10,
		Connections: 1, InFlight: 128, Duration: 10 * time.Second, ReadShare: 0.5, Seed: 1,
	}
}

// Validate reports everything that is wrong.
func (o *Options) Validate() error {
	var problems []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	_, known := Workloads[o.Workload]
	check(known, "--workload %q is none of %s", o.Workload, strings.Join(WorkloadNames(), ", "))
	check(o.Table != "", "--table is required")
	check(o.Records > 0, "--records must be positive")
	check(o.SortKeys > 0, "--sort-keys must be positive")
	check(o.Value.Min >= 0 && o.Value.Min <= o.Value.Max && o.Value.Max <= maxValue, "--value-size must be between 0 and 1 MB")
	check(!o.Verify || o.Value.Min >= checkedHeader, "--verify needs values of at least %d bytes", checkedHeader)
	check(o.Batch > 0 && o.Batch <= maxBatch, "--batch must be between 1 and %d", maxBatch)
	check(o.Connections > 0 && o.Connections <= maxConnections, "--connections must be between 1 and %d", maxConnections)
	check(o.InFlight >= o.Connections, "--in-flight must be at least --connections")
	check(o.Rate >= 0, "--rate must not be negative")
	check(o.Duration > 0, "--duration must be positive")
	check(o.Warmup >= 0 && o.TTL >= 0, "--warmup and --ttl must not be negative")
	check(o.Operations >= 0, "--operations must not be negative")
	check(o.ReadShare >= 0 && o.ReadShare <= 1, "--reads must be between 0 and 1")
	switch o.Distribution {
	case "", Uniform, Zipfian, Latest:
	default:
		check(false, "--distribution %q is none of uniform, zipfian, latest", o.Distribution)
	}
	return errors.Join(problems...)
}

// Sizes is a range of bytes, both ends included. It is a flag: "100" or "64-1024".
type Sizes struct{ Min, Max int }

// String writes the flag.
func (s Sizes) String() string {
	if s.Min == s.Max {
		return strconv.Itoa(s.Min)
	}
	return fmt.Sprintf("%d-%d", s.Min, s.Max)
}

// Set reads the flag.
func (s *Sizes) Set(text string) error {
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	var err, err2 error
	s.Min, err = strconv.Atoi(low)
	s.Max, err2 = strconv.Atoi(high)
	if err != nil || err2 != nil {
		return fmt.Errorf("%q is no size and no range of sizes such as 64-1024", text)
	}
	return nil
}

// Type names the flag's type in the help.
func (s *Sizes) Type() string { return "bytes" }
