package read

import (
	"container/list"
	"math/rand/v2"
	"sync"
	"time"
)

// ContextOptions bound the open scans of a process.
type ContextOptions struct {
	// TTL is how long a client may take between two batches.
	TTL time.Duration
	// PerPartition keeps one busy table from taking all of Total.
	PerPartition, Total int
	// Bytes bounds the memory of all contexts: bounds and filter patterns are
	// the client's, up to a whole frame each.
	Bytes int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// DefaultContextOptions has the life time clients know from Pegasus; the counts
// are far above what the scanners of one table need (one per partition each).
func DefaultContextOptions() ContextOptions {
	return ContextOptions{TTL: 5 * time.Minute, PerPartition: 1000, Total: 20000, Bytes: 64 << 20}
}

// ContextTable holds the open scans of all partitions of a process.
//
// A context is a resume key, not an iterator. An iterator would show one
// snapshot, but pin the files and memtables under it for as long as a client
// may dawdle, stop compactions from giving space back, and have to be torn down
// whenever the engine is swapped by a snapshot. A resume key costs a seek per
// batch, lost beside the batch. Keys only go up, so each record that lives
// throughout the scan is still returned exactly once; records written meanwhile
// may or may not be seen, which is what clients were promised.
//
// When a limit is reached the context idle for longest goes, so that scans
// abandoned by dead clients cannot keep new ones from starting. Each batch
// renews a scan's place; one that is being read is the last to go.
type ContextTable struct {
	opts ContextOptions

	mu      sync.Mutex
	byID    map[int64]*scanContext
	idle    list.List // of *scanContext, longest idle first; also by deadline
	bytes   int
	counter uint32
	stats   ContextStats
}

// ContextStats counts what happened since the start. Evicted should stay 0.
type ContextStats struct {
	Open             int
	Bytes            int
	Evicted, Expired uint64
}

// Contexts are the open scans of one partition.
type Contexts struct {
	table *ContextTable
	idle  list.List // guarded by table.mu
}

type scanContext struct {
	id       int64
	owner    *Contexts
	scan     *scan
	deadline time.Time
	size     int
	all, own *list.Element
}

// NewContextTable makes an empty table; zero options take their default.
func NewContextTable(o ContextOptions) *ContextTable {
	d := DefaultContextOptions()
	if o.TTL <= 0 {
		o.TTL = d.TTL
	}
	if o.PerPartition <= 0 {
		o.PerPartition = d.PerPartition
	}
	if o.Total <= 0 {
		o.Total = d.Total
	}
	if o.Bytes <= 0 {
		o.Bytes = d.Bytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &ContextTable{opts: o, byID: make(map[int64]*scanContext)}
}

// Partition returns the contexts of one more partition.
func (t *ContextTable) Partition() *Contexts { return &Contexts{table: t} }

// Stats describes the table.
func (t *ContextTable) Stats() ContextStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked()
	s := t.stats
	s.Open, s.Bytes = len(t.byID), t.bytes
	return s
}

// Clear drops all contexts of the partition, as is due when it stops leading.
func (c *Contexts) Clear() {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	for e := c.idle.Front(); e != nil; e = c.idle.Front() {
		c.table.removeLocked(e.Value.(*scanContext))
	}
}

// Len is the number of open scans of the partition.
func (c *Contexts) Len() int {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.table.expireLocked()
	return c.idle.Len()
}

// put parks a scan and returns its new id, always positive.
func (c *Contexts) put(s *scan) int64 {
	t := c.table
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked()
	x := &scanContext{owner: c, scan: s, size: s.size(), deadline: t.opts.Now().Add(t.opts.TTL)}
	t.makeRoomLocked(c, x.size)
	x.id = t.newIDLocked()
	x.all, x.own = t.idle.PushBack(x), c.idle.PushBack(x)
	t.byID[x.id] = x
	t.bytes += x.size
	return x.id
}

// take returns a parked scan and forgets its id. An id of another partition is
// as unknown as one that never was.
func (c *Contexts) take(id int64) (*scan, bool) {
	t := c.table
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked()
	x, ok := t.byID[id]
	if !ok || x.owner != c {
		return nil, false
	}
	t.removeLocked(x)
	return x.scan, true
}

// hashCount is that of a parked scan, which stays parked.
func (c *Contexts) hashCount(id int64) (int32, bool) {
	t := c.table
	t.mu.Lock()
	defer t.mu.Unlock()
	x, ok := t.byID[id]
	if !ok || x.owner != c {
		return 0, false
	}
	return x.scan.hashCount, true
}

// newIDLocked makes an id that no earlier run of the server is likely to have
// given out (random upper half) and this one has not (counter below). The upper
// half is never 0 nor negative: go probes with 0, and -1 means finished.
func (t *ContextTable) newIDLocked() int64 {
	for {
		t.counter++
		id := int64(1+rand.Uint32N(1<<31-1))<<32 | int64(t.counter)
		if _, taken := t.byID[id]; !taken { // the counter wraps after 2^32 batches
			return id
		}
	}
}

func (t *ContextTable) makeRoomLocked(c *Contexts, size int) {
	for c.idle.Len() >= t.opts.PerPartition {
		t.evictLocked(c.idle.Front())
	}
	for t.idle.Len() > 0 && (t.idle.Len() >= t.opts.Total || t.bytes+size > t.opts.Bytes) {
		t.evictLocked(t.idle.Front())
	}
}

func (t *ContextTable) evictLocked(e *list.Element) {
	t.stats.Evicted++
	t.removeLocked(e.Value.(*scanContext))
}

// expireLocked drops contexts past their deadline. All live equally long, so
// the longest idle is the next to die.
func (t *ContextTable) expireLocked() {
	now := t.opts.Now()
	for e := t.idle.Front(); e != nil; e = t.idle.Front() {
		x := e.Value.(*scanContext)
		if now.Before(x.deadline) {
			return
		}
		t.stats.Expired++
		t.removeLocked(x)
	}
}

func (t *ContextTable) removeLocked(x *scanContext) {
	delete(t.byID, x.id)
	t.idle.Remove(x.all)
	x.owner.idle.Remove(x.own)
	t.bytes -= x.size
}
