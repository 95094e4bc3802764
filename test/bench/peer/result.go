package main

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// result has the names that `arion bench -o json` uses.
type result struct {
	Operations int64   `json:"operations"`
	PerSecond  float64 `json:"operations_per_second"`
	P50        int64   `json:"p50_us"`
	P99        int64   `json:"p99_us"`
	P999       int64   `json:"p999_us"`
	Max        int64   `json:"max_us"`
	Failed     int64   `json:"failed"`
}

const longest = int64(time.Minute / time.Microsecond)

// tally counts what one goroutine did.
type tally struct {
	h      *hdrhistogram.Histogram
	failed int64
}

func newTally() *tally { return &tally{h: hdrhistogram.New(1, longest, 3)} }

func (t *tally) add(took time.Duration) {
	_ = t.h.RecordValue(min(max(took.Microseconds(), 1), longest)) // clamped, so it cannot fail
}

// together runs n workers until the time is up and merges what they counted.
func together(n int, length time.Duration, worker func(i int, t *tally, until time.Time) error) (*result, error) {
	start := time.Now()
	until := start.Add(length)
	tallies, errs := make([]*tally, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		tallies[i] = newTally()
		wg.Go(func() { errs[i] = worker(i, tallies[i], until) })
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	total, failed := newTally().h, int64(0)
	for i, t := range tallies {
		if errs[i] != nil {
			return nil, errs[i]
		}
		total.Merge(t.h)
		failed += t.failed
	}
	return &result{
		Operations: total.TotalCount(), PerSecond: float64(total.TotalCount()) / took, Failed: failed,
		P50: total.ValueAtPercentile(50), P99: total.ValueAtPercentile(99), P999: total.ValueAtPercentile(99.9), Max: total.Max(),
	}, nil
}
