package throttle

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// delaySlack and rejectSlack are the bursts that pass at once, as time at the
	// limit's rate: real callers come in bunches. What would wait loses nothing by
	// a small one. What is refused comes back later, together with others, so that
	// a small one would keep a table below its rate; half a second costs 5 % of
	// accuracy over ten.
	delaySlack  = 250 * time.Millisecond
	rejectSlack = 500 * time.Millisecond

	// MaxHold bounds the wait for one's turn. Clients give up after 5 to 10 s, and
	// a request answered after that was throttled in vain.
	MaxHold = 5 * time.Second
)

// account is the time, on the keeper's clock in nanoseconds, until which what
// was let in is paid for.
type account struct{ paid atomic.Int64 }

// charge books cost nanoseconds unless that must wait longer than most, and
// returns the wait.
func (a *account) charge(cost, now int64, slack, most time.Duration) (wait time.Duration, ok bool) {
	for {
		paid := a.paid.Load()
		wait = max(0, time.Duration(paid-now)-slack)
		if wait > most {
			return 0, false
		}
		if a.paid.CompareAndSwap(paid, max(paid, now)+cost) {
			return wait, true
		}
	}
}

// add books a difference; a negative one takes back.
func (a *account) add(cost int64) { a.paid.Add(cost) }

// gate is a rule with its accounts. A changed rule gets a new gate.
type gate struct {
	rule          Rule
	delay, reject account
	retired       atomic.Bool // what waits for it need not
	mean          atomic.Uint64
}

// verdict is what a gate says to one request.
type verdict struct {
	refuse bool
	wait   time.Duration
}

// cost is what n units take of a limit, given this node's share of it.
func cost(l Limit, n, share float64) int64 {
	return int64(min(n/(l.PerSec*share)*float64(time.Second), math.MaxInt64/4))
}

// enter books n units, or refuses and books nothing.
func (g *gate) enter(n, share float64, now int64) verdict {
	if g == nil {
		return verdict{}
	}
	if l := g.rule.Reject; l.PerSec > 0 {
		if _, ok := g.reject.charge(cost(l, n, share), now, rejectSlack, 0); !ok {
			return verdict{refuse: true, wait: l.Pause}
		}
	}
	l := g.rule.Delay
	if l.PerSec == 0 {
		return verdict{}
	}
	if g.rule.Reject.PerSec > 0 {
		return verdict{wait: g.soften(cost(l, n, share), now)}
	}
	wait, ok := g.delay.charge(cost(l, n, share), now, delaySlack, MaxHold)
	if !ok {
		return verdict{refuse: true}
	}
	return verdict{wait: wait}
}

// soften is the delay beside a reject limit: a wait of at most the pause. Debt
// beyond that is forgotten, since nobody will pay it.
func (g *gate) soften(c, now int64) time.Duration {
	most := g.rule.Delay.Pause
	if wait, ok := g.delay.charge(c, now, delaySlack, most); ok {
		return wait
	}
	return most
}

// leave takes back what enter booked.
func (g *gate) leave(n, share float64) { g.settle(-n, share) }

// settle books a difference found afterwards.
func (g *gate) settle(n, share float64) {
	if g == nil || n == 0 {
		return
	}
	if l := g.rule.Reject; l.PerSec > 0 {
		g.reject.add(sign(n) * cost(l, math.Abs(n), share))
	}
	if l := g.rule.Delay; l.PerSec > 0 {
		g.delay.add(sign(n) * cost(l, math.Abs(n), share))
	}
}

func sign(n float64) int64 {
	if n < 0 {
		return -1
	}
	return 1
}

// guess is the size a read will probably have: a running mean. Without it all
// reads that are let in together would be free.
func (g *gate) guess() float64 { return math.Float64frombits(g.mean.Load()) }

// meanWeight is the part of the mean that one read makes.
const meanWeight = 1.0 / 16

func (g *gate) learn(n float64) {
	// A lost update between two readers changes the mean by a sixteenth.
	m := g.guess()
	g.mean.Store(math.Float64bits(m + (n-m)*meanWeight))
}
