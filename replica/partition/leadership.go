package partition

import (
	"math/rand/v2"
	"sync/atomic"
)

// standing is who leads, as this replica knows it.
type standing struct {
	leader uint64 // replica id, 0 = unknown
	term   uint64
	mine   bool          // this replica leads
	over   chan struct{} // closed when a newer standing is known
}

// leadership holds the newest standing.
type leadership struct {
	self    uint64
	current atomic.Pointer[standing]
	changed chan struct{} // for the proposer
}

func newLeadership(self uint64) *leadership {
	l := &leadership{self: self, changed: make(chan struct{}, 1)}
	l.current.Store(&standing{over: make(chan struct{})})
	return l
}

func (l *leadership) get() *standing { return l.current.Load() }

// set records a standing. Called in the order of raft's events.
func (l *leadership) set(leader, term uint64) (changed bool) {
	old := l.current.Load()
	if term < old.term || leader == old.leader && term == old.term {
		return false
	}
	return l.replace(old, &standing{leader: leader, term: term, mine: leader == l.self, over: make(chan struct{})})
}

// resign forgets the leader for good: no event is newer.
func (l *leadership) resign() {
	for !l.replace(l.current.Load(), &standing{term: ^uint64(0), over: make(chan struct{})}) {
	}
}

func (l *leadership) replace(old, next *standing) bool {
	if !l.current.CompareAndSwap(old, next) {
		return false
	}
	close(old.over)
	notify(l.changed)
	return true
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// randomSource satisfies dragonboat's session constructor.
type randomSource struct{}

func (randomSource) Int() int       { return rand.Int() }
func (randomSource) Uint64() uint64 { return rand.Uint64() }
