// Package chaos torments clusters under load and checks what clients were
// promised: nothing acknowledged is lost, nothing counts twice, nobody reads the
// past, replicas agree.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/client"
)

// Ledger is a load generator that knows what must be in the store. Every record
// has one writer, so after each answer its content is certain, or one of a few
// candidates if the outcome is unknown. Counters are shared by all writers; an
// unknown increment widens the interval a counter may be in.
type Ledger struct {
	table    *client.Table
	counters [ledgerCounters]counter
	writers  []*writer

	Acked, Unknown, Refused atomic.Int64
}

const (
	ledgerCounters = 8
	// rowsPerHash records share a hash key, so that the check reads many at once.
	rowsPerHash = 50
	// askTimeout bounds one call: longer than any restart here.
	askTimeout = 60 * time.Second
)

// counter is what a counter must be: between sure and sure + maybe.
type counter struct {
	mu          sync.Mutex
	sure, maybe int64
	// highest is the largest answer: later answers must be above what was
	// settled, and no two may be equal.
	seen map[int64]bool
}

// writer owns the records under the hash keys with its number.
type writer struct {
	number int
	next   int
	// rows holds the candidates of each record, "" = absent. One = certain.
	rows map[string]map[string][]string
}

// NewLedger makes an empty ledger over a table that nobody else writes to.
func NewLedger(table *client.Table, writers int) *Ledger {
	l := &Ledger{table: table}
	for i := range writers {
		l.writers = append(l.writers, &writer{number: i, rows: map[string]map[string][]string{}})
	}
	for i := range l.counters {
		l.counters[i].seen = map[int64]bool{}
	}
	return l
}

// Run writes until enough ends, and finishes the calls under way. If ctx ends they
// are given up, their outcomes unknown: that is only for servers that have been
// killed, since one that lives may carry them out after the next Verify.
func (l *Ledger) Run(ctx, enough context.Context) {
	var wg sync.WaitGroup
	for _, w := range l.writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil && enough.Err() == nil {
				l.step(ctx, w)
			}
		}()
	}
	wg.Wait()
}

func (l *Ledger) step(ctx context.Context, w *writer) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	switch n := rand.IntN(10); {
	case n < 3:
		l.incr(ctx, rand.IntN(ledgerCounters))
	case n < 4 && w.next > 0:
		l.remove(ctx, w)
	case n < 5:
		l.multiPut(ctx, w)
	default:
		l.put(ctx, w)
	}
}

func (w *writer) hash(n int) string { return fmt.Sprintf("w%d-%d", w.number, n/rowsPerHash) }

// allow records the candidates of a record.
func (w *writer) allow(hash, sortKey string, candidates ...string) {
	if w.rows[hash] == nil {
		w.rows[hash] = map[string][]string{}
	}
	w.rows[hash][sortKey] = candidates
}

// judge counts the outcome of a write and says which contents it leaves possible.
func (l *Ledger) judge(err error, before []string, after string) []string {
	switch {
	case err == nil:
		l.Acked.Add(1)
		return []string{after}
	case client.IsUnknownOutcome(err):
		l.Unknown.Add(1)
		return append(append([]string(nil), before...), after)
	}
	l.Refused.Add(1)
	return before
}

var absent = []string{""}

func (l *Ledger) put(ctx context.Context, w *writer) {
	n := w.next
	w.next++
	hash, sortKey, value := w.hash(n), strconv.Itoa(n), fmt.Sprintf("%d/%d", w.number, n)
	err := l.table.Set(ctx, []byte(hash), []byte(sortKey), []byte(value))
	w.allow(hash, sortKey, l.judge(err, absent, value)...)
}

func (l *Ledger) multiPut(ctx context.Context, w *writer) {
	n := w.next
	hash := w.hash(n)
	var records []client.Record
	for ; w.next < n+3 && w.hash(w.next) == hash; w.next++ {
		records = append(records, client.Record{
			SortKey: []byte(strconv.Itoa(w.next)), Value: fmt.Appendf(nil, "%d/%d", w.number, w.next),
		})
	}
	err := l.table.MultiSet(ctx, []byte(hash), records)
	for _, r := range records {
		w.allow(hash, string(r.SortKey), l.judge(err, absent, string(r.Value))...)
	}
}

