// Package engine is the contract between a partition and its storage.
//
// One Engine holds one partition. Its writes come from one goroutine (the raft
// apply loop); reads come from any. There is no write-ahead log: Apply makes a
// batch visible, Flush makes everything applied so far durable, and what
// survives a crash is always a prefix of the Apply order. The raft log replays
// the rest, which is why the applied index belongs into every batch.
package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/replica/record"
)

// InternalPrefix starts every key of internal state (applied index, format).
// No user key starts so: it would need a hash key of the illegal length 0xFFFF.
// The compaction filter never touches such keys; Compact leaves them out.
//
// Do not modify. Iteration with a nil Upper includes internal keys: a scan on
// behalf of a user passes InternalPrefix as Upper.
var InternalPrefix = []byte{0xff, 0xff}

var (
	// ErrClosed answers every call on an engine or iterator after Close.
	ErrClosed = errors.New("engine closed")
	// ErrCorruption marks stored bytes that fail their checksum or structure.
	// The replica must be rebuilt from another; a retry will not help.
	ErrCorruption = errors.New("engine corruption")
	// ErrNoSpace marks a write refused by a full disk or quota. It may heal.
	ErrNoSpace = errors.New("engine out of disk space")
	// ErrNotExist answers Open with MustExist on a directory without a database.
	ErrNotExist = errors.New("engine does not exist")
)

// Engine stores one partition. All methods may be called from any goroutine,
// but the order of concurrent Apply calls is then undefined.
type Engine interface {
	// Get appends the stored bytes of key to dst, as append does. found tells
	// an absent key from an empty value. The result belongs to the caller.
	Get(key, dst []byte) (value []byte, found bool, err error)

	// MultiGet looks up all keys in one consistent view. Row i of p belongs to
	// keys[i] and holds no key bytes, only Found and Value.
	MultiGet(keys [][]byte, p *Page) error

	// NewIter opens a view of everything applied so far; later writes do not
	// change it. It pins storage until closed, so callers bound its life.
	NewIter(o IterOptions) (Iter, error)

	// Apply makes all of b visible at once. It is not durable before a Flush.
	// b may be reused after return. After an error from here or Flush the
	// engine may refuse further writes until reopened; reads go on.
	Apply(b *Batch) error

	// Flush blocks until everything applied before the call is durable.
	Flush() error

	// Checkpoint writes a consistent copy, holding everything applied before
	// the call, into dir. dir must not exist, its parent must; unchanging files
	// are hard links, so it must be on the same file system. The copy can be
	// opened, moved and deleted independently.
	Checkpoint(dir string) error

	// Compact rewrites the key range so that deleted and droppable records give
	// their space back. It returns ctx.Err() soon after ctx is done, ErrClosed
	// if the engine closes meanwhile, and leaves the data valid in any case.
	Compact(ctx context.Context, o CompactOptions) error

	// SetClock tells compactions the partition clock in seconds since
	// record.EpochUnix: the largest stamp applied. It never goes back; smaller
	// values are ignored. Until first set, nothing is dropped.
	SetClock(sec uint32)

	// Stats is cheap enough for every few seconds, not for every request. After
	// Close it returns the zero Stats.
	Stats() Stats

	// Close stops new calls, waits for those inside, makes what was applied
	// durable as far as the disk permits, and frees everything. Iterators still
	// open are closed too and named in the *OpenItersError returned; that is a
	// bug of the caller, the engine is closed nevertheless. A second Close
	// returns nil.
	Close() error
}

// IterOptions selects what an iterator shows.
type IterOptions struct {
	// Lower is inclusive, Upper exclusive; nil means unbounded. Both are copied.
	Lower, Upper []byte
	// Reverse walks from the largest key below Upper down to Lower.
	Reverse bool
	// ValuePrefix, if positive, cuts values to their first bytes. A walk that
	// needs only headers passes record.HeaderLen and copies no values.
	ValuePrefix int
	// Bulk marks a walk over much data that is not read again soon: it reads
	// ahead and leaves the block cache alone.
	Bulk bool
	// Label names the iterator in errors of Close.
	Label string
}

// Iter walks a frozen view. It is not for concurrent use, except that Close of
// its engine may run at any time.
type Iter interface {
	// Next replaces the content of p by the next rows: at most maxRows, and no
	// further row once key and value bytes reach maxBytes, but at least one. It
	// may return fewer than allowed; only an empty page means the end. Values
	// of maxRows or maxBytes below 1 count as 1.
	Next(maxRows, maxBytes int, p *Page) error
	// Close frees the view. Further calls do nothing.
	Close()
}

// CompactOptions selects what Compact rewrites.
type CompactOptions struct {
	// From is inclusive, To exclusive; nil From is the first key, nil To the
	// end of user keys.
	From, To []byte
	// Bottom says what becomes of the last level, where most records lie.
	Bottom Bottom
}

