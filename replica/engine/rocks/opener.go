package rocks

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/linxGnu/grocksdb"

	"github.com/arionkv/arion/replica/engine"
)

// Config holds what the databases of one Opener share, and the sizes each of
// them gets. Sizes are bytes.
type Config struct {
	// BlockCacheBytes bounds cached blocks, indexes and filters of all databases
	// together. Memtables are charged to it too, so it must exceed MemtablesBytes.
	BlockCacheBytes uint64
	// MemtablesBytes bounds unflushed writes of all databases together. Nearing
	// it, the largest memtable is flushed: less means smaller files and more
	// compaction. It is exceeded only while flushes cannot keep up.
	MemtablesBytes uint64
	// MemtableBytes bounds the memtable of one database.
	MemtableBytes uint64
	// TableBytes is the target size of a file, LevelBytes of the first level.
	TableBytes, LevelBytes uint64
	// OpenFiles bounds file descriptors of one database; below about 64 reads
	// keep reopening files.
	OpenFiles int
	// Threads bounds compactions at once in the process; flushes get half as
	// many threads more. The thread pool is RocksDB's one per process: the
	// largest Threads of any Opener counts.
	Threads int
	// WriteBytesPerSec limits flushes and compactions together; 0 is no limit.
	WriteBytesPerSec int64
	// PeriodicCompaction is the age at which a file is rewritten even if nothing
	// changes: after a record expires its space comes back within about this
	// time. Less reclaims sooner and rewrites everything that often.
	PeriodicCompaction time.Duration
}

// DefaultConfig suits tens of partitions on a small machine.
func DefaultConfig() Config {
	return Config{
		BlockCacheBytes:    256 << 20,
		MemtablesBytes:     64 << 20,
		MemtableBytes:      64 << 20,
		TableBytes:         64 << 20,
		LevelBytes:         256 << 20,
		OpenFiles:          256,
		Threads:            2,
		PeriodicCompaction: 24 * time.Hour,
	}
}

// Validate reports all impossible settings.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New(text))
		}
	}
	check(c.MemtablesBytes >= minMemtablesBytes, fmt.Sprintf("MemtablesBytes must be at least %d", minMemtablesBytes))
	check(c.BlockCacheBytes > c.MemtablesBytes, "BlockCacheBytes must exceed MemtablesBytes")
	check(c.MemtableBytes > 0 && c.TableBytes > 0 && c.LevelBytes > 0, "MemtableBytes, TableBytes and LevelBytes must be positive")
	check(c.OpenFiles >= minOpenFiles, fmt.Sprintf("OpenFiles must be at least %d", minOpenFiles))
	check(c.Threads > 0, "Threads must be positive")
	check(c.WriteBytesPerSec >= 0, "WriteBytesPerSec must not be negative")
	check(c.PeriodicCompaction >= time.Second, "PeriodicCompaction must be at least a second")
	return errors.Join(errs...)
}

const (
	// minMemtablesBytes is four cache charges of 256 KB, RocksDB's granularity.
	minMemtablesBytes = 1 << 20
	// minOpenFiles is RocksDB's own floor: it reserves ten for itself.
	minOpenFiles = 20
	// arenaBlockBytes is the step in which a memtable grows. RocksDB's default
	// of an eighth of the memtable, 1 MB, is too much for a thousand idle ones.
	arenaBlockBytes = 32 << 10
	// memtablesPerDB lets writes go on while earlier memtables are flushed.
	memtablesPerDB = 4
	// bloomBitsPerKey gives about 1 % false positives.
	bloomBitsPerKey = 10
	// hashRatio is records per bucket of a block's hash index.
	hashRatio     = 0.75
	manifestBytes = 16 << 20
)

// Opener opens databases that share block cache, memtable budget, threads and
// rate limit.
type Opener struct {
	cfg     Config
	cache   *grocksdb.Cache
	limiter *grocksdb.RateLimiter
	options *grocksdb.Options
	budget  *C.arion_budget
	keeper  keeper

	mu     sync.Mutex
	open   map[*store]struct{}
	closed bool
}

var _ engine.Opener = (*Opener)(nil)

// NewOpener allocates the shared parts. Close frees them.
func NewOpener(cfg Config) (*Opener, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("rocks: %w", err)
	}
	o := &Opener{cfg: cfg, open: make(map[*store]struct{})}
	o.cache = grocksdb.NewLRUCache(cfg.BlockCacheBytes)
	o.budget = C.arion_budget_new(C.size_t(cfg.MemtablesBytes), handle(o.cache))
	if cfg.WriteBytesPerSec > 0 {
		o.limiter = grocksdb.NewRateLimiter(cfg.WriteBytesPerSec, refillMicros, fairness)
	}
	o.options = o.newOptions()
	setThreads(cfg.Threads)
	o.keeper.start(o)
	return o, nil
}

// RocksDB's own defaults for the rate limiter.
const (
	refillMicros = 100_000
	fairness     = 10
)

