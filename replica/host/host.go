// Package host keeps the replicas of one node: it learns from the meta leader
// which ones it should hold, opens and closes them, and reports what it has.
//
// The node pulls its whole desired state with SYNC, every second and whenever a
// meta server pokes it. Pulling makes every lost message harmless: the next
// round carries everything again.
package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/replica/compact"
	"github.com/arionkv/arion/replica/load"
	"github.com/arionkv/arion/replica/partition"
	"github.com/arionkv/arion/replica/read"
	"github.com/arionkv/arion/replica/sweep"
	"github.com/arionkv/arion/replica/table"
	"github.com/arionkv/arion/replica/throttle"
)

const (
	// syncInterval is how often the node reports and asks while nothing happens.
	syncInterval = time.Second
	// maxOpening bounds replicas opened at once: opening is disk-bound, and a
	// restart with hundreds of partitions must not open them one by one either.
	maxOpening = 8
	// reopenDelay is the pause after a replica failed to open.
	reopenDelay = 5 * time.Second
)

// OpenFunc opens the replica of an assignment with its data in dir. The replica
// calls changed when its leadership or membership changed.
type OpenFunc func(a *arion.ReplicaAssignment, dir string, changed func()) (*partition.Partition, error)

// Options of a Host. All fields are needed.
type Options struct {
	Dir      string // partitions/ and trash/ live here
	Endpoint *arion.NodeEndpoint
	Metas    []string // rpc addresses of the meta servers
	Pool     caller
	Open     OpenFunc
	// RemoveLog frees the raft log of a replica that is gone for good; may be nil.
	RemoveLog func(*arion.ReplicaAssignment) error
	// Learn is told the endpoints of all nodes after each change of the catalog.
	Learn func([]*arion.NodeEndpoint)
	// Publish hands the current reports to gossip.
	Publish func([]*arion.ReplicaReport)
	// Scans holds the open scans of all partitions of the node.
	Scans *read.ContextTable
	Disk  *Disk
	// Throttles follows the envs of the tables. Its maker closes it.
	Throttles *throttle.Keeper
	// Compactions does the manual compactions; Close closes it.
	Compactions *compact.Runner
	// Sweeps applies the tables' compaction rules; Close closes it.
	Sweeps *sweep.Runner
	Log    *logrus.Entry
}

// Host owns the replicas of a node.
type Host struct {
	o    Options
	log  *logrus.Entry
	link metaLink
	poke chan struct{}

	// serving is replaced as a whole; requests read it without a lock.
	serving atomic.Pointer[map[gpid]*Replica]

	mu       sync.Mutex
	slots    map[gpid]*slot
	tables   map[int32]*table.Table
	version  int64 // of the desired state applied last
	synced   bool  // a meta leader has answered in this life
	lastSync time.Time
	draining bool
	// orphansSought: replicas of earlier lives have been looked for.
	orphansSought bool
	heirs         map[gpid]int64 // partitions formed anew: the replica they were formed from
	openQueue     chan struct{}  // semaphore of maxOpening
	reclaiming    chan struct{}  // semaphore of one compaction after a split

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // sync loop and open/close workers
}

// gpid names a partition inside the cluster.
type gpid struct{ table, index int32 }

func (g gpid) String() string { return fmt.Sprintf("%d.%d", g.table, g.index) }

// Replica is an open replica together with the newest view of its table.
type Replica struct {
	*partition.Partition
	// Reads answers its reads.
	Reads *read.Reader
	// Load counts its requests.
	Load *load.Load
	// Throttle is the account of its table on this node.
	Throttle *throttle.Table
	dir      string
	table    atomic.Pointer[table.Table]
}

// Table returns the newest view of the replica's table.
func (r *Replica) Table() *table.Table { return r.table.Load() }

// Leading reports whether the replica leads its partition, as far as it knows.
func (r *Replica) Leading() bool {
	_, _, leads := r.Leader()
	return leads
}

// Open starts the sync loop. It does not wait for a meta server: a node that
// starts first must not fail, it just has nothing to serve yet.
func Open(o Options) *Host {
	ctx, cancel := context.WithCancel(context.Background())
	h := &Host{
		o: o, log: o.Log, ctx: ctx, cancel: cancel,
		link:       metaLink{pool: o.Pool, servers: o.Metas},
		poke:       make(chan struct{}, 1),
		slots:      map[gpid]*slot{},
		tables:     map[int32]*table.Table{},
		openQueue:  make(chan struct{}, maxOpening),
		reclaiming: make(chan struct{}, 1),
	}
	h.serving.Store(&map[gpid]*Replica{})
	h.wg.Add(1)
	go h.run()
	return h
}

// Lookup returns the replica that serves a partition on this node. It does not
// lock or allocate.
func (h *Host) Lookup(tableID, index int32) (*Replica, bool) {
	r, ok := (*h.serving.Load())[gpid{tableID, index}]
	return r, ok
}

// Poke makes the host ask for its desired state now. It never blocks.
func (h *Host) Poke() {
	select {
	case h.poke <- struct{}{}:
	default: // a round is already due
	}
}