// Bottom is what a compaction does with the last level.
type Bottom uint8

// The choices of Bottom.
const (
	BottomOnce  Bottom = iota // rewritten, but for what this compaction put there
	BottomForce               // rewritten, all of it
	BottomSkip                // left alone, so that its deleted and expired records stay
)

// Tuner is an Engine whose settings can change while it runs. The engine that
// replaces another does not inherit them.
type Tuner interface {
	// Tune puts t in force. The zero Tuning is what an engine opens with.
	Tune(t Tuning) error
}

// Tuning are the settings of an open engine.
type Tuning struct {
	Scenario Scenario
	// MemtableBytes is the size at which a memtable is flushed, 0 = the opener's.
	MemtableBytes uint64
	// NoCacheFill makes reads leave the block cache as it is.
	NoCacheFill bool
}

// Scenario is what a table is mostly used for.
type Scenario uint8

// The scenarios.
const (
	ScenarioNormal      Scenario = iota
	ScenarioPreferWrite          // compactions give way to writes: reads get slower, bursts faster
	ScenarioBulkLoad             // no compaction at all until the scenario ends
)

// Purger is an Engine that can give up records of other partitions. The engine that
// replaces another does not inherit it.
type Purger interface {
	// Purge lets compactions drop the records that do not belong to partition index
	// of count partitions, see FilterForeign. count 0 is none.
	Purge(index, count int32)
}

// Options are the settings of one engine; shared ones belong to the Opener.
type Options struct {
	// MustExist refuses to create: a directory that lost its database must not
	// quietly come back empty under its old identity.
	MustExist bool
	// BeforeFlush, if set, is called before writes become durable, on any
	// goroutine, and returns once the log that the engine must not be ahead of
	// holds all that was applied. It must not call the engine.
	BeforeFlush func()
}

// Opener opens engines that share memory, threads and settings. Two open
// engines must not have the same directory.
type Opener interface {
	Open(dir string, o Options) (Engine, error)
}

// Stats describes an engine at one moment. Sizes are bytes.
type Stats struct {
	// SizeBytes is what the directory's live tables take on disk.
	SizeBytes uint64
	// EstimatedKeys may be far off after many overwrites and deletions.
	EstimatedKeys uint64
	// MemtableBytes is memory of writes not yet flushed, MemtableKeys their count.
	MemtableBytes uint64
	MemtableKeys  uint64
	// TableFiles counts files on disk, Level0Files those not yet merged.
	TableFiles  uint64
	Level0Files uint64
	// TableReaderBytes is memory for indexes and filters outside the cache.
	TableReaderBytes uint64
	// PendingCompactionBytes estimates what compaction has yet to rewrite.
	PendingCompactionBytes uint64
	RunningCompactions     uint64
	RunningFlushes         uint64
	// FilterDropped counts expired and foreign records discarded by compactions since Open.
	FilterDropped uint64
	// WriteDelayed and WriteStopped tell that Apply is throttled or blocked.
	WriteDelayed bool
	WriteStopped bool
	// OpenIters counts iterators not yet closed.
	OpenIters int
	// BackgroundError is the error that stopped background work, or nil. Writes
	// fail while it stands.
	BackgroundError error
}

// FilterDrop is the whole rule of the compaction filter in Go: mem uses it and
// tests compare the C++ filter with it.
func FilterDrop(key, stored []byte, clock uint32) bool {
	return !bytes.HasPrefix(key, InternalPrefix) && record.Droppable(stored, clock)
}

// FilterForeign is the rule for records that a split left behind, the twin of the
// C++ filter's: the hash of the key belongs to another partition.
func FilterForeign(encoded []byte, index, count int32) bool {
	if count <= 0 || bytes.HasPrefix(encoded, InternalPrefix) {
		return false
	}
	hash, err := key.HashOf(encoded)
	return err == nil && key.PartitionIndex(hash, count) != index
}

// OpenIter names one iterator left open at Close.
type OpenIter struct {
	Label        string
	Lower, Upper []byte
	Age          time.Duration
}

// OpenItersError lists iterators left open at Close.
type OpenItersError struct {
	Dir   string
	Iters []OpenIter
}

func (e *OpenItersError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "close %s: %d iterators were open:", e.Dir, len(e.Iters))
	for i, it := range e.Iters {
		if i == maxNamedIters {
			fmt.Fprintf(&b, " and %d more", len(e.Iters)-i)
			break
		}
		fmt.Fprintf(&b, " %q [%q, %q) for %v;", it.Label, it.Lower, it.Upper, it.Age.Round(time.Millisecond))
	}
	return strings.TrimSuffix(b.String(), ";")
}

// maxNamedIters keeps the error readable; the count is always complete.
const maxNamedIters = 8
