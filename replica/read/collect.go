package read

import (
	"slices"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// collector builds the records of a reply. A page costs three allocations,
// whatever its rows: the bytes, the cells and the growth of the list.
type collector struct {
	kvs        []*rrdb.KeyValue
	keyFrom    int // keys are returned from this byte on
	noValue    bool
	withExpire bool
}

// cell is a record with the parts its pointers lead to.
type cell struct {
	kv         rrdb.KeyValue
	key, value base.Blob
	expire     int32
}

func (c *collector) add(p *engine.Page, picks []int) {
	size := 0
	for _, i := range picks {
		size += len(p.Key(i)) - c.keyFrom + len(c.value(p, i))
	}
	arena := make([]byte, 0, size)
	cells := make([]cell, len(picks))
	c.kvs = slices.Grow(c.kvs, len(picks))
	for n, i := range picks {
		x := &cells[n]
		arena, x.key.Data = stow(arena, p.Key(i)[c.keyFrom:])
		arena, x.value.Data = stow(arena, c.value(p, i))
		x.kv.Key, x.kv.Value = &x.key, &x.value
		if c.withExpire {
			x.expire = int32(expireOf(p.Value(i)))
			x.kv.ExpireTsSeconds = &x.expire
		}
		c.kvs = append(c.kvs, &x.kv)
	}
}

// stock makes records one by one out of blocks of memory for several.
type stock struct {
	cells []cell
	arena []byte
}

// stockCells bounds what is set aside for records that may not come.
const stockCells = 64

// keyValue copies one record; left is how many may come, this one included.
func (s *stock) keyValue(sortKey, value []byte, left int) *rrdb.KeyValue {
	left = max(1, min(left, stockCells))
	if len(s.cells) == 0 {
		s.cells = make([]cell, left)
	}
	if need := len(sortKey) + len(value); need > cap(s.arena)-len(s.arena) {
		// As if the others were like this one, but a large one is alone: what is
		// not used must not outweigh what is.
		s.arena = make([]byte, 0, max(need, min(need*left, pageSlack)))
	}
	x := &s.cells[0]
	s.cells = s.cells[1:]
	s.arena, x.key.Data = stow(s.arena, sortKey)
	s.arena, x.value.Data = stow(s.arena, value)
	x.kv.Key, x.kv.Value = &x.key, &x.value
	return &x.kv
}

func (c *collector) value(p *engine.Page, i int) []byte {
	if c.noValue {
		return nil
	}
	return p.Value(i)[record.HeaderLen:]
}

// expireOf reads the expiry of stored bytes that were decoded before.
func expireOf(stored []byte) uint32 {
	h, _, err := record.Decode(stored)
	if err != nil {
		panic(err)
	}
	return h.Expire
}

// stow copies b into the arena, whose capacity suffices, and returns the copy.
func stow(arena, b []byte) (rest, kept []byte) {
	n := len(arena)
	arena = append(arena, b...)
	return arena, arena[n:len(arena):len(arena)]
}
