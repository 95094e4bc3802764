package rowcache

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// cache is what the engines of one Opener share.
type cache struct {
	memory []byte
	shards []shard // a power of two
	ids    atomic.Uint32
}

const (
	// maxShards keeps readers on all processors out of each other's way.
	maxShards = 64
	// shardChunks is the least a shard can work with.
	shardChunks = 4

	// SmallestBytes is the least a cache can have.
	SmallestBytes = shardChunks * chunkBytes
)

// newCache reserves the memory; what is not used takes none.
func newCache(bytes int64) (*cache, error) {
	n := 1
	for n < maxShards && int64(2*n*shardChunks*chunkBytes) <= bytes {
		n *= 2
	}
	if bytes < SmallestBytes {
		return nil, fmt.Errorf("row cache of %d bytes: at least %d are needed", bytes, SmallestBytes)
	}
	each := int(bytes) / n / chunkBytes * chunkBytes
	memory, err := syscall.Mmap(-1, 0, n*each, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("row cache of %d bytes: %w", bytes, err)
	}
	c := &cache{memory: memory, shards: make([]shard, n)}
	for i := range c.shards {
		c.shards[i].init(memory[i*each : (i+1)*each])
	}
	// Records are looked up at random: with small pages each lookup would miss the
	// processor's table of pages, too. A kernel without large ones serves as well.
	_ = syscall.Madvise(memory, syscall.MADV_HUGEPAGE)
	runtime.AddCleanup(c, func(memory []byte) { _ = syscall.Munmap(memory) }, memory)
	return c, nil
}

// close gives the memory back. Reads that come later, or are still here, find
// nothing; the addresses stay valid as long as anybody might use them.
func (c *cache) close() error {
	for i := range c.shards {
		c.shards[i].close()
	}
	return syscall.Madvise(c.memory, syscall.MADV_DONTNEED)
}

// touch reads a word and forgets it, so that it is near when it is needed. Somebody
// may be writing it: nothing is made of it.
func touch(memory []byte, at int) {
	atomic.LoadUint64((*uint64)(unsafe.Pointer(&memory[at])))
}

// hash places a key of one engine. The multiplier is 2^64 divided by the golden
// ratio, which spreads small numbers over all bits.
func hash(id uint32, key []byte) uint64 {
	return xxhash.Sum64(key) ^ uint64(id)*0x9e3779b97f4a7c15
}

// shard uses bits of the hash that the shard itself does not place by.
func (c *cache) shard(hash uint64) *shard {
	return &c.shards[int(hash>>32)&(len(c.shards)-1)]
}

// Stats are counts since the cache was made, and what it holds now.
type Stats struct {
	Hits, Misses   uint64
	Records, Bytes uint64
}

func (c *cache) stats() (total Stats) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		total.Hits += s.hits
		total.Misses += s.misses
		total.Records += s.records
		total.Bytes += uint64(s.chunks) * chunkBytes
		s.mu.Unlock()
	}
	return total
}
