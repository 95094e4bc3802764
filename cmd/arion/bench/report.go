package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is the result of a run. Latencies are in microseconds.
type Report struct {
	Workload    string           `json:"workload"`
	Table       string           `json:"table"`
	Records     int              `json:"records"`
	ValueSize   int              `json:"value_bytes"`
	InFlight    int              `json:"in_flight"`
	Seconds     float64          `json:"seconds"`
	Operations  int64            `json:"operations"`
	PerSecond   float64          `json:"operations_per_second"`
	Reads       *Latency         `json:"reads,omitempty"`
	Writes      *Latency         `json:"writes,omitempty"`
	Missing     int64            `json:"reads_not_found"`
	Errors      map[string]int64 `json:"errors"`
	Environment Environment      `json:"environment"`
}

// Latency describes one kind of operation.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_us"`
	P50   int64   `json:"p50_us"`
	P99   int64   `json:"p99_us"`
	P999  int64   `json:"p999_us"`
	Max   int64   `json:"max_us"`
}

// Environment says where the run was made.
type Environment struct {
	Processors int    `json:"processors"`
	CPU        string `json:"cpu"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	Time       string `json:"time"`
}

func newReport(o Options, lanes []*lane, took time.Duration) *Report {
	total := newLane(0)
	for _, l := range lanes {
		total.reads.Merge(l.reads)
		total.writes.Merge(l.writes)
		total.missing += l.missing
		for name, n := range l.errors {
			total.errors[name] += n
		}
	}
	operations := total.reads.TotalCount() + total.writes.TotalCount()
	return &Report{
		Workload: o.Workload, Table: o.Table, Records: o.Records, ValueSize: o.ValueSize, InFlight: o.InFlight,
		Seconds: took.Seconds(), Operations: operations, PerSecond: float64(operations) / took.Seconds(),
		Reads: latency(total.reads), Writes: latency(total.writes),
		Missing: total.missing, Errors: total.errors, Environment: environment(),
	}
}

func latency(h *hdrhistogram.Histogram) *Latency {
	if h.TotalCount() == 0 {
		return nil
	}
	return &Latency{
		Count: h.TotalCount(), Mean: h.Mean(), Max: h.Max(),
		P50: h.ValueAtPercentile(50), P99: h.ValueAtPercentile(99), P999: h.ValueAtPercentile(99.9),
	}
}

func environment() Environment {
	return Environment{
		Processors: runtime.NumCPU(),
		CPU:        procLine("/proc/cpuinfo", "model name"),
		Kernel:     procLine("/proc/sys/kernel/osrelease", ""),
		Go:         runtime.Version(),
		Time:       time.Now().UTC().Format(time.RFC3339),
	}
}

// procLine gives what follows the colon of the first line that begins with
// name, or the first line when name is empty.
func procLine(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name == "" {
			return strings.TrimSpace(line)
		}
		if strings.HasPrefix(line, name) {
			_, value, _ := strings.Cut(line, ":")
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// WriteJSON writes the report as one line.
func (r *Report) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s: %d operations in %.1f s, %.0f per second\n",
		r.Workload, r.Table, r.Operations, r.Seconds, r.PerSecond)
	fmt.Fprintf(&b, "%d records of %d bytes, %d calls in flight\n", r.Records, r.ValueSize, r.InFlight)
	writeLatency(&b, "reads", r.Reads)
	writeLatency(&b, "writes", r.Writes)
	if r.Missing > 0 {
		fmt.Fprintf(&b, "not found  %d\n", r.Missing)
	}
	for _, name := range sortedKeys(r.Errors) {
		fmt.Fprintf(&b, "error      %d  %s\n", r.Errors[name], name)
	}
	e := r.Environment
	fmt.Fprintf(&b, "%d processors, %s, Linux %s, %s, %s\n", e.Processors, e.CPU, e.Kernel, e.Go, e.Time)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeLatency(b *strings.Builder, name string, l *Latency) {
	if l != nil {
		fmt.Fprintf(b, "%-9s  %d, mean %.0f us, p50 %d us, p99 %d us, p99.9 %d us, max %d us\n",
			name, l.Count, l.Mean, l.P50, l.P99, l.P999, l.Max)
	}
}

func sortedKeys(m map[string]int64) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
