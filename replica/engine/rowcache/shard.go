package rowcache

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

const (
	// chunkBytes is what is taken again at once. It holds some hundred records.
	chunkBytes = 64 << 10
	// ways is how many slots a hash may use; together they are a cache line.
	ways = 8
	// slotBytes is one slot for so many bytes of records: small ones cost least to
	// look up in the engine, and fill their sets first.
	slotBytes = 128
	// maxRecord bounds key and value together. Copying a larger one out of the
	// engine costs more than finding it.
	maxRecord = 4 << 10
)

// slot is 0, or where a record lies:
//
//	63           33 32   31          0
//	┌──────────────┬──────┬───────────┐
//	│ of the hash  │ read │ unit + 1  │
//	└──────────────┴──────┴───────────┘
//
// A unit is 8 bytes of the shard's chunks. Slots change under the lock, and are looked
// at without it by fetch.
type slot uint64

func (s *slot) load() slot   { return slot(atomic.LoadUint64((*uint64)(s))) }
func (s *slot) store(v slot) { atomic.StoreUint64((*uint64)(s), uint64(v)) }

const (
	unitBytes = 8
	readBit   = 1 << 32
	tagBits   = ^slot(1<<33 - 1)
)

func (s slot) unit() uint32 { return uint32(s) - 1 }

// Layout of a record in a chunk, followed by key and value and padded to a unit:
//
//	0          8        12        14        16
//	┌──────────┬────────┬─────────┬─────────┐
//	│ hash u64 │ id u32 │ key u16 │ val u16 │   little endian; lengths in bytes
//	└──────────┴────────┴─────────┴─────────┘
const headerBytes = 16

func recordBytes(key, value int) int {
	return (headerBytes + key + value + unitBytes - 1) / unitBytes * unitBytes
}

// shard is one lock's part of the cache.
type shard struct {
	slots  []slot // sets of ways, a power of two of them
	memory []byte

	mu sync.Mutex
	// doubts are hashes that missed once, one byte each.
	doubts []byte
	chunks int   // that have been used
	chunk  int   // being filled
	fill   int   // bytes of it
	ends   []int // of each chunk, in bytes
	closed bool

	hits, misses, records uint64
}

// setsFor is the number of sets for so many bytes of records.
func setsFor(bytes int) int {
	sets := 1
	for sets*ways*slotBytes < bytes {
		sets *= 2
	}
	return sets
}

func (s *shard) init(memory []byte) {
	n := setsFor(len(memory)) * ways
	s.slots, s.memory = make([]slot, n), memory
	s.doubts, s.ends = make([]byte, 2*n), make([]int, len(memory)/chunkBytes)
}

// fetchSet begins to bring what get looks at first into the processor's cache. A
// lookup is little but two misses there, which take as long for many keys as for one
// when they overlap; the lock keeps them apart.
func (s *shard) fetchSet(hash uint64) { s.set(hash)[0].load() }

// fetchRecord goes on with what get looks at next.
func (s *shard) fetchRecord(hash uint64) {
	set := s.set(hash)
	for i := range set {
		if v := set[i].load(); v != 0 && (v^slot(hash))&tagBits == 0 {
			touch(s.memory, int(v.unit())*unitBytes)
		}
	}
}

func (s *shard) set(hash uint64) []slot {
	at := int(hash) & (len(s.slots)/ways - 1) * ways
	return s.slots[at : at+ways : at+ways]
}

func tagOf(hash uint64) slot { return slot(hash) & tagBits }

// record gives key and value at a unit; both alias the chunk.
func (s *shard) record(unit uint32) (hash uint64, id uint32, key, value []byte) {
	b := s.memory[int(unit)*unitBytes:]
	hash, id = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])
	keyEnd := headerBytes + int(binary.LittleEndian.Uint16(b[12:]))
	end := keyEnd + int(binary.LittleEndian.Uint16(b[14:]))
	return hash, id, b[headerBytes:keyEnd], b[keyEnd:end]
}

// findLocked gives the slot of a record, nil if it is not there.
func (s *shard) findLocked(hash uint64, id uint32, key []byte) (*slot, []byte) {
	set := s.set(hash)
	for i := range set {
		v := set[i].load()
		if v == 0 || (v^slot(hash))&tagBits != 0 {
			continue
		}
		_, of, k, value := s.record(v.unit())
		if of == id && string(k) == string(key) {
			return &set[i], value
		}
	}
	return nil, nil
}

