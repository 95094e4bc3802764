package fakekv

import (
	"bytes"
	"sort"

	"github.com/arionkv/arion/idl/key"
)

const epoch = key.EpochUnix

// record is one stored record.
type record struct {
	key    []byte // encoded
	value  []byte
	expire uint32 // seconds since 2016; 0 = never
}

func (r *record) dead(now uint32) bool { return r.expire > 0 && r.expire <= now }

// store keeps the records of a table in the order of their encoded keys.
type store struct{ records []record }

func (s *store) find(k []byte) (int, bool) {
	i := sort.Search(len(s.records), func(i int) bool { return bytes.Compare(s.records[i].key, k) >= 0 })
	return i, i < len(s.records) && bytes.Equal(s.records[i].key, k)
}

// get gives a live record, nil if there is none.
func (s *store) get(k []byte, now uint32) *record {
	i, ok := s.find(k)
	if !ok || s.records[i].dead(now) {
		return nil
	}
	return &s.records[i]
}

func (s *store) put(k, value []byte, expire uint32) {
	r := record{key: bytes.Clone(k), value: append([]byte{}, value...), expire: expire}
	i, ok := s.find(k)
	if ok {
		s.records[i] = r
		return
	}
	s.records = append(s.records, record{})
	copy(s.records[i+1:], s.records[i:])
	s.records[i] = r
}

func (s *store) remove(k []byte) {
	if i, ok := s.find(k); ok {
		s.records = append(s.records[:i], s.records[i+1:]...)
	}
}

// span is a range of encoded keys.
type span struct {
	start, stop       []byte // stop nil = no end
	startIncl, stopIn bool
}

// bounds gives the indexes lo <= i < hi of the span.
func (s *store) bounds(p span) (lo, hi int) {
	lo, ok := s.find(p.start)
	if ok && !p.startIncl {
		lo++
	}
	hi = len(s.records)
	if p.stop != nil {
		hi, ok = s.find(p.stop)
		if ok && p.stopIn {
			hi++
		}
	}
	return lo, max(lo, hi)
}

// pass applies one of the protocol's filters.
func pass(kind int64, pattern, b []byte) bool {
	switch kind {
	case 1:
		return bytes.Contains(b, pattern)
	case 2:
		return bytes.HasPrefix(b, pattern)
	case 3:
		return bytes.HasSuffix(b, pattern)
	}
	return true
}

// Put stores a record directly, without any call.
func (c *Cluster) Put(tableName string, hashKey, sortKey, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mustLocked(tableName).store.put(key.Append(nil, hashKey, sortKey), value, 0)
}

// Value reads a record directly; ok tells whether it exists.
func (c *Cluster) Value(tableName string, hashKey, sortKey []byte) (value []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.mustLocked(tableName).store.get(key.Append(nil, hashKey, sortKey), c.nowLocked())
	if r == nil {
		return nil, false
	}
	return bytes.Clone(r.value), true
}

// Len gives the number of live records of a table.
func (c *Cluster) Len(tableName string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.nowLocked()
	for i := range c.mustLocked(tableName).store.records {
		if !c.tables[tableName].store.records[i].dead(now) {
			n++
		}
	}
	return n
}
