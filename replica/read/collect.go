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

// keyValue copies one record into one allocation of bytes and one of structs.
func keyValue(sortKey, value []byte) *rrdb.KeyValue {
	x := new(cell)
	arena := make([]byte, 0, len(sortKey)+len(value))
	arena, x.key.Data = stow(arena, sortKey)
	_, x.value.Data = stow(arena, value)
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
