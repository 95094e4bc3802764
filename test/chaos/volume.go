package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/idl/key"
)

// Volume is a load of many records with a check that costs next to nothing, so
// that it judges every one of millions of operations. Each record has one writer,
// which writes 1, 2, 3, … into it. Whoever reads it must find at least what was
// acknowledged, or read by anybody, before the read began, and nothing that was
// not written yet. A record whose write has an unknown outcome is not written any
// more, since that write may take effect late; it is read on.
//
// Some records have a time to live. They must be there until it is over and must
// not be there afterwards.
type Volume struct {
	table      *client.Table
	partitions int32
	workers    int
	seed       uint64
	meter      *Meter

	mu      sync.RWMutex
	records []*sequence

	Acked, Unknown, Refused, Reads, ReadsFailed atomic.Int64

	badMu sync.Mutex
	bad   []error
	total int
}

const (
	// recordsPerWorker are written by each worker in turn.
	recordsPerWorker = 200
	// expiringShare is one in how many records that has a time to live.
	expiringShare = 8
	// volumeRest is what a worker does between two pairs of operations: the
	// servers of this machine share its few cores with the load.
	volumeRest = 30 * time.Millisecond
	// clockGrain is the unit of expiry. A record's time to live begins when its
	// call is encoded, and is cut to this.
	clockGrain = time.Second
	padding    = 100 // bytes
)

// sequence is one record.
type sequence struct {
	hash, sort []byte
	partition  int32
	ttl        time.Duration

	mu    sync.Mutex
	floor int64 // acknowledged or read
	tried int64 // written, whatever came of it
	ended bool  // by an unknown outcome
	// life holds when the floor and what was written since expire.
	life    map[int64]life
	refused map[int64]bool
}

// life: a record is there before from and gone after by.
type life struct{ from, by time.Time }

// NewVolume prepares a load on a table that nobody else writes to, with a client
// made with Options.
func NewVolume(seed uint64, table *client.Table, partitions, workers int, meter *Meter) *Volume {
	return &Volume{table: table, partitions: int32(partitions), workers: workers, seed: seed, meter: meter}
}

// Run writes and reads until ctx ends. Calls under way are finished.
func (v *Volume) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range v.workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			v.work(ctx, i, rand.New(rand.NewPCG(v.seed, uint64(i))))
		}()
	}
	wg.Wait()
}

func (v *Volume) work(ctx context.Context, number int, rng *rand.Rand) {
	var own []*sequence
	made := 0
	fresh := func() *sequence {
		made++
		return v.add(fmt.Sprintf("v%d-%d", number, made), rng)
	}
	for range recordsPerWorker {
		own = append(own, fresh())
	}
	for ctx.Err() == nil {
		i := rng.IntN(len(own))
		v.write(own[i])
		if own[i].ended {
			own[i] = fresh()
		}
		v.mu.RLock()
		any := v.records[rng.IntN(len(v.records))]
		v.mu.RUnlock()
		_ = v.read(any)
		time.Sleep(volumeRest/2 + time.Duration(rng.Int64N(int64(volumeRest))))
	}
}

func (v *Volume) add(name string, rng *rand.Rand) *sequence {
	s := &sequence{hash: []byte(name), sort: []byte("s"), life: map[int64]life{}, refused: map[int64]bool{}}
	s.partition = key.PartitionIndex(key.Hash(s.hash, nil), v.partitions)
	if rng.IntN(expiringShare) == 0 {
		s.ttl = time.Duration(2+rng.IntN(20)) * clockGrain
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.records = append(v.records, s)
	return s
}

// write is called by the owner of the record alone.
func (v *Volume) write(s *sequence) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	begin := time.Now()
	s.mu.Lock()
	s.tried++
	n := s.tried
	// Until the call has ended nobody knows when it was encoded.
	s.life[n] = life{begin.Add(s.ttl - clockGrain), begin.Add(callTimeout + s.ttl + 2*clockGrain)}
	s.mu.Unlock()
	err := v.table.SetTTL(ctx, s.hash, s.sort, append(strconv.AppendInt(nil, n, 10), filler...), s.ttl)
	end := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		v.Acked.Add(1)
		v.meter.Success(s.partition, end)
		s.life[n] = life{s.life[n].from, end.Add(s.ttl + 2*clockGrain)}
		s.raise(n)
	case client.IsUnknownOutcome(err):
		v.Unknown.Add(1)
		s.ended = true
	default:
		v.Refused.Add(1)
		s.refused[n] = true
	}
}

