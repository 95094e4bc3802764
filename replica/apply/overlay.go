package apply

import (
	"bytes"
	"hash/maphash"
)

// maxIdleWrites and maxIdleArena bound the memory an Applier keeps between
// runs; a node has one Applier per partition. Usual runs stay far below.
const (
	maxIdleWrites = 1 << 10
	maxIdleArena  = 64 << 10
)

// overlay remembers what a run wrote. Most runs hold plain puts and removes and
// never read, so writes are only listed; the first lookup builds the index.
type overlay struct {
	writes  []pending
	indexed int // writes[:indexed] are in latest
	latest  map[uint64]int32
	seed    maphash.Seed
	arena   []byte // encoded keys built during the run
}

// pending is one write of the run. The slices alias the entry or the arena.
type pending struct {
	key, value []byte
	expire     uint32
	gone       bool
	index      uint64 // of the write
	timeMS     uint64
	older      int32 // previous write with the same hash, or none
}

const none = -1

func (v *overlay) reset() {
	if cap(v.writes) > maxIdleWrites {
		v.writes, v.latest = nil, nil
	}
	if cap(v.arena) > maxIdleArena {
		v.arena = nil
	}
	clear(v.writes) // let go of the entries' bytes
	v.writes, v.arena, v.indexed = v.writes[:0], v.arena[:0], 0
	clear(v.latest)
}

func (v *overlay) add(p pending) { v.writes = append(v.writes, p) }

// find returns the last write of key in this run. The hash seed is random, but
// only equality of keys decides.
func (v *overlay) find(key []byte) (*pending, bool) {
	if len(v.writes) == 0 {
		return nil, false
	}
	v.index()
	i, ok := v.latest[maphash.Bytes(v.seed, key)]
	if !ok {
		return nil, false
	}
	for ; i != none; i = v.writes[i].older {
		if bytes.Equal(v.writes[i].key, key) {
			return &v.writes[i], true
		}
	}
	return nil, false
}

func (v *overlay) index() {
	if v.latest == nil {
		v.latest, v.seed = make(map[uint64]int32), maphash.MakeSeed()
	}
	for ; v.indexed < len(v.writes); v.indexed++ {
		p := &v.writes[v.indexed]
		h := maphash.Bytes(v.seed, p.key)
		p.older = none
		if i, ok := v.latest[h]; ok {
			p.older = i
		}
		v.latest[h] = int32(v.indexed)
	}
}
