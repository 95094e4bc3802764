package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/test/fakekv"
)

// TestWorkloads makes each workload's calls for real, and checks what it reads.
func TestWorkloads(t *testing.T) {
	cluster := fakekv.Start(t, fakekv.Options{})
	cluster.CreateTable("temp", 4)
	o := Defaults()
	o.Metas, o.Table, o.Records, o.InFlight, o.Connections = cluster.Metas(), "temp", 500, 16, 2
	o.Verify, o.Value, o.Duration = true, Sizes{checkedHeader, 100}, 50*time.Millisecond
	o.ServerPIDs, o.FsyncDir = []int{os.Getpid()}, t.TempDir()
	run := func(change func(*Options)) *Report {
		o := o
		change(&o)
		require.NoError(t, o.Validate())
		r, err := Run(t.Context(), o)
		require.NoError(t, err)
		require.Empty(t, r.Errors, o.Workload)
		require.Empty(t, r.Violations, o.Workload)
		require.Positive(t, r.Operations, o.Workload)
		requireComplete(t, r)
		return r
	}
	loaded := run(func(o *Options) { o.Workload = "load" })
	require.Equal(t, int64(500), loaded.Operations)
	for _, name := range WorkloadNames() {
		r := run(func(o *Options) { o.Workload = name })
		switch name {
		case "incr", "load", "ycsb-d", "ycsb-e": // may ask for what is not there
		default:
			require.Zero(t, r.Missing, name)
		}
	}
	r := run(func(o *Options) { o.Workload, o.Operations, o.Duration = "set", 77, time.Minute })
	require.Equal(t, int64(77), r.Operations)
	var progress bytes.Buffer
	r = run(func(o *Options) {
		o.Workload, o.Rate, o.Duration, o.Progress = "mixed", 500, 1100*time.Millisecond, &progress
	})
	require.LessOrEqual(t, r.Operations, int64(610), "the rate is a bound; a busy machine may stay below")
	require.Contains(t, progress.String(), "errors 0")
	require.NotEmpty(t, r.Timeline, "a run of more than a second has one")
}

// requireComplete checks that the JSON of a report says all that is promised.
func requireComplete(t *testing.T, r *Report) {
	t.Helper()
	var text bytes.Buffer
	require.NoError(t, r.WriteJSON(&text))
	var back Report
	require.NoError(t, json.Unmarshal(text.Bytes(), &back))
	require.Equal(t, r, &back)
	require.Positive(t, back.PerSecond, r.Workload)
	require.Positive(t, back.BytesRead+back.BytesWritten, r.Workload)
	for op, l := range back.Latency {
		require.Positive(t, l.P50, op)
		require.LessOrEqual(t, l.P50, l.P99, op)
		require.LessOrEqual(t, l.P999, l.Max, op)
	}
	require.NotNil(t, back.ServerCPU)
	require.Positive(t, back.ClientCPU)
	e := back.Environment
	require.Positive(t, e.Processors)
	require.Positive(t, e.SyncP50)
	require.Positive(t, e.Loopback)
	require.Equal(t, 4, e.Partitions)
	require.NotEmpty(t, e.Durability)
}

func TestVerifyFindsDamage(t *testing.T) {
	cluster := fakekv.Start(t, fakekv.Options{})
	cluster.CreateTable("temp", 4)
	o := Defaults()
	o.Metas, o.Table, o.Workload, o.Records = cluster.Metas(), "temp", "load", 100
	_, err := Run(t.Context(), o) // plain values
	require.NoError(t, err)
	o.Workload, o.Verify, o.Operations = "get", true, 50
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{errForeignValue.Error(): 50}, r.Violations)
}

func TestOpenLoopTellsWhatItCouldNotStart(t *testing.T) {
	o := Defaults()
	o.Rate = 1000
	r := &run{o: o}
	end := make(chan struct{})
	time.AfterFunc(50*time.Millisecond, func() { close(end) })
	r.pace(context.Background(), time.Now(), make(chan *slot), end) // no slot ever comes free
	require.GreaterOrEqual(t, r.late, int64(45))
}
