package route

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/client/internal/conn"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/key"
)

// maxPartitions bounds what a reply may make us allocate.
const maxPartitions = 1 << 20

// Partition is where one partition lives.
type Partition struct {
	Leader    *conn.Node // nil = none known
	Followers []*conn.Node
	ballot    int64
}

// Snapshot is one answer of a meta server. It is never changed.
type Snapshot struct {
	TableID, Count int32
	Partitions     []Partition
}

// Pick places a partition hash. While a split is under way the new half answers
// through its parent.
func (s *Snapshot) Pick(hash uint64) int32 {
	return s.Serving(key.PartitionIndex(hash, s.Count))
}

// Serving gives the partition that answers for index now.
func (s *Snapshot) Serving(index int32) int32 {
	if half := s.Count / 2; index >= half && s.Partitions[index].ballot < 0 {
		return index - half
	}
	return index
}

// Waiter is told once, on the refreshing goroutine and without locks, that a
// refresh ended. It must not block.
type Waiter interface{ OnRoute(err error) }

// Table is the routing of one table.
type Table struct {
	name    string
	metas   *Metas
	pool    *conn.Pool
	timeout time.Duration
	gap     time.Duration
	ctx     context.Context
	wg      *sync.WaitGroup
	// onRefresh, if set, is told about every refresh.
	onRefresh func(table string, took time.Duration, err error)

	now atomic.Pointer[Snapshot]

	mu      sync.Mutex
	running bool
	lastAt  time.Time
	waiters []Waiter
}

// Options of a Table.
type Options struct {
	Metas   *Metas
	Pool    *conn.Pool
	Timeout time.Duration // of one refresh
	// Gap is the least time between two refreshes.
	Gap       time.Duration
	Context   context.Context // ends refreshing
	WaitGroup *sync.WaitGroup // counts refreshing goroutines
	OnRefresh func(table string, took time.Duration, err error)
}

// NewTable makes a table of unknown routing.
func NewTable(name string, o Options) *Table {
	return &Table{name: name, metas: o.Metas, pool: o.Pool, timeout: o.Timeout, gap: o.Gap,
		ctx: o.Context, wg: o.WaitGroup, onRefresh: o.OnRefresh}
}

// Current gives what is known, nil before the first answer.
func (t *Table) Current() *Snapshot { return t.now.Load() }

// Refresh asks for routing newer than stale (nil = any). It reports false, and
// does not use w, if there is some already. Otherwise w, which may be nil, is
// told when the refresh that is running, or now begins, has ended. However many
// callers find the same routing stale, one question is asked.
func (t *Table) Refresh(stale *Snapshot, w Waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now.Load() != stale {
		return false
	}
	if w != nil {
		t.waiters = append(t.waiters, w)
	}
	if t.running {
		return true
	}
	t.running = true
	t.wg.Add(1)
	go t.refresh()
	return true
}

func (t *Table) refresh() {
	defer t.wg.Done()
	start := time.Now()
	s, err := t.query()
	if t.onRefresh != nil {
		t.onRefresh(t.name, time.Since(start), err)
	}
	t.mu.Lock()
	if err == nil {
		t.now.Store(s)
	} else if code.Of(err) == code.ObjectNotFound {
		t.now.Store(nil)
	}
	t.running, t.lastAt = false, time.Now()
	waiters := t.waiters
	t.waiters = nil
	t.mu.Unlock()
	for _, w := range waiters {
		w.OnRoute(err)
	}
}

func (t *Table) query() (*Snapshot, error) {
	ctx, cancel := context.WithTimeout(t.ctx, t.timeout)
	defer cancel()
	t.mu.Lock()
	wait := t.gap - time.Since(t.lastAt)
	t.mu.Unlock()
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	q, err := t.metas.Query(ctx, t.name)
	if err != nil {
		return nil, err
	}
	return t.snapshot(q)
}

func (t *Table) snapshot(q *admin.QueryCfgResponse) (*Snapshot, error) {
	if q.PartitionCount < 1 || q.PartitionCount > maxPartitions || len(q.Partitions) == 0 {
		return nil, fmt.Errorf("%w: routing with %d partitions", wire.ErrMalformed, q.PartitionCount)
	}
	s := &Snapshot{TableID: q.AppID, Count: q.PartitionCount, Partitions: make([]Partition, q.PartitionCount)}
	for _, p := range q.Partitions {
		if p.Pid == nil || p.Pid.PartitionIndex < 0 || p.Pid.PartitionIndex >= s.Count {
			return nil, fmt.Errorf("%w: routing of partition %v", wire.ErrMalformed, p.Pid)
		}
		at := &s.Partitions[p.Pid.PartitionIndex]
		at.ballot = p.Ballot
		if addr := p.Primary.String(); !p.Primary.IsZero() {
			at.Leader = t.pool.Node(addr)
		}
		for _, f := range p.Secondaries {
			if !f.IsZero() {
				at.Followers = append(at.Followers, t.pool.Node(f.String()))
			}
		}
	}
	return s, nil
}
