package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/arionkv/arion/cmd/arion/bench"
)

// errViolations makes a verifying run fail when it found something wrong.
var errViolations = errors.New("reads contradict what was written, see above")

func newBench() *cobra.Command {
	o := bench.Defaults()
	var metas, format string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "bench --meta HOST:PORT[,…] --table T",
		Short: "Drive load and report throughput and latencies",
		Long:  "Drives load through the Go client and reports throughput and latencies.\n\nWorkloads:\n" + listWorkloads(),
		Example: "  arion bench --meta 127.0.0.1:34601 --table temp --workload load --records 1000000\n" +
			"  arion bench --meta 127.0.0.1:34601 --table temp --workload get --records 1000000 --duration 30s\n" +
			"  arion bench --meta 127.0.0.1:34601 --table temp --workload ycsb-a --rate 10000 --in-flight 1000",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromRoot(cmd, "meta", "table", "output", "quiet"); err != nil {
				return err
			}
			o.Metas = splitList(metas)
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			if format != "table" && format != "json" {
				return usageError{fmt.Errorf("unknown output format %q; known are table and json", format)}
			}
			if !quiet {
				o.Progress = os.Stderr
			}
			return runBench(o, format)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&metas, "meta", "127.0.0.1:34601", "meta servers, host:port, separated by commas")
	f.StringVar(&o.Table, "table", "", "table to use (required)")
	f.StringVar(&o.Workload, "workload", o.Workload, "see above")
	f.IntVar(&o.Records, "records", o.Records, "size of the key space; load writes each record once")
	f.IntVar(&o.SortKeys, "sort-keys", o.SortKeys, "records per hash key")
	f.Var(&o.Value, "value-size", "bytes of a value, or a range such as 64-1024")
	f.StringVar(&o.Distribution, "distribution", "", "uniform, zipfian or latest; empty = as the workload has it")
	f.IntVar(&o.Batch, "batch", o.Batch, "records of one multi_get, range, batch_get or batch_set")
	f.Float64Var(&o.ReadShare, "reads", o.ReadShare, "share of reads in mixed, 0 to 1")
	f.IntVar(&o.Connections, "connections", o.Connections, "to each server; the calls in flight are split among them")
	f.IntVar(&o.InFlight, "in-flight", o.InFlight, "calls waiting for an answer at once")
	f.Float64Var(&o.Rate, "rate", o.Rate, "operations per second of the open loop; 0 = closed loop")
	f.DurationVar(&o.Warmup, "warmup", o.Warmup, "time before the measurement")
	f.DurationVar(&o.Duration, "duration", o.Duration, "length of the run; load ends when all is written")
	f.IntVar(&o.Operations, "operations", o.Operations, "end after so many operations; 0 = no bound")
	f.DurationVar(&o.TTL, "ttl", o.TTL, "time to live of written records; 0 = for ever")
	f.BoolVar(&o.Verify, "verify", o.Verify, "write values with checksum and sequence, and check what is read")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "of the random choices")
	f.IntSliceVar(&o.ServerPIDs, "server-pid", nil, "server processes whose CPU use is reported")
	f.StringVar(&o.FsyncDir, "sync-dir", "", "measure the latency of a sync in this directory; empty = do not")
	f.BoolVarP(&quiet, "quiet", "q", false, "no progress lines")
	f.StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}

// fromRoot takes flags that were given before the name of the command.
func fromRoot(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		given := cmd.Root().Flags().Lookup(name)
		if given == nil || !given.Changed || cmd.Flags().Changed(name) {
			continue
		}
		if err := cmd.Flags().Set(name, given.Value.String()); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// garbagePercent is GOGC of the load generator, unless the environment says
// otherwise. What lives in it is a MB, and Go would collect at every 4 MB, which are
// 7,000 gets: an eighth of their cost, which programs with a heap of their own do not
// have.
const garbagePercent = 400

func runBench(o bench.Options, format string) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	report, err := bench.Run(untilSignal(), o)
	if err != nil {
		return err
	}
	write := report.WriteText
	if format == "json" {
		write = report.WriteJSON
	}
	if err := write(os.Stdout); err != nil {
		return err
	}
	if len(report.Violations) > 0 {
		return errViolations
	}
	return nil
}

func listWorkloads() string {
	var b strings.Builder
	for _, name := range bench.WorkloadNames() {
		fmt.Fprintf(&b, "  %-10s %s\n", name, bench.Describe(name))
	}
	return b.String()
}
