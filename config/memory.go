package config

import (
	"math"
	"runtime/debug"
)

// The shares of node.memory. Block cache and Go heap together stay below the
// whole: threads, C libraries and fragmentation take the rest.
const (
	cacheShare    = 40 // percent: blocks, indexes, filters, and the memtables below
	memtableShare = 15 // of the whole, inside the cache
	heapShare     = 45 // Go heap: requests, replies, raft entries in flight, everything else
	requestShare  = 10 // of the whole, inside the heap
	raftLogShare  = 5  // of the whole, inside the heap, for one partition at most

	// smallestMemory leaves the memtables the 16 MB that RocksDB needs to work in
	// pieces of a useful size.
	smallestMemory = 128 * MB
	// smallestInFlightBytes lets a frame of the largest size in.
	smallestInFlightBytes = 64 * MB
	// smallestRaftLog holds a few entries of the largest size.
	smallestRaftLog = 8 * MB
)

// DivideMemory replaces the settings that bound memory by their shares of
// node.memory. Without one it does nothing: each setting then stands for itself.
func (c *Config) DivideMemory() {
	if c.Node.Memory == 0 {
		return
	}
	share := func(percent Size) Size { return c.Node.Memory / 100 * percent }
	c.Replica.BlockCache, c.Replica.WriteBuffer = share(cacheShare), share(memtableShare)
	c.RPC.MaxInFlightBytes = max(share(requestShare), smallestInFlightBytes)
	c.Raft.MaxInMemLog = max(share(raftLogShare), smallestRaftLog)
}

// HeapLimit is the soft limit of the Go heap, 0 without a budget.
func (c *Config) HeapLimit() Size { return c.Node.Memory / 100 * heapShare }

// LimitHeap applies HeapLimit to the process, unless the environment variable
// GOMEMLIMIT has set another. It returns the limit in force, 0 for none.
func (c *Config) LimitHeap() Size {
	const ask = -1
	if set := debug.SetMemoryLimit(ask); set != math.MaxInt64 {
		return Size(set)
	}
	if c.HeapLimit() > 0 {
		debug.SetMemoryLimit(int64(c.HeapLimit()))
	}
	return c.HeapLimit()
}