func (l *Ledger) remove(ctx context.Context, w *writer) {
	n := rand.IntN(w.next)
	hash, sortKey := w.hash(n), strconv.Itoa(n)
	err := l.table.Del(ctx, []byte(hash), []byte(sortKey))
	w.allow(hash, sortKey, l.judge(err, w.rows[hash][sortKey], "")...)
}

func (l *Ledger) incr(ctx context.Context, i int) {
	c := &l.counters[i]
	got, err := l.table.Incr(ctx, counterKey(i), []byte("n"), 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		l.Acked.Add(1)
		c.sure++
		if c.seen[got] {
			panic(fmt.Sprintf("counter %d answered %d twice", i, got))
		}
		c.seen[got] = true
	case client.IsUnknownOutcome(err):
		l.Unknown.Add(1)
		c.maybe++
	default:
		l.Refused.Add(1)
	}
}

func counterKey(i int) []byte { return fmt.Appendf(nil, "counter-%d", i) }

// Verify reads everything and compares. Nobody may be writing. What it reads is
// certain from then on: with nothing under way, an unknown outcome is settled by
// the first read.
func (l *Ledger) Verify(ctx context.Context) error {
	type job struct {
		w    *writer
		hash string
	}
	var jobs []job
	for _, w := range l.writers {
		for hash := range w.rows {
			jobs = append(jobs, job{w, hash})
		}
	}
	problems := make([]error, len(jobs))
	var wg sync.WaitGroup
	limit := make(chan struct{}, 32)
	for i, j := range jobs {
		wg.Add(1)
		limit <- struct{}{}
		go func() {
			defer wg.Done()
			problems[i] = l.verifyHash(ctx, j.w, j.hash)
			<-limit
		}()
	}
	wg.Wait()
	for i := range l.counters {
		problems = append(problems, l.verifyCounter(ctx, i))
	}
	return firstFew(problems)
}

// firstFew joins errors, but not thousands of them.
func firstFew(errs []error) error {
	const few = 10
	var some []error
	total := 0
	for _, err := range errs {
		if err == nil {
			continue
		}
		if total++; total <= few {
			some = append(some, err)
		}
	}
	if total > few {
		some = append(some, fmt.Errorf("and %d more", total-few))
	}
	return errors.Join(some...)
}

func (l *Ledger) verifyHash(ctx context.Context, w *writer, hash string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	got, err := l.table.MultiGetRange(ctx, []byte(hash), client.RangeOptions{})
	if err != nil {
		return fmt.Errorf("read %s: %w", hash, err)
	}
	if !got.Complete {
		return fmt.Errorf("read %s: incomplete", hash)
	}
	found := map[string]string{}
	for _, r := range got.Records {
		found[string(r.SortKey)] = string(r.Value)
	}
	var bad []error
	rows := w.rows[hash]
	for sortKey, candidates := range rows {
		v := found[sortKey]
		if !contains(candidates, v) {
			bad = append(bad, fmt.Errorf("%s/%s is %q, want one of %q", hash, sortKey, v, candidates))
		}
		rows[sortKey] = []string{v}
		delete(found, sortKey)
	}
	for sortKey, v := range found {
		bad = append(bad, fmt.Errorf("%s/%s is %q, nobody wrote it", hash, sortKey, v))
	}
	sort.Slice(bad, func(i, j int) bool { return bad[i].Error() < bad[j].Error() })
	return firstFew(bad)
}

func contains(list []string, v string) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

func (l *Ledger) verifyCounter(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	c := &l.counters[i]
	raw, err := l.table.Get(ctx, counterKey(i), []byte("n"))
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return fmt.Errorf("read counter %d: %w", i, err)
	}
	got, err := strconv.ParseInt("0"+string(raw), 10, 64)
	if err != nil {
		return fmt.Errorf("counter %d is %q", i, raw)
	}
	low, high := c.sure, c.sure+c.maybe
	c.sure, c.maybe = got, 0
	if got < low || got > high {
		return fmt.Errorf("counter %d is %d, acknowledged and unknown increments allow %d to %d", i, got, low, high)
	}
	return nil
}

// String sums up.
func (l *Ledger) String() string {
	return fmt.Sprintf("%d writes acknowledged, %d unknown, %d refused", l.Acked.Load(), l.Unknown.Load(), l.Refused.Load())
}
