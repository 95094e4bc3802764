package raft

import _ "unsafe" // for go:linkname

// What follows are settings of dragonboat which it means to be changed, but only by a
// file in the working directory of the process; hence the way through the linker.
// TestStockSizes notices when the names no longer meet dragonboat's.

// dragonboat keeps the entries of a replica that are not applied yet in a slice. It
// makes a new one of 512 entries, 40 KB, whenever it has run down to one entry or
// none, which in a group with little to do is after every single entry: of the
// 105 KB of garbage of a lone write on three replicas that was 85 (BenchmarkWrite in
// replica/partition).
//
//go:linkname entrySliceSize github.com/lni/dragonboat/v4/internal/raft.entrySliceSize
var entrySliceSize uint64

//go:linkname minEntrySliceSize github.com/lni/dragonboat/v4/internal/raft.minEntrySliceSize
var minEntrySliceSize uint64

// A replica that is behind, as all are after a restart, reads committed entries from
// its log in steps of this size and queues this many steps for its state machine.
// While these are applied as many again are read.
//
//go:linkname maxEntriesToApplySize github.com/lni/dragonboat/v4/internal/raft.maxEntriesToApplySize
var maxEntriesToApplySize uint64

//go:linkname taskQueueBusyCap github.com/lni/dragonboat/v4/internal/rsm.taskQueueBusyCap
var taskQueueBusyCap uint64

// A follower that is behind is sent entries in messages of this size.
//
//go:linkname maxEntrySize github.com/lni/dragonboat/v4/internal/raft.maxEntrySize
var maxEntrySize uint64

// Each replica has so many tables of proposals that nobody has been told about, each
// with a random source of 5 KB, and they are gone through at every tick.
//
//go:linkname pendingProposalShards github.com/lni/dragonboat/v4.pendingProposalShards
var pendingProposalShards uint64

// Each replica has two slices for so many proposals, and two for so many messages, that
// the step worker has not taken yet: with 2048 and 1024, 0.8 MB.
//
//go:linkname incomingProposalsMaxLen github.com/lni/dragonboat/v4.incomingProposalsMaxLen
var incomingProposalsMaxLen uint64

//go:linkname receiveQueueLen github.com/lni/dragonboat/v4.receiveQueueLen
var receiveQueueLen uint64

const (
	// inMemEntries holds a full window of a partition's entries several times over;
	// a slice grows when a follower is sent more at once.
	inMemEntries = 32
	// inMemFree is the room below which a slice is replaced.
	inMemFree = 8

	// applyBytes and applySteps bound what a replica holds of its log while it catches
	// up with it: 2 MB, or twice applySteps of entries that are larger. With dragonboat's
	// 64 MB and 64 steps eight partitions took 400 MB at a restart.
	applyBytes = 512 << 10
	applySteps = 2
	// sendBytes is what a follower far behind gets per heartbeat at least, and what
	// a leader holds of its log for each such follower.
	sendBytes = 4 << 20
	// proposalTables is enough for a proposer that is one goroutine.
	proposalTables = 1
	// queueLength: a partition has no more than a window of entries in flight, and its
	// followers as many messages, which are sent again when one is dropped. The metas
	// propose for each call that changes something.
	queueLength = 256
)

// stock is what dragonboat comes with.
var stock = [...]uint64{
	entrySliceSize, minEntrySliceSize, maxEntriesToApplySize, taskQueueBusyCap, maxEntrySize,
	pendingProposalShards, incomingProposalsMaxLen, receiveQueueLen,
}

func init() {
	entrySliceSize, minEntrySliceSize = inMemEntries, inMemFree
	maxEntriesToApplySize, taskQueueBusyCap = applyBytes, applySteps
	maxEntrySize = sendBytes
	pendingProposalShards = proposalTables
	incomingProposalsMaxLen, receiveQueueLen = queueLength, queueLength
}
