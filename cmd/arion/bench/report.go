package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is the result of a run. Latencies are in microseconds.
type Report struct {
	Workload     string  `json:"workload"`
	Table        string  `json:"table"`
	Distribution string  `json:"distribution,omitempty"`
	Records      int     `json:"records"`
	SortKeys     int     `json:"sort_keys"`
	Value        string  `json:"value_bytes"`
	Batch        int     `json:"batch,omitempty"`
	Connections  int     `json:"connections"`
	InFlight     int     `json:"in_flight"`
	Rate         float64 `json:"open_loop_rate,omitempty"`
	Verified     bool    `json:"verified"`

	Seconds          float64 `json:"seconds"`
	Operations       int64   `json:"operations"`
	PerSecond        float64 `json:"operations_per_second"`
	RecordsPerSecond float64 `json:"records_per_second"`
	BytesRead        int64   `json:"bytes_read"`
	BytesWritten     int64   `json:"bytes_written"`

	Reads   *Latency            `json:"reads,omitempty"`
	Writes  *Latency            `json:"writes,omitempty"`
	Latency map[string]*Latency `json:"latency"` // by operation

	// Timeline has an entry for each second, for an hour at most.
	Timeline []Second `json:"timeline,omitempty"`

	Missing    int64            `json:"reads_not_found"`
	Late       int64            `json:"open_loop_not_started,omitempty"`
	Errors     map[string]int64 `json:"errors"`
	Violations map[string]int64 `json:"violations"`

	// CPU is in cores: 1 is one of them busy all the time.
	ClientCPU   float64     `json:"client_cpu"`
	ServerCPU   *float64    `json:"server_cpu,omitempty"`
	Environment Environment `json:"environment"`
}

// Latency describes one kind of operation.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_us"`
	P50   int64   `json:"p50_us"`
	P90   int64   `json:"p90_us"`
	P99   int64   `json:"p99_us"`
	P999  int64   `json:"p999_us"`
	Max   int64   `json:"max_us"`
}

// Second is what one second of a run did.
type Second struct {
	At         float64 `json:"at"` // seconds since the start, warm-up included
	Operations int64   `json:"operations"`
	P50        int64   `json:"p50_us"`
	P99        int64   `json:"p99_us"`
	Max        int64   `json:"max_us"`
	Failed     int64   `json:"failed"` // since the start
}

func newReport(r *run, took time.Duration, used cpuUse, env Environment) *Report {
	total, reads, writes := newRecorder(), newHistogram(), newHistogram()
	for _, rec := range r.recorders {
		rec.merge(total)
	}
	rep := &Report{
		Workload: r.o.Workload, Table: r.o.Table, Distribution: r.plan.distribution, Records: r.o.Records,
		SortKeys: r.o.SortKeys, Value: r.o.Value.String(), Connections: r.o.Connections, InFlight: r.o.InFlight,
		Rate: r.o.Rate, Verified: r.o.Verify, Seconds: took.Seconds(),
		Latency: map[string]*Latency{}, Timeline: r.timeline, Missing: total.sums.missing, Late: r.late,
		BytesRead: total.sums.read, BytesWritten: total.sums.written,
		Errors: total.errors, Violations: total.violations, Environment: env,
	}
	for op, h := range total.latency {
		if h == nil {
			continue
		}
		rep.Latency[operationNames[op]] = latency(h)
		rep.Operations += h.TotalCount()
		if operation(op).writes() {
			writes.Merge(h)
		} else {
			reads.Merge(h)
		}
		if op := operation(op); op == opMultiGet || op == opRange || op == opBatchGet || op == opBatchSet {
			rep.Batch = r.o.Batch
		}
	}
	rep.Reads, rep.Writes = latency(reads), latency(writes)
	rep.PerSecond = float64(rep.Operations) / took.Seconds()
	rep.RecordsPerSecond = float64(total.sums.records) / took.Seconds()
	rep.ClientCPU = used.client.Seconds() / used.wall.Seconds()
	if len(r.o.ServerPIDs) > 0 {
		cores := used.servers.Seconds() / used.wall.Seconds()
		rep.ServerCPU = &cores
	}
	return rep
}

func latency(h *hdrhistogram.Histogram) *Latency {
	if h.TotalCount() == 0 {
		return nil
	}
	return &Latency{
		Count: h.TotalCount(), Mean: h.Mean(), Max: h.Max(), P50: h.ValueAtPercentile(50),
		P90: h.ValueAtPercentile(90), P99: h.ValueAtPercentile(99), P999: h.ValueAtPercentile(99.9),
	}
}

// WriteJSON writes the report as one line.
func (r *Report) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s: %d operations in %.1f s, %.0f per second", r.Workload, r.Table, r.Operations, r.Seconds, r.PerSecond)
	if r.RecordsPerSecond > 1.01*r.PerSecond {
		fmt.Fprintf(&b, ", %.0f records per second", r.RecordsPerSecond)
	}
	fmt.Fprintf(&b, "\n%d records of %s bytes, %d to a hash key, %s\n", r.Records, r.Value, r.SortKeys, r.shape())
	for _, name := range slices.Sorted(maps.Keys(r.Latency)) {
		writeLatency(&b, name, r.Latency[name])
	}
	fmt.Fprintf(&b, "%.1f MB/s read, %.1f MB/s written, client used %.2f cores", perSecondMB(r.BytesRead, r.Seconds),
		perSecondMB(r.BytesWritten, r.Seconds), r.ClientCPU)
	if r.ServerCPU != nil {
		fmt.Fprintf(&b, ", servers %.2f", *r.ServerCPU)
	}
	b.WriteByte('\n')
	r.writeTrouble(&b)
	r.Environment.write(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// shape says how the load was made.
func (r *Report) shape() string {
	s := fmt.Sprintf("%d calls in flight on %d connections", r.InFlight, r.Connections)
	if r.Rate > 0 {
		s = fmt.Sprintf("open loop at %.0f/s, at most %s", r.Rate, s)
	}
	if r.Distribution != "" {
		s += ", " + r.Distribution
	}
	if r.Verified {
		s += ", verified"
	}
	return s
}

func perSecondMB(bytes int64, seconds float64) float64 { return float64(bytes) / seconds / 1e6 }

// writeTrouble lists all that did not go as it should.
func (r *Report) writeTrouble(b *strings.Builder) {
	if r.Missing > 0 {
		fmt.Fprintf(b, "not found  %d\n", r.Missing)
	}
	if r.Late > 0 {
		fmt.Fprintf(b, "not started in time  %d\n", r.Late)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(b, "error      %d  %s\n", r.Errors[name], name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Violations)) {
		fmt.Fprintf(b, "VIOLATION  %d  %s\n", r.Violations[name], name)
	}
}

func writeLatency(b *strings.Builder, name string, l *Latency) {
	fmt.Fprintf(b, "%-9s  %d, mean %.0f us, p50 %d us, p90 %d us, p99 %d us, p99.9 %d us, max %d us\n",
		name, l.Count, l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max)
}
