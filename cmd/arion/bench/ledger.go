package bench

import (
	"errors"
	"sync"
	"time"
)

var (
	errStale = errors.New("read is older than an acknowledged write")
	errLost  = errors.New("record with an acknowledged write is not there")
)

// ledger knows the last acknowledged write of every record this run wrote, so
// that a read can be held against it. At most one write of a record is under
// way, hence their order is known; after one with an unknown outcome it is not,
// and the record is only checked for damage from then on.
type ledger struct {
	mu       sync.Mutex
	sequence uint64 // of the last write begun
	records  map[int64]*account
}

type account struct {
	acked   uint64 // sequence of the last acknowledged write, 0 = none
	writing bool
	unsure  bool
}

// newLedger starts above the sequences of earlier runs.
func newLedger(now time.Time) *ledger {
	return &ledger{sequence: uint64(now.UnixNano()), records: map[int64]*account{}}
}

// begin admits a write of a record and numbers it. ok is false if another write
// of the record is under way.
func (l *ledger) begin(record int64) (sequence uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.records[record]
	if a == nil {
		a = new(account)
		l.records[record] = a
	}
	if a.writing {
		return 0, false
	}
	a.writing = true
	l.sequence++
	return l.sequence, true
}

// end notes the outcome of a write.
func (l *ledger) end(record int64, sequence uint64, acked, unknown bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.records[record]
	a.writing = false
	a.unsure = a.unsure || unknown
	if acked {
		a.acked = sequence
	}
}

// least is the oldest sequence a read that begins now may return, 0 = any.
func (l *ledger) least(record int64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.records[record]; a != nil && !a.unsure {
		return a.acked
	}
	return 0
}

// judge holds what a read found against what it had to find.
func (l *ledger) judge(record int64, value []byte, found bool, least uint64) error {
	if !found {
		if least > 0 && l.least(record) > 0 {
			return errLost
		}
		return nil
	}
	sequence, err := check(value, record)
	if err != nil {
		return err
	}
	if sequence < least && l.least(record) > 0 { // still sure
		return errStale
	}
	return nil
}
