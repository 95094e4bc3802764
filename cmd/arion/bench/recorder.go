package bench

import (
	"errors"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/arionkv/arion/client"
)

// Latencies are kept in microseconds to a minute with three digits.
const (
	longest   = int64(time.Minute / time.Microsecond)
	precision = 3
)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, precision) }

// sample is one finished operation.
type sample struct {
	op             operation
	took           time.Duration
	records        int // read or written
	missing        int // records asked for that are not there
	read, written  int // bytes of keys and values
	err, violation error
}

// recorder counts samples. There are several, so that connections do not meet on
// one lock; they are merged at the end.
type recorder struct {
	mu         sync.Mutex
	latency    [operations]*hdrhistogram.Histogram
	second     *hdrhistogram.Histogram // since the last progress line
	sums       sums
	errors     map[string]int64
	violations map[string]int64
}

type sums struct {
	records, missing, read, written, failed int64
}

func (s *sums) add(o sums) {
	s.records += o.records
	s.missing += o.missing
	s.read += o.read
	s.written += o.written
	s.failed += o.failed
}

func newRecorder() *recorder {
	return &recorder{second: newHistogram(), errors: map[string]int64{}, violations: map[string]int64{}}
}

func (r *recorder) add(s sample) {
	// Clamped into the histogram's range, so recording cannot fail.
	us := min(max(s.took.Microseconds(), 1), longest)
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.violation != nil {
		r.violations[s.violation.Error()]++
	}
	if s.err != nil {
		r.errors[kind(s.err)]++
		r.sums.failed++
		return
	}
	h := r.latency[s.op]
	if h == nil {
		h = newHistogram()
		r.latency[s.op] = h
	}
	_ = h.RecordValue(us)
	_ = r.second.RecordValue(us)
	r.sums.add(sums{int64(s.records), int64(s.missing), int64(s.read), int64(s.written), 0})
}

// tick moves the last second's latencies into dst and gives the failures so far.
func (r *recorder) tick(dst *hdrhistogram.Histogram) (failed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	dst.Merge(r.second)
	r.second.Reset()
	return r.sums.failed
}

// merge adds what r counted to total, which nobody else uses.
func (r *recorder) merge(total *recorder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for op, h := range r.latency {
		if h == nil {
			continue
		}
		if total.latency[op] == nil {
			total.latency[op] = newHistogram()
		}
		total.latency[op].Merge(h)
	}
	total.sums.add(r.sums)
	for name, n := range r.errors {
		total.errors[name] += n
	}
	for name, n := range r.violations {
		total.violations[name] += n
	}
}

// kind is a short name for counting errors.
func kind(err error) string {
	var e *client.Error
	if errors.As(err, &e) {
		if e.Unknown {
			return e.Kind.Error() + " (outcome unknown)"
		}
		return e.Kind.Error()
	}
	return err.Error()
}
