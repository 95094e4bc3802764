package raft

import _ "unsafe" // for go:linkname

// dragonboat keeps the entries of a replica that are not applied yet in a slice. It
// makes a new one of 512 entries, 40 KB, whenever it has run down to one entry or
// none, which in a group with little to do is after every single entry: of the
// 105 KB of garbage of a lone write on three replicas that was 85 (BenchmarkWrite in
// replica/partition). The size is meant to be changed, but only by a file in the working
// directory of the process; hence the way through the linker.
// TestInMemoryEntries notices when the names no longer meet dragonboat's.
//
//go:linkname entrySliceSize github.com/lni/dragonboat/v4/internal/raft.entrySliceSize
var entrySliceSize uint64

//go:linkname minEntrySliceSize github.com/lni/dragonboat/v4/internal/raft.minEntrySliceSize
var minEntrySliceSize uint64

const (
	// inMemEntries holds a full window of a partition's entries several times over;
	// a slice grows when a follower is sent more at once.
	inMemEntries = 32
	// inMemFree is the room below which a slice is replaced.
	inMemFree = 8
)

// stockEntries is what dragonboat comes with.
var stockEntries = entrySliceSize

func init() { entrySliceSize, minEntrySliceSize = inMemEntries, inMemFree }
