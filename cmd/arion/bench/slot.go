package bench

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/client"
)

// slot is one call outstanding at a time. In the closed loop the goroutine that
// brings an answer issues the slot's next call: the generator shares the machine
// with what it measures, and handing each call to another goroutine costs more
// than making it.
type slot struct {
	run   *run
	table *client.Table
	rec   *recorder
	rng   *rand.Rand
	index int
	free  chan<- *slot // where it goes when done; nil in the closed loop
	state atomic.Int32

	// The call under way.
	op        operation
	begin     time.Time // when it was meant to start
	record    int64
	sequence  uint64 // of a checked write
	least     uint64 // of a checked read
	hash      []byte
	sort      []byte
	value     []byte
	requested int // bytes
	many      []int64
	keys      [][]byte // of a multi_get
	arena     []byte   // what they are parts of

	scanner *client.Scanner

	// Method values, made once.
	onValue func([]byte, error) ([]byte, error)
	onWrite func(struct{}, error) (struct{}, error)
	onCount func(int64, error) (int64, error)
}

// The states of a slot in the closed loop.
const (
	issuing  int32 = iota // loop is about to make a call
	waiting               // the call was made; its answer goes on
	answered              // the answer was there before loop had made the call
)

func newSlot(r *run, index int, table *client.Table, rec *recorder) *slot {
	s := &slot{run: r, table: table, rec: rec, index: index}
	s.rng = rand.New(rand.NewPCG(r.o.Seed, uint64(index)+1))
	s.onValue, s.onWrite, s.onCount = s.gotValue, s.wrote, s.counted
	return s
}

// loop makes calls, the first at begin, until one has to be waited for or the run
// ends.
func (s *slot) loop(begin time.Time) {
	for s.run.more() {
		s.state.Store(issuing)
		s.start(begin)
		if s.state.CompareAndSwap(issuing, waiting) {
			return // finish goes on
		}
		begin = time.Now()
	}
	s.run.left.Done()
}

// finish counts the call and goes on to the next one.
func (s *slot) finish(x sample) {
	now := time.Now()
	x.op, x.took = s.op, now.Sub(s.begin)
	if !s.begin.Before(s.run.measured) {
		s.rec.add(x)
	}
	switch {
	case s.free != nil:
		s.free <- s // has room for every slot
	case s.state.CompareAndSwap(issuing, answered):
		// loop is still in start and goes on.
	default:
		s.loop(now)
	}
}

// start makes a call that was meant to start at begin. The calls are bounded by
// the client's own time-outs, so that ending the run does not fail those in flight.
func (s *slot) start(begin time.Time) {
	s.begin, s.op = begin, s.run.plan.pick(s.rng)
	switch s.op {
	case opInsert:
		s.record = s.run.next.Add(1) - 1
	case opScan:
	default:
		s.record = s.run.chooser.pick(s.rng)
	}
	s.hash, s.sort = s.run.layout.keys(s.record, s.hash, s.sort)
	s.requested = len(s.hash) + len(s.sort)
	switch s.op {
	case opGet, opRMW:
		s.get()
	case opSet, opInsert:
		s.set()
	case opIncr:
		s.sort = append(s.sort, "-count"...)
		s.table.IncrAsync(context.Background(), s.hash, s.sort, 1).AddBoth(s.onCount)
	case opScan:
		s.scanPage()
	default:
		s.startMany()
	}
}

func (s *slot) get() {
	if s.run.ledger != nil {
		s.least = s.run.ledger.least(s.record)
	}
	s.table.GetAsync(context.Background(), s.hash, s.sort).AddBoth(s.onValue)
}

func (s *slot) gotValue(v []byte, err error) ([]byte, error) {
	x := sample{records: 1, read: s.requested + len(v), err: err}
	if errors.Is(err, client.ErrNotFound) {
		x.err, x.records, x.missing = nil, 0, 1
	}
	if s.run.ledger != nil && x.err == nil {
		x.violation = s.judge(v, x.missing == 0)
	}
	if s.op == opRMW && x.err == nil && x.violation == nil {
		s.set()
		return nil, nil
	}
	s.finish(x)
	return nil, nil
}

func (s *slot) judge(v []byte, found bool) error {
	if !found && s.run.o.TTL > 0 {
		return nil
	}
	return s.run.ledger.judge(s.record, v, found, s.least)
}

func (s *slot) set() {
	value := s.payload()
	s.requested += len(value)
	s.table.SetTTLAsync(context.Background(), s.hash, s.sort, value, s.run.o.TTL).AddBoth(s.onWrite)
}

// payload makes the value to write. In a verifying run it moves on to the next
// record nobody is writing.
func (s *slot) payload() []byte {
	if s.run.ledger == nil {
		return s.run.noise.value(s.rng, s.run.o.Value)
	}
	for {
		sequence, ok := s.run.ledger.begin(s.record)
		if ok {
			s.sequence = sequence
			break
		}
		s.record = (s.record + 1) % s.run.total.Load()
		s.hash, s.sort = s.run.layout.keys(s.record, s.hash, s.sort)
	}
	s.value = s.run.noise.checked(s.rng, s.run.o.Value, s.record, s.sequence, s.value)
	return s.value
}

func (s *slot) wrote(none struct{}, err error) (struct{}, error) {
	if s.run.ledger != nil {
		s.run.ledger.end(s.record, s.sequence, err == nil, client.IsUnknownOutcome(err))
	}
	if s.op == opInsert && err == nil {
		s.run.total.Add(1)
	}
	s.finish(sample{records: 1, written: s.requested, err: err})
	return none, nil
}

func (s *slot) counted(v int64, err error) (int64, error) {
	s.finish(sample{records: 1, written: s.requested, err: err})
	return v, nil
}

// scanPage reads the next page of the slot's partition. The end of a partition is
// its beginning.
func (s *slot) scanPage() {
	if s.scanner == nil {
		all, err := s.table.UnorderedScanners(context.Background(), maxConnections, client.ScanOptions{PageSize: scanPage, Reuse: true})
		if err != nil {
			s.finish(sample{err: err})
			return
		}
		s.scanner = all[s.index%len(all)]
	}
	s.scanner.NextPageAsync().AddBoth(func(rows []client.Row, err error) ([]client.Row, error) {
		s.gotPage(rows, err)
		return nil, nil
	})
}

// scanPage records are what a server returns at most.
const scanPage = 1000

func (s *slot) gotPage(rows []client.Row, err error) {
	x := sample{records: len(rows), err: err}
	if errors.Is(err, io.EOF) {
		x.err, s.scanner = nil, nil
	}
	for i := range rows {
		x.read += len(rows[i].HashKey) + len(rows[i].SortKey) + len(rows[i].Value)
	}
	s.finish(x)
}