var filler = []byte(" " + strings.Repeat("x", padding))

// raise is called with the record locked.
func (s *sequence) raise(n int64) {
	if n <= s.floor {
		return
	}
	for old := range s.life {
		if old < n {
			delete(s.life, old)
		}
	}
	s.floor = n
}

// read judges what it reads. The error is that of the call.
func (v *Volume) read(s *sequence) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	s.mu.Lock()
	floor, expires := s.floor, s.life[s.floor]
	s.mu.Unlock()
	begin := time.Now()
	raw, err := v.table.Get(ctx, s.hash, s.sort)
	end := time.Now()
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		v.ReadsFailed.Add(1)
		return err
	}
	v.Reads.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if floor > 0 && (s.ttl == 0 || end.Before(expires.from)) {
			v.violation("%s is not there, %d was", s.hash, floor)
		}
		return nil
	}
	text, _, _ := strings.Cut(string(raw), " ")
	got, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		v.violation("%s is %q", s.hash, raw)
	case got < floor:
		v.violation("%s is %d, %d was there before", s.hash, got, floor)
	case got > s.tried:
		v.violation("%s is %d, only %d were written", s.hash, got, s.tried)
	case s.refused[got]:
		v.violation("%s is %d, a write that was refused", s.hash, got)
	case s.ttl > 0:
		// What was overwritten during the read is forgotten and was just as valid.
		if l, known := s.life[got]; known && begin.After(l.by) {
			v.violation("%s is %d, which expired before %v", s.hash, got, l.by)
		}
	}
	s.raise(got)
	return nil
}

// kept bounds what is printed.
const kept = 10

func (v *Volume) violation(format string, args ...any) {
	v.badMu.Lock()
	defer v.badMu.Unlock()
	v.total++
	if len(v.bad) < kept {
		v.bad = append(v.bad, fmt.Errorf("%v: "+format, append([]any{time.Now().Format(time.RFC3339Nano)}, args...)...))
	}
}

// Finish reads every record once more. The cluster must be well.
func (v *Volume) Finish(ctx context.Context) error {
	work := make(chan *sequence)
	errs := make([]error, v.workers)
	var wg sync.WaitGroup
	for i := range v.workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for s := range work {
				for errs[i] = v.read(s); errs[i] != nil && ctx.Err() == nil; errs[i] = v.read(s) {
				}
			}
		}()
	}
	for _, s := range v.records {
		work <- s
	}
	close(work)
	wg.Wait()
	return firstFew(errs)
}

// Violations are what was read and must not have been, and how often.
func (v *Volume) Violations() ([]error, int) {
	v.badMu.Lock()
	defer v.badMu.Unlock()
	return v.bad, v.total
}

// String sums up.
func (v *Volume) String() string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return fmt.Sprintf("%d records, %d writes acknowledged, %d unknown, %d refused; %d reads judged, %d without an answer",
		len(v.records), v.Acked.Load(), v.Unknown.Load(), v.Refused.Load(), v.Reads.Load(), v.ReadsFailed.Load())
}

// Meter measures for how long partitions take no writes.
type Meter struct {
	mu   sync.Mutex
	last map[int32]time.Time
	gaps []Gap
}

// Gap is a time without a write to a partition.
type Gap struct {
	Partition  int32
	Begin, End time.Time
}

func (g Gap) length() time.Duration { return g.End.Sub(g.Begin) }

func (g Gap) String() string {
	return fmt.Sprintf("%s partition %d took no write for %d ms", g.Begin.Format("15:04:05.000"), g.Partition, g.length().Milliseconds())
}

// noGap is what needs no explanation: an election takes longer.
const noGap = 300 * time.Millisecond

// NewMeter makes a meter.
func NewMeter() *Meter { return &Meter{last: map[int32]time.Time{}} }

// Success notes that a write to a partition was done.
func (m *Meter) Success(partition int32, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last, ok := m.last[partition]; ok && at.Sub(last) > noGap {
		m.gaps = append(m.gaps, Gap{partition, last, at})
	}
	if at.After(m.last[partition]) {
		m.last[partition] = at
	}
}

// Gaps are all of them, the longest first.
func (m *Meter) Gaps() []Gap {
	m.mu.Lock()
	defer m.mu.Unlock()
	gaps := slices.Clone(m.gaps)
	slices.SortFunc(gaps, func(a, b Gap) int { return cmp.Compare(b.length(), a.length()) })
	return gaps
}
