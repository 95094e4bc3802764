package partition

import (
	"sync"
	"sync/atomic"
	"time"
)

// lease is the right to serve reads without asking anybody. See the package
// comment for why it is sound.
type lease struct {
	length time.Duration
	now    func() time.Time

	// begin is when the ReadIndex behind the valid lease was begun, nil = none.
	// Readers look at nothing else.
	begin atomic.Pointer[time.Time]

	mu sync.Mutex
	// epoch counts revocations: evidence gathered before one proves nothing
	// after it.
	epoch uint64
	// barred is the term in which leadership was, or may be, transferred.
	barred uint64
	closed bool
}

// wallSlack is how far the wall clock may run ahead of the monotonic clock
// during a lease before the machine is taken to have slept.
const wallSlack = 50 * time.Millisecond

func newLease(length time.Duration) *lease {
	return &lease{length: max(length, 0), now: time.Now}
}

// age returns how much of the lease is used up at now, or false if there is none. It
// does not allocate or lock.
func (l *lease) age(now time.Time) (time.Duration, bool) {
	begin := l.begin.Load()
	if begin == nil {
		return 0, false
	}
	mono := now.Sub(*begin)
	wall := time.Duration(now.UnixNano() - begin.UnixNano())
	return mono, mono < l.length && wall < l.length+wallSlack
}

// start returns what grant needs to judge evidence gathered from now on.
func (l *lease) start() (begin time.Time, epoch uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now(), l.epoch
}

// grant starts a lease on the evidence of a ReadIndex begun at begin in term.
func (l *lease) grant(begin time.Time, epoch, term uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || epoch != l.epoch || term <= l.barred {
		return false
	}
	l.begin.Store(&begin)
	return true
}

// revoke ends the lease and devalues evidence being gathered.
func (l *lease) revoke() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revokeLocked()
}

func (l *lease) revokeLocked() {
	l.epoch++
	l.begin.Store(nil)
}

// bar revokes and grants no lease in term any more.
func (l *lease) bar(term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.barred = max(l.barred, term)
	l.revokeLocked()
}

// close revokes for good.
func (l *lease) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.revokeLocked()
}
