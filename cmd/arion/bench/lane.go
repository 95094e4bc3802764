package bench

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/arionkv/arion/client"
)

// Latencies are kept in microseconds to a minute with three digits.
const (
	longest = int64(time.Minute / time.Microsecond)
	digits  = 3
)

// lane counts what one issuer's calls gave, and holds the tokens of those it
// may have outstanding.
type lane struct {
	tokens chan struct{}

	mu            sync.Mutex
	reads, writes *hdrhistogram.Histogram
	missing       int64 // reads of records that are not there
	errors        map[string]int64
}

func newLane(inFlight int) *lane {
	return &lane{
		tokens: make(chan struct{}, inFlight),
		reads:  hdrhistogram.New(1, longest, digits),
		writes: hdrhistogram.New(1, longest, digits),
		errors: make(map[string]int64),
	}
}

// take waits for room for one more call; false when ctx has ended.
func (l *lane) take(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case l.tokens <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *lane) give() { <-l.tokens }

// drain waits until no call is outstanding.
func (l *lane) drain() {
	for range cap(l.tokens) {
		l.tokens <- struct{}{}
	}
}

// done counts an answer and makes room.
func (l *lane) done(begin time.Time, read bool, err error) {
	l.record(time.Since(begin), read, err)
	l.give()
}

func (l *lane) record(took time.Duration, read bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(err, client.ErrNotFound) {
		l.missing++
	} else if err != nil {
		l.errors[kind(err)]++
		return
	}
	h := l.writes
	if read {
		h = l.reads
	}
	// The value is clamped into the histogram's range, so there is no error.
	_ = h.RecordValue(min(max(took.Microseconds(), 1), longest))
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
