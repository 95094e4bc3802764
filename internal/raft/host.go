package raft

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/internal/raft/wal"
)

// Options of a Host. Dir, Cluster, Address and Log are needed.
type Options struct {
	// Dir is the raft directory; it belongs to this host alone.
	Dir string
	// Cluster is the cluster's name: hosts of another one are not talked to.
	Cluster string
	// NodeID names this host in memberships. 0 = it is named by Address.
	NodeID int64
	// Address is where peers reach this host; Listen is where it listens, empty
	// = Address.
	Address, Listen string

	// Tick is raft's unit of time; 0 = 100 ms. The counts are in ticks; 0 = 5
	// and 1. A leader silent for one to two times ElectionTicks is replaced.
	Tick                          time.Duration
	ElectionTicks, HeartbeatTicks int
	// LogStore is the kind of log a new directory gets; empty = OwnLog.
	LogStore LogStore
	// LogShards is the number of step workers, which write the log; 0 = 1. A log in
	// Pebble has as many parts, and the number counts at its first start only.
	LogShards int
	// SyncInterval, if not 0, acknowledges entries before they are synced, which
	// happens so often; see wal.Options. It needs OwnLog.
	SyncInterval time.Duration
	// MaxQueueBytes bounds the entries waiting to be sent on one connection, and
	// those received and not yet handled by one replica; 0 = 64 MB. What does
	// not fit is dropped and sent again.
	MaxQueueBytes uint64
	// MaxInMemLogBytes bounds the entries of one replica that are not applied
	// yet; 0 = 256 MB. Beyond, proposals are refused.
	MaxInMemLogBytes uint64

	Log        *logrus.Entry
	Registerer prometheus.Registerer // may be nil

	// Fault is for tests.
	Fault Fault
	files config.IFS // for tests; nil = the disk
}

const (
	defaultQueueBytes    = 64 << 20
	defaultInMemLogBytes = 256 << 20
	// leaseMarginTicks: a lease ends this much before an election timeout. A
	// follower may count its timeout two ticks short, one is for the drift.
	leaseMarginTicks = 3
	// holdMarginTicks: promises to a leader outlast its lease by one tick.
	holdMarginTicks = 2
	minElectionTick = leaseMarginTicks + 1
	// closeWait bounds Close; dragonboat may wait for a stuck state machine.
	closeWait = 20 * time.Second
)

// Worker counts of dragonboat. Its defaults are for machines with dozens of
// cores: 16 appliers, 48 snapshot workers.
const (
	commitWorkers   = 1 // unused: commits are not notified
	applyWorkers    = 8 // a blocked apply holds up every eighth shard
	snapshotWorkers = 8 // also the limit of snapshots streamed at once
	closeWorkers    = 4
)

// Host is one dragonboat NodeHost.
type Host struct {
	o     Options
	log   *logrus.Entry
	book  *Book
	hub   *hub
	guard *guard
	nh    atomic.Pointer[dragonboat.NodeHost]
	wal   atomic.Pointer[wal.Store] // nil with Pebble
	self  Target
	close sync.Once
	err   error // of Close

	registry *registry
}

