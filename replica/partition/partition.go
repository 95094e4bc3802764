package partition

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/statemachine"
	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/internal/raft"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// Options of a Partition. The first block is needed; zero values in the second
// mean the defaults beside them.
type Options struct {
	Assignment *arion.ReplicaAssignment
	Dir        string // of this replica alone; created when missing
	Raft       *raft.Host
	Opener     engine.Opener
	Server     string // "ip:port" of this node for clients, in replies
	// ParentDir is the directory of the replica whose base this one begins with, if
	// its assignment says that it does.
	ParentDir string
	Metrics   *Metrics
	Log       *logrus.Entry

	// Limiter bounds snapshots sent; nil = unlimited.
	Limiter *Limiter
	// Changed, if set, is told after leadership or membership changed. It runs
	// on a goroutine of the partition.
	Changed func(*Partition)
	// ReadIndexOnly switches leases off: every read is confirmed by a quorum.
	ReadIndexOnly bool

	SnapshotEntries    uint64 // 50000: entries between truncations of the log
	CompactionOverhead uint64 // 10000: entries kept for slow followers

	QueueOps   int           // 4096: writes waiting; beyond it code.Busy
	QueueBytes int           // 64 MB: their size; one write always fits
	QueueWait  time.Duration // 1 s: of the oldest of them; beyond it code.Busy
	QueueReads int           // 65536: reads waiting for a ReadIndex; beyond it code.Busy
	WriteBytes int           // 1 MB: size of one write; a larger one is code.InvalidData

	Window     int // 4: entries in flight
	EntryOps   int // 1024: writes per entry
	EntryBytes int // 1 MB: size at which an entry is closed

	ProposalTimeout time.Duration // 10 s: until an entry's outcome is unknown
	LimboTimeout    time.Duration // 2 s: the same once leadership is lost
	ReadTimeout     time.Duration // 2 s: of a read barrier while a leader gets ready
	CloseTimeout    time.Duration // 15 s: of Close

	keepLog bool // for tests: do not root
}