// Ready is nil once a meta leader has answered and every replica assigned to the
// node is open, or has failed to: one damaged replica, which the metas replace
// after a while, must not keep the others from being used.
func (h *Host) Ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.synced {
		return errors.New("no meta server has answered yet")
	}
	waiting := 0
	for _, s := range h.slots {
		if s.wanted && !s.parked && s.replica == nil && s.err == nil {
			waiting++
		}
	}
	if waiting > 0 {
		return fmt.Errorf("%d of %d replicas are not open", waiting, len(h.slots))
	}
	return nil
}

// Failed says which replicas cannot be opened or are damaged, and why.
func (h *Host) Failed() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var failed []string
	for id, s := range h.slots {
		err := s.err
		if s.replica != nil {
			err = s.replica.Damage()
		}
		if s.wanted && !s.parked && err != nil {
			failed = append(failed, fmt.Sprintf("replica %d of %v: %v", s.assignment.ReplicaID, id, err))
		}
	}
	slices.Sort(failed)
	return failed
}

// Disk is the watch over the node's disk.
func (h *Host) Disk() *Disk { return h.o.Disk }

// Tables returns the tables the node has heard of, by id.
func (h *Host) Tables() map[int32]*table.Table {
	h.mu.Lock()
	defer h.mu.Unlock()
	tables := make(map[int32]*table.Table, len(h.tables))
	for id, t := range h.tables {
		tables[id] = t
	}
	return tables
}

// Each calls f for every open replica.
func (h *Host) Each(f func(tableID, index int32, r *Replica)) {
	for id, r := range *h.serving.Load() {
		f(id.table, id.index, r)
	}
}

// SetDraining makes the reports say that the node wants to be emptied.
func (h *Host) SetDraining(on bool) {
	h.mu.Lock()
	h.draining = on
	h.mu.Unlock()
	h.Poke()
}

func (h *Host) run() {
	defer h.wg.Done()
	tick := time.NewTicker(syncInterval)
	defer tick.Stop()
	for {
		h.round()
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		case <-h.poke:
		}
	}
}

// round reports, asks, and moves towards the answer.
func (h *Host) round() {
	h.o.Disk.Measure()
	reports := h.Reports()
	h.o.Publish(reports)
	resp, err := h.link.sync(h.ctx, h.request(reports))
	if err != nil {
		if h.ctx.Err() == nil {
			h.complain(err)
		}
	} else {
		h.accept(resp)
	}
	h.converge()
	h.split()
	h.maintain(time.Now())
}

// complain warns once when the metas fall silent; the data path goes on.
func (h *Host) complain(err error) {
	h.mu.Lock()
	first := h.synced && time.Since(h.lastSync) > 3*syncInterval && !h.lastSync.IsZero()
	if first {
		h.lastSync = time.Time{}
	}
	h.mu.Unlock()
	if first {
		h.log.WithError(err).Warn("meta servers do not answer, serving goes on with the last known assignments")
	}
}

func (h *Host) request(reports []*arion.ReplicaReport) *arion.SyncRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	capacity, available := h.o.Disk.Space()
	return &arion.SyncRequest{
		Node:         h.o.Endpoint,
		KnownVersion: h.version,
		Replicas:     reports,
		Disk:         &arion.DiskStat{CapacityBytes: capacity, AvailableBytes: available},
		Draining:     h.draining,
	}
}

// accept records the desired state of an answer.
func (h *Host) accept(resp *arion.SyncResponse) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.synced, h.lastSync = true, time.Now()
	if resp.Unchanged {
		return
	}
	h.version = resp.Version
	h.o.Learn(resp.Nodes)
	h.acceptTablesLocked(resp.Tables)
	h.acceptAssignmentsLocked(resp.Replicas)
}

func (h *Host) acceptTablesLocked(configs []*arion.TableConfig) {
	tables := make(map[int32]*table.Table, len(configs))
	for _, c := range configs {
		old := h.tables[c.TableID]
		if old != nil && old.Version == c.Version && old.Dropped == c.Dropped {
			tables[c.TableID] = old
			continue
		}
		t, err := table.New(c)
		if err != nil {
			h.log.WithError(err).Warn("table has envs this server does not understand")
		}
		tables[c.TableID] = t
		h.o.Throttles.Table(c.TableID).Update(t.Settings.Throttling)
	}
	h.tables = tables
	h.o.Throttles.Forget(func(id int32) bool { return tables[id] != nil })
	for id, s := range h.slots {
		if t := tables[id.table]; t != nil && s.replica != nil {
			s.replica.use(t)
		}
	}
}

func (r *Replica) use(t *table.Table) {
	r.table.Store(t)
	r.SetDefaultTTL(t.Settings.DefaultTTL)
}

// Reports describes every replica the node holds, open or not.
func (h *Host) Reports() []*arion.ReplicaReport {
	h.mu.Lock()
	defer h.mu.Unlock()
	reports := make([]*arion.ReplicaReport, 0, len(h.slots))
	for id, s := range h.slots {
		reports = append(reports, h.report(id, s))
	}
	return reports
}

// Close stops the loop and closes every replica: leaders are handed over first
// so that clients wait for an election as rarely as possible.
func (h *Host) Close() error {
	h.cancel()
	h.wg.Wait()
	h.o.Sweeps.Close()
	h.o.Compactions.Close()
	h.serving.Store(&map[gpid]*Replica{})
	return h.closeAll()
}