// Open starts a host. Install the logger (obs.InstallRaftLogger) before.
func Open(o Options) (*Host, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkWorkingDir(); err != nil {
		return nil, err
	}
	s, err := prepareDir(o.Dir, o.LogStore, o.LogShards)
	if err != nil {
		return nil, fmt.Errorf("raft directory: %w", err)
	}
	if s.LogStore != OwnLog && o.SyncInterval != 0 {
		return nil, fmt.Errorf("raft log in %s is of kind %q, which cannot sync at intervals: set raft.sync_interval to 0, or let the node join anew with an empty directory", o.Dir, s.LogStore)
	}
	if s.LogShards != o.LogShards {
		o.Log.WithFields(logrus.Fields{"configured": o.LogShards, "recorded": s.LogShards}).
			Warn("number of raft log shards was fixed at the first start, the configured one is ignored")
	}
	h := &Host{o: o, log: o.Log, hub: newHub(), self: o.self()}
	if h.book, err = OpenBook(o.Dir); err != nil {
		return nil, err
	}
	if err := h.book.Set(map[Target]string{h.self: o.Address}); err != nil {
		return nil, err
	}
	h.registry = newRegistry(h.book)
	if s.LogStore == PebbleLog {
		if err := checkPebble(o.Dir, s.Started); err != nil {
			return nil, err
		}
	}
	if err := h.start(s); err != nil {
		return nil, pebbleError(err, s)
	}
	if !s.Started {
		s.Started = true
		if err := writeSettings(o.Dir, s); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	return h, nil
}

func (o Options) withDefaults() (Options, error) {
	setDefault(&o.Listen, o.Address)
	setDefault[config.IFS](&o.files, vfs.Default)
	setDefault(&o.Tick, 100*time.Millisecond)
	setDefault(&o.ElectionTicks, 5)
	setDefault(&o.HeartbeatTicks, 1)
	setDefault(&o.LogStore, OwnLog)
	setDefault(&o.LogShards, 1)
	setDefault(&o.MaxQueueBytes, defaultQueueBytes)
	setDefault(&o.MaxInMemLogBytes, defaultInMemLogBytes)
	switch {
	case !validAddress(o.Address):
		return o, fmt.Errorf("raft address %q is no host:port", o.Address)
	case !validAddress(o.Listen):
		return o, fmt.Errorf("raft listen address %q is no host:port", o.Listen)
	case !o.LogStore.valid():
		return o, fmt.Errorf("raft log store %q is neither %s nor %s", o.LogStore, OwnLog, PebbleLog)
	case o.Tick < time.Millisecond:
		return o, fmt.Errorf("raft tick %v is shorter than 1 ms", o.Tick)
	case o.ElectionTicks < minElectionTick || o.ElectionTicks <= 2*o.HeartbeatTicks:
		return o, fmt.Errorf("%d election ticks are too few: at least %d, and more than twice the %d heartbeat ticks",
			o.ElectionTicks, minElectionTick, o.HeartbeatTicks)
	}
	dir, err := filepath.Abs(o.Dir)
	o.Dir = dir
	return o, err
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (o Options) self() Target {
	if o.NodeID != 0 {
		return NodeTarget(o.NodeID)
	}
	return AddressTarget(o.Address)
}

// deploymentID separates clusters on the wire and in the directory. 0 would mean
// none.
func (o Options) deploymentID() uint64 {
	f := fnv.New64a()
	f.Write([]byte(o.Cluster))
	return f.Sum64() | 1
}

func (h *Host) start(s settings) (err error) {
	m, err := newMetrics(h.o.Registerer, &h.wal)
	if err != nil {
		return fmt.Errorf("raft metrics: %w", err)
	}
	hold := time.Duration(h.o.ElectionTicks-holdMarginTicks) * h.o.Tick
	h.guard = newGuard(hold, time.Now)
	h.guard.short.end = h.LogEnd
	t := &transport{
		listen: h.o.Listen, deployment: h.o.deploymentID(), guard: h.guard,
		fault: h.o.Fault, knows: h.HasReplica, metrics: m, log: h.log,
		tick: h.o.Tick, learn: h.registry.Add,
	}
	defer func() { // dragonboat panics on what it cannot read
		if r := recover(); r != nil {
			err = fmt.Errorf("raft log in %s: %w: %v", h.o.Dir, errGaveUp, r)
		}
	}()
	nh, err := dragonboat.NewNodeHost(h.nodeHostConfig(s, t, m))
	if err == nil && nh == nil { // it swallows its own panics
		err = fmt.Errorf("%w, its last log line says why", errGaveUp)
	}
	if err != nil {
		return fmt.Errorf("raft log in %s: %w", h.o.Dir, err)
	}
	h.nh.Store(nh)
	return nil
}

func (h *Host) nodeHostConfig(s settings, t *transport, m *metrics) config.NodeHostConfig {
	logDB := logDBConfig(s.LogShards)
	var factory config.LogDBFactory // nil = Pebble
	files := h.o.files
	if s.LogStore == OwnLog {
		logDB.Shards = 1 // recorded by dragonboat, and must not change
		factory = logFactory{wal.Options{MustExist: s.Started, SyncInterval: h.o.SyncInterval, OnSync: m.synced, Log: h.log}, &h.wal}
		files = snapshotFS{files, h.log} // Pebble in dragonboat takes the plain one only
	}
	return config.NodeHostConfig{
		DeploymentID:        h.o.deploymentID(),
		NodeHostID:          string(h.self),
		NodeHostDir:         h.o.Dir,
		RTTMillisecond:      uint64(h.o.Tick.Milliseconds()),
		RaftAddress:         h.o.Address,
		ListenAddress:       h.o.Listen,
		RaftEventListener:   h.hub,
		SystemEventListener: h.hub,
		MaxSendQueueSize:    h.o.MaxQueueBytes,
		MaxReceiveQueueSize: h.o.MaxQueueBytes,
		Expert: config.ExpertConfig{
			LogDB: logDB, LogDBFactory: factory,
			Engine: config.EngineConfig{
				ExecShards: uint64(s.LogShards), CommitShards: commitWorkers, ApplyShards: applyWorkers,
				SnapshotShards: snapshotWorkers, CloseShards: closeWorkers,
			},
			FS:                  files,
			TransportFactory:    transportFactory{t},
			NodeRegistryFactory: h.registry,
		},
	}
}

// NodeHost returns dragonboat's side, for what this package does not wrap.
func (h *Host) NodeHost() *dragonboat.NodeHost { return h.nh.Load() }

// Self is the target of this host.
func (h *Host) Self() Target { return h.self }

// Address is where peers reach this host.
func (h *Host) Address() string { return h.o.Address }

// Tick is raft's unit of time.
func (h *Host) Tick() time.Duration { return h.o.Tick }

// ElectionTimeout is how long followers of a silent leader wait at least.
func (h *Host) ElectionTimeout() time.Duration {
	return time.Duration(h.o.ElectionTicks) * h.o.Tick
}

// Lease is how long after its begin a completed ReadIndex proves that no other
// leader exists.
func (h *Host) Lease() time.Duration {
	return time.Duration(h.o.ElectionTicks-leaseMarginTicks) * h.o.Tick
}

// Silence returns how long ago a member answered a heartbeat of this host, which
// tells something only while this host leads the shard.
func (h *Host) Silence(shardID, replicaID uint64) time.Duration {
	return h.guard.silence(shardID, replicaID)
}

// SetAddresses records where nodes listen for raft, by node id.
func (h *Host) SetAddresses(byNode map[int64]string) error {
	addrs := make(map[Target]string, len(byNode))
	for id, a := range byNode {
		if t := NodeTarget(id); t != h.self {
			addrs[t] = a
		}
	}
	return h.book.Set(addrs)
}

// SetAddress records where one node listens for raft.
func (h *Host) SetAddress(nodeID int64, addr string) error {
	return h.SetAddresses(map[int64]string{nodeID: addr})
}

// Targets translates members written as "n<hex node id>" or "host:port" for
// dragonboat. Literal addresses are entered into the address book.
func (h *Host) Targets(members map[uint64]string) (map[uint64]string, error) {
	targets := make(map[uint64]string, len(members))
	literal := map[Target]string{}
	for id, m := range members {
		t, err := ParseTarget(m)
		if err != nil {
			return nil, err
		}
		targets[id] = string(t)
		if t == AddressTarget(m) {
			literal[t] = m
		}
	}
	return targets, h.book.Set(literal)
}

// Subscribe sets the receiver of a replica's events, before it is started.
func (h *Host) Subscribe(shardID, replicaID uint64, e Events) { h.hub.set(shardID, replicaID, e) }

// Unsubscribe ends the events of a replica. One call may still be running.
func (h *Host) Unsubscribe(shardID, replicaID uint64) { h.hub.drop(shardID, replicaID) }

// HasReplica reports whether the raft log holds this replica.
func (h *Host) HasReplica(shardID, replicaID uint64) bool {
	nh := h.nh.Load()
	return nh != nil && nh.HasNodeInfo(shardID, replicaID)
}

// LogEnd is the index of the last entry in the log of a replica. Not known with a
// log in Pebble, or if the log holds nothing of the replica.
func (h *Host) LogEnd(shardID, replicaID uint64) (index uint64, known bool) {
	s := h.wal.Load()
	if s == nil {
		return 0, false
	}
	return s.LastIndex(shardID, replicaID)
}

// LogShort tells that a leader counts on entries which the log of a local replica
// has lost, and does not send them again. The replica should be replaced.
func (h *Host) LogShort(shardID, replicaID uint64) bool {
	return h.guard.short.stuck(shardID, replicaID)
}

// SyncLog returns once all that has been applied is durable in the log. With
// SyncInterval 0 that is so already.
func (h *Host) SyncLog() {
	if s := h.wal.Load(); s != nil && h.o.SyncInterval != 0 {
		_ = s.Sync() // the log has failed then, and the process stops
	}
}

// Close stops all replicas and the host. It is idempotent and returns after at
// most closeWait; replicas should have been closed before.
func (h *Host) Close() error {
	h.close.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeWait)
		defer cancel()
		h.err = h.stop(ctx)
	})
	return h.err
}

func (h *Host) stop(ctx context.Context) error {
	nh := h.nh.Load()
	if nh == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("close raft: %v", r)
			}
		}()
		nh.Close()
		done <- nil
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("close raft: not finished after %v", closeWait)
	}
}
