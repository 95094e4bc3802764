package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/arionkv/arion/cmd/arion/bench"
)

func newBench() *cobra.Command {
	o := bench.Defaults()
	var metas, format string
	cmd := &cobra.Command{
		Use:   "bench --meta HOST:PORT[,…] --table T",
		Short: "Drive load and report throughput and latencies",
		Example: "  arion bench --meta 127.0.0.1:34601 --table temp --workload load --records 1000000\n" +
			"  arion bench --meta 127.0.0.1:34601 --table temp --workload get --records 1000000 --duration 30s",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Metas = splitList(metas)
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			if format != "table" && format != "json" {
				return usageError{fmt.Errorf("unknown output format %q; known are table and json", format)}
			}
			report, err := bench.Run(untilSignal(), o)
			if err != nil {
				return err
			}
			if format == "json" {
				return report.WriteJSON(os.Stdout)
			}
			return report.WriteText(os.Stdout)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&metas, "meta", "127.0.0.1:34601", "meta servers, host:port, separated by commas")
	f.StringVar(&o.Table, "table", "", "table to use (required)")
	f.StringVar(&o.Workload, "workload", o.Workload, "load, set, get, mixed or incr")
	f.IntVar(&o.Records, "records", o.Records, "size of the key space; load writes each record once")
	f.IntVar(&o.SortKeys, "sort-keys", o.SortKeys, "records per hash key")
	f.IntVar(&o.ValueSize, "value-size", o.ValueSize, "bytes of a value")
	f.IntVar(&o.InFlight, "in-flight", o.InFlight, "calls waiting for an answer at once")
	f.DurationVar(&o.Duration, "duration", o.Duration, "length of the run; load ends when all is written")
	f.Float64Var(&o.ReadShare, "reads", o.ReadShare, "share of reads in mixed, 0 to 1")
	f.DurationVar(&o.TTL, "ttl", o.TTL, "time to live of written records; 0 = for ever")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "of the random choices")
	f.StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}