// get appends the value to dst.
func (s *shard) get(hash uint64, id uint32, key, dst []byte) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, value := s.findLocked(hash, id, key)
	if at == nil {
		s.misses++
		return dst, false
	}
	if v := at.load(); v&readBit == 0 {
		at.store(v | readBit)
	}
	s.hits++
	return append(dst, value...), true
}

// remove takes a record out.
func (s *shard) remove(hash uint64, id uint32, key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, _ := s.findLocked(hash, id, key); at != nil {
		at.store(0)
		s.records--
	}
}

// put keeps a record that was missed before, if valid, asked under the lock, allows.
func (s *shard) put(hash uint64, id uint32, key, value []byte, valid func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !valid() || !s.wantedLocked(hash) {
		return
	}
	if at, _ := s.findLocked(hash, id, key); at != nil {
		return // another reader was faster
	}
	n := recordBytes(len(key), len(value))
	if s.fill+n > chunkBytes {
		s.nextChunkLocked(n)
	}
	base := s.chunk*chunkBytes + s.fill
	b := s.memory[base : base+n]
	binary.LittleEndian.PutUint64(b, hash)
	binary.LittleEndian.PutUint32(b[8:], id)
	binary.LittleEndian.PutUint16(b[12:], uint16(len(key)))
	binary.LittleEndian.PutUint16(b[14:], uint16(len(value)))
	copy(b[headerBytes+copy(b[headerBytes:], key):], value)
	s.fill += n
	s.ends[s.chunk] = s.fill
	s.vacateLocked(hash).store(tagOf(hash) | slot(base/unitBytes+1))
	s.records++
}

// wantedLocked reports whether a record is to be kept: while there is free memory
// each, later those that missed before, which it notes.
func (s *shard) wantedLocked(hash uint64) bool {
	if s.chunks < len(s.ends) {
		return true
	}
	d := &s.doubts[int(hash>>8)&(len(s.doubts)-1)]
	mark := byte(hash>>56) | 1 // not 0, which is nothing
	wanted := *d == mark
	*d = mark
	return wanted
}

// vacateLocked gives a slot for a hash: a free one, or one whose record was not read
// since it came.
func (s *shard) vacateLocked(hash uint64) *slot {
	set := s.set(hash)
	victim := int(hash>>40) % ways // a record that was read, if all were
	for i := range set {
		v := set[i].load()
		if v == 0 {
			return &set[i]
		}
		if v&readBit == 0 {
			victim = i
		}
	}
	s.records--
	return &set[victim]
}

// nextChunkLocked begins the next chunk, with room for n bytes. Of a chunk that is
// full of records, those that were read since it was begun move to its front, up to
// half of it.
func (s *shard) nextChunkLocked(n int) {
	s.chunk = (s.chunk + 1) % len(s.ends)
	s.fill = 0
	if s.chunk >= s.chunks {
		s.chunks = s.chunk + 1
		return
	}
	base := s.chunk * chunkBytes
	kept := 0
	for at := 0; at < s.ends[s.chunk]; {
		unit := uint32((base + at) / unitBytes)
		hash, _, key, value := s.record(unit)
		size := recordBytes(len(key), len(value))
		if p := s.slotOfLocked(hash, unit); p != nil {
			if p.load()&readBit != 0 && kept+size <= chunkBytes/2 {
				copy(s.memory[base+kept:], s.memory[base+at:base+at+size])
				p.store(tagOf(hash) | slot((base+kept)/unitBytes+1))
				kept += size
			} else {
				p.store(0)
				s.records--
			}
		}
		at += size
	}
	s.fill, s.ends[s.chunk] = kept, kept
}

// slotOfLocked gives the slot that points to a unit, nil if none does any more.
func (s *shard) slotOfLocked(hash uint64, unit uint32) *slot {
	set := s.set(hash)
	for i := range set {
		if v := set[i].load(); v != 0 && v.unit() == unit {
			return &set[i]
		}
	}
	return nil
}

// close empties the shard for good.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.records, s.chunks = true, 0, 0
	for i := range s.slots {
		s.slots[i].store(0)
	}
}
