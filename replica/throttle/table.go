package throttle

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Rules are the throttling envs of one table.
type Rules struct {
	Write, WriteBytes Rule
	Read, ReadBytes   Rule
	Backup            Rule
}

// Outcome counts what happened to requests of one sort.
type Outcome struct{ Delayed, Rejected atomic.Uint64 }

// Counts are a table's outcomes on this node.
type Counts struct{ Write, Read, Backup Outcome }

// Table holds the requests of one table on this node. The zero rules let all
// pass at the cost of an atomic load.
type Table struct {
	keeper *Keeper
	active atomic.Bool // some rule is set
	gates  [gates]atomic.Pointer[gate]
	shares [2]atomic.Uint64 // float64 bits: of leaders, of followers
	Counts Counts
	// leaders of the table on this node, for those who divide Counts by them.
	leaders atomic.Int32

	rules Rules // of the last Update; guarded by keeper.mu
	held  int   // guarded by the queue's mu
}

// The gates of a table.
const (
	gateWrite = iota
	gateWriteBytes
	gateRead
	gateReadBytes
	gateBackup
	gates
)

const (
	leaderShare = iota
	backupShare
)

// Keeper holds the tables of a node and the queue of requests that wait.
type Keeper struct {
	queue *queue
	born  time.Time

	mu     sync.Mutex
	tables map[int32]*Table
}

// NewKeeper starts the queue. Close ends it.
func NewKeeper() *Keeper {
	k := &Keeper{born: time.Now(), tables: map[int32]*Table{}}
	k.queue = newQueue(k.now)
	return k
}

func (k *Keeper) now() int64 { return int64(time.Since(k.born)) }

// Waiting is the number of requests that wait.
func (k *Keeper) Waiting() int { return k.queue.len() }

// Close lets go of everything that waits and makes nobody wait any more.
func (k *Keeper) Close() { k.queue.close() }

// Table returns the account of a table, made when missing.
func (k *Keeper) Table(id int32) *Table {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.tables[id]
	if t == nil {
		t = &Table{keeper: k}
		t.SetShares(1, 1)
		k.tables[id] = t
	}
	return t
}

// Forget drops the accounts of tables that are not in keep.
func (k *Keeper) Forget(keep func(id int32) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, t := range k.tables {
		if !keep(id) {
			t.updateLocked(Rules{})
			delete(k.tables, id)
		}
	}
}

// SetShares tells which part of the table's rates this node answers for: for
// what leaders serve, and for backup requests. Not positive means all of it: a
// leader so new that it is not counted yet must serve too.
func (t *Table) SetShares(leaders, backups float64) {
	for i, v := range []float64{leaders, backups} {
		if !(v > 0) || v > 1 {
			v = 1
		}
		t.shares[i].Store(math.Float64bits(v))
	}
}

// SetLeaders tells how many partitions of the table this node leads.
func (t *Table) SetLeaders(n int) { t.leaders.Store(int32(n)) }

// Leaders is what SetLeaders was told.
func (t *Table) Leaders() int { return int(t.leaders.Load()) }

func (t *Table) share(i int) float64 { return math.Float64frombits(t.shares[i].Load()) }

// Update puts rules in force. Rules that did not change keep their accounts; the
// requests that wait for one that did are let go.
func (t *Table) Update(r Rules) {
	t.keeper.mu.Lock()
	defer t.keeper.mu.Unlock()
	t.updateLocked(r)
}

func (t *Table) updateLocked(r Rules) {
	if r == t.rules {
		return
	}
	for i, rule := range r.list() {
		if rule != t.rules.list()[i] {
			t.replace(i, rule)
		}
	}
	t.rules = r
	t.active.Store(r != Rules{})
	t.keeper.queue.refresh()
}

func (t *Table) replace(i int, r Rule) {
	var g *gate
	if !r.None() {
		g = &gate{rule: r}
	}
	if old := t.gates[i].Swap(g); old != nil {
		old.retired.Store(true)
	}
}

func (r Rules) list() [gates]Rule {
	return [gates]Rule{r.Write, r.WriteBytes, r.Read, r.ReadBytes, r.Backup}
}

// Pass is a request on its way through. The zero Pass goes through at once.
type Pass struct {
	table   *Table
	refused bool
	wait    time.Duration
	gate    *gate // of the wait
	outcome *Outcome
	guess   float64
	bytes   *gate // to be settled by Size
}

// Free reports that the request may go on at once.
func (p *Pass) Free() bool { return !p.refused && p.wait == 0 }

// Write admits a write of size bytes.
func (t *Table) Write(size int) Pass {
	if !t.active.Load() {
		return Pass{}
	}
	share, now := t.share(leaderShare), t.keeper.now()
	p := Pass{table: t, outcome: &t.Counts.Write}
	count, bytes := t.gates[gateWrite].Load(), t.gates[gateWriteBytes].Load()
	if p.through(count, 1, share, now) && !p.through(bytes, float64(size), share, now) {
		count.leave(1, share)
	}
	p.count()
	return p
}

// Read admits a read. Its size is learned from Size.
func (t *Table) Read(backup bool) Pass {
	if !t.active.Load() {
		return Pass{}
	}
	share, now := t.share(leaderShare), t.keeper.now()
	p := Pass{table: t, outcome: &t.Counts.Read}
	count, bytes := t.gates[gateRead].Load(), t.gates[gateReadBytes].Load()
	if backup {
		p.outcome, share, count = &t.Counts.Backup, t.share(backupShare), t.gates[gateBackup].Load()
	}
	if p.through(count, 1, share, now) && bytes != nil {
		p.guess, p.bytes = bytes.guess(), bytes
		if !p.through(bytes, p.guess, share, now) {
			count.leave(1, share)
			p.bytes = nil
		}
	}
	p.count()
	return p
}

// through adds the verdict of one gate.
func (p *Pass) through(g *gate, n, share float64, now int64) bool {
	v := g.enter(n, share, now)
	switch {
	case v.refuse:
		p.refused, p.wait, p.gate = true, v.wait, nil
		return false
	case v.wait > p.wait:
		p.wait, p.gate = v.wait, g
	}
	return true
}

func (p *Pass) count() {
	switch {
	case p.refused:
		p.outcome.Rejected.Add(1)
	case p.wait > 0:
		p.outcome.Delayed.Add(1)
	}
}

// Size tells how large the answer of a read was.
func (p *Pass) Size(n int) {
	if p.bytes != nil {
		p.bytes.learn(float64(n))
		p.bytes.settle(float64(n)-p.guess, p.table.share(leaderShare))
	}
}

// Hold calls one of the two for a request that is not Free: accept when its turn
// has come, or refuse when it is over the limit or too many wait. It does not
// block; the call comes at once or from the queue's goroutine, which both must
// not block either.
func (p *Pass) Hold(accept, refuse func()) {
	then := accept
	if p.refused {
		then = refuse
	}
	if p.wait == 0 {
		then()
		return
	}
	if p.table.keeper.queue.put(p.table, p.gate, p.wait, then) {
		return
	}
	if !p.refused {
		p.outcome.Rejected.Add(1)
	}
	refuse()
}