// setThreads raises the process's pools: low priority compacts, high flushes.
func setThreads(n int) {
	env := grocksdb.NewDefaultEnv()
	defer env.Destroy() // frees only the wrapper of the process's environment
	env.SetBackgroundThreads(max(n, env.GetBackgroundThreads()))
	env.SetHighPriorityBackgroundThreads(max((n+1)/2, env.GetHighPriorityBackgroundThreads()))
}

func (o *Opener) newOptions() *grocksdb.Options {
	opt := grocksdb.NewDefaultOptions()
	opt.SetBlockBasedTableFactory(o.newTableOptions())
	opt.SetWriteBufferSize(o.cfg.MemtableBytes)
	opt.SetMaxWriteBufferNumber(memtablesPerDB)
	opt.SetArenaBlockSize(arenaBlockBytes)
	opt.SetMaxOpenFiles(o.cfg.OpenFiles)
	opt.SetMaxBackgroundJobs(o.cfg.Threads + (o.cfg.Threads+1)/2)
	opt.SetCompression(grocksdb.LZ4Compression)
	opt.SetBottommostCompression(grocksdb.ZSTDCompression)
	opt.SetLevelCompactionDynamicLevelBytes(true)
	opt.SetTargetFileSizeBase(o.cfg.TableBytes)
	opt.SetMaxBytesForLevelBase(o.cfg.LevelBytes)
	opt.SetBytesPerSync(1 << 20) // spreads write-back of tables instead of one burst at their sync
	opt.SetMaxManifestFileSize(manifestBytes)
	if o.limiter != nil {
		opt.SetRateLimiter(o.limiter)
	}
	C.arion_options_share(handle(opt), o.budget, C.uint64_t(o.cfg.PeriodicCompaction/time.Second))
	return opt
}

// newTableOptions puts indexes and filters into the cache, so that the cache
// size bounds all memory of reads.
func (o *Opener) newTableOptions() *grocksdb.BlockBasedTableOptions {
	t := grocksdb.NewDefaultBlockBasedTableOptions()
	t.SetBlockCache(o.cache)
	t.SetFilterPolicy(grocksdb.NewBloomFilter(bloomBitsPerKey))
	t.SetWholeKeyFiltering(true)
	t.SetCacheIndexAndFilterBlocks(true)
	t.SetPinL0FilterAndIndexBlocksInCache(true)
	t.SetFormatVersion(5)
	// A point lookup finds its place in a block by hash instead of by binary search,
	// about a tenth of the time of a cached get, for less than two bytes per record.
	t.SetDataBlockIndexType(grocksdb.KDataBlockIndexTypeBinarySearchAndHash)
	t.SetDataBlockHashRatio(hashRatio)
	return t
}

// handle returns the C object inside a grocksdb type, which does not export it.
func handle(v any) unsafe.Pointer {
	return reflect.ValueOf(v).Elem().FieldByName("c").UnsafePointer()
}

// Usage is memory shared by the databases of an Opener, in bytes.
type Usage struct {
	// BlockCacheBytes includes the charge of memtables; of it, PinnedBytes are in
	// use by readers right now and cannot be evicted.
	BlockCacheBytes, PinnedBytes uint64
	MemtableBytes                uint64
	Databases                    int
}

// Usage returns the present memory; after Close it is zero.
func (o *Opener) Usage() Usage {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return Usage{}
	}
	return Usage{
		BlockCacheBytes: o.cache.GetUsage(),
		PinnedBytes:     o.cache.GetPinnedUsage(),
		MemtableBytes:   uint64(C.arion_budget_total(o.budget)),
		Databases:       len(o.open),
	}
}

// Close frees the shared parts. Databases still open keep them alive, so then
// it does nothing and returns an error naming them.
func (o *Opener) Close() error {
	if done, err := o.beginClose(); done || err != nil {
		return err
	}
	o.keeper.halt()
	o.options.Destroy()
	C.arion_budget_free(o.budget)
	if o.limiter != nil {
		o.limiter.Destroy()
	}
	o.cache.Destroy()
	return nil
}

func (o *Opener) beginClose() (done bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return true, nil
	}
	if len(o.open) > 0 {
		return false, fmt.Errorf("rocks: close: databases still open: %q", o.dirsLocked())
	}
	o.closed = true
	return false, nil
}

func (o *Opener) dirsLocked() (dirs []string) {
	for s := range o.open {
		dirs = append(dirs, s.dir)
	}
	slices.Sort(dirs)
	return dirs
}

// stores lists the open databases; each may close any time.
func (o *Opener) stores() (all []*store) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := range o.open {
		all = append(all, s)
	}
	return all
}

// admit lists a database that is about to be opened, so that Close waits for it.
func (o *Opener) admit(s *store) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return engine.ErrClosed
	}
	o.open[s] = struct{}{}
	return nil
}

func (o *Opener) forget(s *store) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, s)
}
