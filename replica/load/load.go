// Package load counts what one replica does: requests and bytes by operation,
// rates over the last seconds, and the hash keys that are hot.
package load

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/replica/hotkey"
)

// Op is an operation of the rrdb service.
type Op uint8

// The operations, reads first.
const (
	Get Op = iota
	TTL
	MultiGet
	BatchGet
	SortKeyCount
	GetScanner
	Scan
	Put
	MultiPut
	Remove
	MultiRemove
	Incr
	CheckAndSet
	CheckAndMutate
	Ops // their number
)

var names = [Ops]string{
	"get", "ttl", "multi_get", "batch_get", "sortkey_count", "get_scanner", "scan",
	"put", "multi_put", "remove", "multi_remove", "incr", "check_and_set", "check_and_mutate",
}

// String is the name in metrics and commands.
func (o Op) String() string { return names[o] }

// Write reports whether the operation changes records.
func (o Op) Write() bool { return o >= Put }

// Window is the time that rates are means over.
const Window = 10 * time.Second

// Load is the account of one replica. The zero Load is ready.
type Load struct {
	ops [Ops]struct{ requests, bytes atomic.Uint64 }
	// Backup counts reads that may be stale, of all kinds.
	Backup, BackupBytes atomic.Uint64
	// Slow counts requests over the table's threshold.
	Slow atomic.Uint64

	Reads, Writes hotkey.Sketch
	// DetectReads and DetectWrites tell that an operator has asked for hot keys.
	DetectReads, DetectWrites atomic.Bool

	mu      sync.Mutex
	samples []sample // oldest first, one per Tick, over Window
}

// Totals are counts since the replica opened.
type Totals struct{ Requests, Bytes [Ops]uint64 }

type sample struct {
	at time.Time
	Totals
}

// Count adds one request that moved so many bytes of user data.
func (l *Load) Count(o Op, bytes int) {
	l.ops[o].requests.Add(1)
	l.ops[o].bytes.Add(uint64(bytes))
}

// Totals returns the counts.
func (l *Load) Totals() (t Totals) {
	for o := range Ops {
		t.Requests[o], t.Bytes[o] = l.ops[o].requests.Load(), l.ops[o].bytes.Load()
	}
	return t
}

// Tick takes a sample for the rates; about once a second.
func (l *Load) Tick(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	drop := 0
	for drop < len(l.samples)-1 && now.Sub(l.samples[drop+1].at) >= Window {
		drop++
	}
	l.samples = append(l.samples[:0], l.samples[drop:]...)
	if n := len(l.samples); n > 0 && now.Sub(l.samples[n-1].at) < minTick {
		return // many ticks in a row would push the window out
	}
	l.samples = append(l.samples, sample{now, l.Totals()})
}

// minTick bounds the samples kept to Window/minTick and one.
const minTick = time.Second / 2

// Rates are means per second over the last Window.
type Rates struct{ Requests, Bytes [Ops]float64 }

// Rates returns the means as of now; zeros before the first Tick.
func (l *Load) Rates(now time.Time) (r Rates) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.samples) == 0 {
		return r
	}
	first, last := l.samples[0], l.Totals()
	sec := max(now.Sub(first.at).Seconds(), 1)
	for o := range Ops {
		r.Requests[o] = float64(last.Requests[o]-first.Requests[o]) / sec
		r.Bytes[o] = float64(last.Bytes[o]-first.Bytes[o]) / sec
	}
	return r
}

// Reads is the sum of the read rates.
func (r Rates) Reads() (sum float64) {
	for o := range Put {
		sum += r.Requests[o]
	}
	return sum
}

// Writes is the sum of the write rates.
func (r Rates) Writes() (sum float64) {
	for o := Put; o < Ops; o++ {
		sum += r.Requests[o]
	}
	return sum
}

// SplitBytes are the sums of the read and of the write rates in bytes.
func (r Rates) SplitBytes() (reads, writes float64) {
	for o := range Ops {
		if o.Write() {
			writes += r.Bytes[o]
		} else {
			reads += r.Bytes[o]
		}
	}
	return reads, writes
}