func (o Options) withDefaults() Options {
	orDefault(&o.SnapshotEntries, 50000)
	orDefault(&o.CompactionOverhead, 10000)
	orDefault(&o.QueueOps, 4096)
	orDefault(&o.QueueBytes, 64<<20)
	orDefault(&o.QueueWait, time.Second)
	orDefault(&o.QueueReads, 65536)
	orDefault(&o.WriteBytes, 1<<20)
	orDefault(&o.Window, 4)
	orDefault(&o.EntryOps, 1024)
	orDefault(&o.EntryBytes, 1<<20)
	orDefault(&o.ProposalTimeout, 10*time.Second)
	orDefault(&o.LimboTimeout, 2*time.Second)
	orDefault(&o.ReadTimeout, 2*time.Second)
	orDefault(&o.CloseTimeout, 15*time.Second)
	return o
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

const (
	// enginePatience is how long an engine replaced by a snapshot stays open
	// for scans that still use it.
	enginePatience = 10 * time.Minute
	// openWait bounds the wait for a former replica of the same partition.
	openWait = 15 * time.Second
)

var (
	// ErrDataLost: the raft log knows the replica, its data is gone. It must
	// not start under its old id again; it has to be replaced.
	ErrDataLost = errors.New("replica lost its data directory, it must be replaced by a new one")
	// ErrLogLost: the data is there, the raft log has never heard of the
	// replica or ends before the data. It may have promised what it does not
	// remember.
	ErrLogLost = errors.New("replica lost its raft log, it must be replaced by a new one")
)

// ShardID is the raft group of a partition.
func ShardID(tableID, index int32) uint64 { return uint64(uint32(tableID))<<32 | uint64(uint32(index)) }

// Partition is one open replica. All methods are safe for concurrent use.
type Partition struct {
	o         Options
	id        apply.Identity
	shardID   uint64
	replicaID uint64
	log       *logrus.Entry
	metrics   *Metrics
	nodeHost  *dragonboat.NodeHost

	machine    *machine
	leadership *leadership
	lease      *lease
	proposer   *proposer
	reader     *reader
	members    memberCache
	stall      stall
	figures    figures
	defaultTTL atomic.Uint32

	yielded   time.Time     // leadership, last, because of damage; of watch
	removed   atomic.Bool   // from the group
	closing   chan struct{} // closed: loops end
	closeOnce sync.Once
	closeErr  error
	wg        sync.WaitGroup
}

// Open opens the replica of an assignment and returns when it takes part in its
// group. ctx bounds the wait for a former replica of the partition on this node.
func Open(ctx context.Context, o Options) (*Partition, error) {
	o = o.withDefaults()
	p := newPartition(o)
	if err := p.start(ctx); err != nil {
		return nil, fmt.Errorf("open partition %v replica %d: %w", p.id, p.replicaID, err)
	}
	return p, nil
}

func newPartition(o Options) *Partition {
	a := o.Assignment
	p := &Partition{
		o:         o,
		id:        apply.Identity{TableID: a.TableID, PartitionIndex: a.PartitionIndex, Server: o.Server},
		shardID:   ShardID(a.TableID, a.PartitionIndex),
		replicaID: uint64(a.ReplicaID),
		metrics:   o.Metrics,
		nodeHost:  o.Raft.NodeHost(),
		closing:   make(chan struct{}),
	}
	p.log = o.Log.WithFields(logrus.Fields{"table": a.TableID, "partition": a.PartitionIndex, "replica": a.ReplicaID})
	p.leadership = newLeadership(p.replicaID)
	p.lease = newLease(o.Raft.Lease())
	p.members.wake = make(chan struct{}, 1)
	proposerID := rand.Uint64()
	p.machine = &machine{
		shelf: newShelf(p.log, enginePatience), opener: o.Opener, syncLog: o.Raft.SyncLog, id: p.id, limiter: o.Limiter,
		metrics: o.Metrics, log: p.log, proposer: proposerID,
		answer:  func(seq uint64, results []apply.Result, run runTimes) { p.proposer.applied(seq, results, run) },
		ended:   func() { p.proposer.ended() },
		changed: func() { notify(p.members.wake) },
		long:    newLongLog(),
		closed:  func() { p.proposer.queue.signal() },
		done:    make(chan struct{}),
	}
	p.machine.batch = &p.machine.small
	p.proposer = newProposer(p, proposerID)
	p.reader = newReader(p)
	return p
}

func (p *Partition) start(ctx context.Context) error {
	a := p.o.Assignment
	known := p.o.Raft.HasReplica(p.shardID, p.replicaID)
	var err error
	p.machine.place, err = openPlace(p.o.Dir, identity{
		TableID: a.TableID, Partition: a.PartitionIndex, ReplicaID: p.replicaID, Join: a.Join, Rooted: a.Base != nil || a.HeirOf != 0,
	})
	if err != nil {
		return err
	}
	if known && p.machine.place.live == "" {
		return ErrDataLost
	}
	if err := p.machine.place.damaged(); err != nil {
		return err
	}
	if err := p.adopt(); err != nil {
		return err
	}
	if err := p.machine.openEngine(); err != nil {
		return err
	}
	if !known && (p.machine.place.id.Started || p.machine.applied.Load() > 0) {
		return errors.Join(ErrLogLost, p.machine.Close())
	}
	if err := p.checkLogEnd(); err != nil {
		return errors.Join(err, p.machine.Close())
	}
	if err := p.startRaft(ctx); err != nil {
		p.o.Raft.Unsubscribe(p.shardID, p.replicaID)
		return errors.Join(err, p.machine.Close())
	}
	if err := p.machine.place.markStarted(); err != nil {
		// It may run: only a later loss of the log would go unnoticed.
		p.log.WithError(err).Warn("start of the replica is not recorded")
	}
	if id := p.machine.place.id; id.Rooted && !id.Join && !p.o.keepLog {
		p.wg.Add(1)
		go func() { defer p.wg.Done(); p.root() }()
	}
	p.wg.Add(4)
	go func() { defer p.wg.Done(); p.proposer.run() }()
	go func() { defer p.wg.Done(); p.reader.run() }()
	go func() { defer p.wg.Done(); p.watch() }()
	go func() { defer p.wg.Done(); p.truncateLong() }()
	return nil
}

// checkLogEnd refuses a log that ends before what was applied from it: it was cut,
// or is an old copy. dragonboat would stop the process later.
func (p *Partition) checkLogEnd() error {
	end, known := p.o.Raft.LogEnd(p.shardID, p.replicaID)
	if applied := p.machine.applied.Load(); known && end < applied {
		return fmt.Errorf("%w: the log ends with entry %d, the data has all up to %d", ErrLogLost, end, applied)
	}
	return nil
}

// adopt gives a replica that begins with a base its engine, if it has none yet.
func (p *Partition) adopt() error {
	id, live, base := p.machine.place.id, p.machine.place.live, p.o.Assignment.Base
	if !id.Rooted || id.Join || live != "" {
		return nil
	}
	if heir := p.o.Assignment.HeirOf; heir != 0 {
		return p.machine.inherit(DirOf(filepath.Dir(p.o.Dir), p.id.TableID, p.id.PartitionIndex, heir))
	}
	if base == nil {
		return ErrBaseLost
	}
	return p.machine.adopt(p.o.ParentDir, command.Split{From: base.Count / 2, To: base.Count, Attempt: base.Attempt})
}

func (p *Partition) startRaft(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	p.o.Raft.Subscribe(p.shardID, p.replicaID, raft.Events{
		Leader: p.onLeader, Members: p.onMembers, Removed: p.onRemoved,
	})
	members := make(map[uint64]string, len(p.o.Assignment.InitialMembers))
	for _, m := range p.o.Assignment.InitialMembers {
		members[uint64(m.ReplicaID)] = string(raft.NodeTarget(m.NodeID))
	}
	return p.o.Raft.StartOnDisk(ctx, raft.Group{
		ShardID: p.shardID, ReplicaID: p.replicaID, Members: members, Join: p.machine.place.id.Join, Rooted: p.machine.place.id.Rooted,
		SnapshotEntries: p.o.SnapshotEntries, CompactionOverhead: p.o.CompactionOverhead,
	}, func(uint64, uint64) statemachine.IOnDiskStateMachine { return p.machine })
}

// The event handlers must not block: raft waits for them.

func (p *Partition) onLeader(leader, term uint64) {
	if p.leadership.get().leader != leader || p.leadership.get().term != term {
		p.lease.revoke()
	}
	if p.leadership.set(leader, term) {
		notify(p.members.wake)
	}
}

func (p *Partition) onMembers() {
	p.lease.revoke()
	p.members.stale.Store(true)
	notify(p.members.wake)
}

func (p *Partition) onRemoved() {
	p.lease.close()
	p.removed.Store(true)
	p.leadership.resign()
	notify(p.members.wake)
}

// Write validates a client's write and puts it into the log. args, the thrift
// bytes of the request, must stay unchanged until done is called. A refusal is
// answered before Write returns.
func (p *Partition) Write(kind command.Kind, args []byte, done Done) {
	p.WriteTraced(kind, args, nil, done)
}

// WriteTraced is Write that notes its way through the stages in t.
func (p *Partition) WriteTraced(kind command.Kind, args []byte, t *Trace, done Done) {
	if !p.leadership.get().mine {
		p.refuse(done, errNotLeader)
		return
	}
	if len(args) > p.o.WriteBytes {
		p.refuse(done, code.Errorf(code.InvalidData, "a write of %d bytes, the limit is %d", len(args), p.o.WriteBytes))
		return
	}
	refusal, err := p.id.Validate(kind, args)
	switch {
	case err != nil:
		p.refuse(done, code.Errorf(code.InvalidParameters, "%v", err))
	case refusal != nil:
		done(refusal, nil)
	default:
		p.enqueue(write{kind: kind, args: args, done: done, trace: t})
	}
}

// PushClock puts an empty entry into the log, so that the partition clock, and
// with it what compactions may purge, reaches the present.
func (p *Partition) PushClock(done func(error)) {
	p.enqueue(write{kind: command.Noop, done: func(_ apply.Result, err error) { done(err) }})
}

func (p *Partition) enqueue(w write) {
	if err := p.proposer.queue.put(w); err != nil {
		p.refuse(w.done, err)
	}
}

func (p *Partition) refuse(done Done, err error) {
	p.metrics.refused.WithLabelValues(code.Of(err).String()).Inc()
	done(nil, err)
}

// TryRead reports whether a read of the local engine is linearizable right now,
// which is so under a lease. If not, ask ReadBarrier.
func (p *Partition) TryRead() bool { return p.TryReadAt(p.lease.now()) }

// TryReadAt is TryRead for requests that were here at now, a time of this process: to
// be as they would have been then is as good for them.
func (p *Partition) TryReadAt(now time.Time) bool {
	age, ok := p.leaseAge(now)
	if ok && age > p.lease.length/2 {
		p.reader.renew()
	}
	return ok
}

// ReadBarrier calls done(nil) when a read of the local engine is linearizable,
// or done with why it cannot be. Under a lease, done runs before ReadBarrier
// returns; otherwise on a goroutine that other reads wait for.
func (p *Partition) ReadBarrier(done func(error)) {
	if p.TryRead() {
		done(nil)
		return
	}
	if !p.leadership.get().mine {
		done(errNotLeader)
		return
	}
	if err := p.reader.put(done); err != nil {
		done(err)
	}
}

func (p *Partition) leaseAge(now time.Time) (time.Duration, bool) {
	if p.o.ReadIndexOnly {
		return 0, false
	}
	return p.lease.age(now)
}

// LeaseValid reports whether this replica may serve reads by itself now.
func (p *Partition) LeaseValid() bool {
	_, ok := p.leaseAge(p.lease.now())
	return ok
}

// Acquire returns the engine for reading; Release it. It shows what this replica
// has applied, linearizable only after a ReadBarrier.
func (p *Partition) Acquire() (*Handle, error) { return p.machine.shelf.acquire() }

// Identity is what replies of this replica carry.
func (p *Partition) Identity() apply.Identity { return p.id }

// ReplicaID is the id of this replica within its group.
func (p *Partition) ReplicaID() int64 { return int64(p.replicaID) }

// AppliedIndex is the index of the last entry applied here.
func (p *Partition) AppliedIndex() uint64 { return p.machine.applied.Load() }

// ClockMS is the partition clock: the largest stamp applied, Unix milliseconds.
func (p *Partition) ClockMS() uint64 { return p.machine.clockMS.Load() }

// NowSec is the time by which reads hide expired records, in seconds since
// 2016: the wall clock, but never behind what writes have seen.
func (p *Partition) NowSec() uint32 {
	wall := uint64(max(0, time.Now().UnixMilli()))
	return record.SecondsAt(max(wall, p.ClockMS()))
}

// SetDefaultTTL sets the table's default_ttl for writes proposed from now on.
func (p *Partition) SetDefaultTTL(seconds uint32) { p.defaultTTL.Store(seconds) }

// Leader returns who leads as far as this replica knows, 0 = unknown.
func (p *Partition) Leader() (replicaID int64, term uint64, isLeader bool) {
	s := p.leadership.get()
	if s.term == ^uint64(0) {
		return 0, 0, false
	}
	return int64(s.leader), s.term, s.mine
}

// Tune changes the settings of the engine, and of those that replace it. It does
// nothing for an engine that has none.
func (p *Partition) Tune(t engine.Tuning) error { return p.machine.tune(t) }

const (
	// clockWait bounds how long a follower's compaction waits for its leader to
	// push the clock. The compactions of a table begin within a SYNC round of each
	// other, unless the leader has other partitions to compact first.
	clockWait = 10 * time.Second
	// clockSlack is how far the clock may lie behind the start of a compaction:
	// the leader may have begun, and pushed, that much earlier.
	clockSlack = 2 * time.Second
	clockPoll  = 50 * time.Millisecond
)

// Compact purges what is deleted or expired. A leader pushes the clock first; a
// follower waits for that, since with an old clock it would keep all that has
// expired since the last write.
func (p *Partition) Compact(ctx context.Context, o engine.CompactOptions) error {
	var err error
	if p.leadership.get().mine {
		err = p.pushClock(ctx)
	} else {
		err = p.awaitClock(ctx)
	}
	if err != nil {
		return err
	}
	h, err := p.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	err = h.Compact(ctx, o)
	p.NoteDamage(err)
	return err
}

// pushClock waits until the clock has reached the present. That it could not is
// no reason not to compact.
func (p *Partition) pushClock(ctx context.Context) error {
	pushed := make(chan error, 1)
	p.PushClock(func(err error) { pushed <- err })
	select {
	case err := <-pushed:
		if err != nil {
			p.log.WithError(err).Warn("compaction goes by an old clock")
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Partition) awaitClock(ctx context.Context) error {
	wanted := uint64(time.Now().Add(-clockSlack).UnixMilli())
	patience := time.NewTimer(clockWait)
	defer patience.Stop()
	for p.ClockMS() < wanted {
		select {
		case <-time.After(clockPoll):
		case <-patience.C:
			return nil
		case <-p.closing:
			return errClosing
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close hands leadership over, answers everything and closes the replica. It is
// idempotent and takes at most CloseTimeout and an election.
func (p *Partition) Close() error {
	p.closeOnce.Do(func() { p.closeErr = p.close() })
	return p.closeErr
}

func (p *Partition) close() error {
	// 1. Leadership goes to another replica; what is queued still goes through.
	p.handOver()
	// 2. No reads without a quorum from here on.
	p.lease.close()
	// 3. Loops refuse new work; the proposer waits for what is in flight.
	close(p.closing)
	p.proposer.queue.signal()
	p.reader.close(errClosing)
	// 4. raft stops, which ends what is in flight, and closes the engine.
	err := p.o.Raft.Stop(p.shardID, p.replicaID)
	t := time.NewTimer(p.o.CloseTimeout)
	defer t.Stop()
	select {
	case <-p.machine.done:
	case <-t.C:
		return errors.Join(err, fmt.Errorf("close partition %v: raft has not let go of it after %v", p.id, p.o.CloseTimeout))
	}
	// 5. Nobody calls anymore.
	p.leadership.resign()
	p.proposer.queue.close(errClosing)
	p.wg.Wait()
	p.stall.end(p)
	p.o.Raft.Unsubscribe(p.shardID, p.replicaID)
	return err
}
