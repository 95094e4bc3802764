package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/arionkv/arion/cmd/arion/bench"
)

// results are all figures of this program. Latencies are in
// microseconds, sizes in bytes.
type results struct {
	Taken   time.Time `json:"taken"`
	Seconds float64   `json:"seconds"`
	Short   bool      `json:"short"`
	// Environment is that of the first run.
	Environment bench.Environment `json:"environment"`
	Steps       []stepResult      `json:"steps"`
}

type stepResult struct {
	Name   string        `json:"name"`
	Taken  time.Time     `json:"taken"`
	Load   string        `json:"load_average"` // before it
	Short  bool          `json:"short,omitempty"`
	Points []pointResult `json:"points"`
}

type pointResult struct {
	Label      string      `json:"label"`
	X          float64     `json:"x"`
	Series     string      `json:"series,omitempty"`
	Partitions int         `json:"partitions"`
	Replicas   int         `json:"replicas"`
	Records    int         `json:"records"`
	ValueSize  int         `json:"value_size"`
	InFlight   int         `json:"in_flight"`
	Budget     int64       `json:"memory_budget"` // of one replica server
	PeakMemory int64       `json:"peak_memory"`   // resident, of the largest replica server
	Disk       int64       `json:"disk"`          // of all replica servers
	Runs       []runResult `json:"runs"`
	Error      string      `json:"error,omitempty"`
}

type runResult struct {
	Name       string  `json:"name"`
	Operations int64   `json:"operations"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"operations_per_second"`
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`
	Max        float64 `json:"max_us"`
	Failed     int64   `json:"failed"`
	Missing    int64   `json:"not_found"`
	ServerCPU  float64 `json:"server_cpu"` // cores, of all replica servers
	ClientCPU  float64 `json:"client_cpu"`
	// Course is operations per second in each second of a load that took long.
	Course []int64 `json:"course,omitempty"`
}

// shortestCourse is the seconds from which a load has a course worth drawing.
const shortestCourse = 5

func newRunResult(name string, rep *bench.Report) runResult {
	r := runResult{
		Name: name, Operations: rep.Operations, Seconds: rep.Seconds, PerSecond: rep.PerSecond,
		ClientCPU: rep.ClientCPU, Missing: rep.Missing,
	}
	if rep.ServerCPU != nil {
		r.ServerCPU = *rep.ServerCPU
	}
	for _, n := range rep.Errors {
		r.Failed += n
	}
	// Every run here is of one kind of operation.
	for _, l := range rep.Latency {
		r.P50, r.P99, r.Max = float64(l.P50), float64(l.P99), float64(l.Max)
	}
	if name == "load" && len(rep.Timeline) >= shortestCourse {
		for _, s := range rep.Timeline {
			r.Course = append(r.Course, s.Operations)
		}
	}
	return r
}

// run finds a run by name; nil when the point has none.
func (p *pointResult) run(name string) *runResult {
	for i := range p.Runs {
		if p.Runs[i].Name == name {
			return &p.Runs[i]
		}
	}
	return nil
}

// step finds a step by name; nil when it was not taken.
func (r *results) step(name string) *stepResult {
	for i := range r.Steps {
		if r.Steps[i].Name == name {
			return &r.Steps[i]
		}
	}
	return nil
}

// update takes over the steps of a newer run.
func (r *results) update(newer *results) {
	r.Environment = newer.Environment
	for _, s := range newer.Steps {
		if old := r.step(s.Name); old != nil {
			*old = s
		} else {
			r.Steps = append(r.Steps, s)
		}
	}
}

func (r *results) save(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

func readResults(path string) (*results, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(results)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}
