package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/arionkv/arion/replica/record"
)

// Batch gathers writes that become visible together. It is built in Go in
// RocksDB's own WriteBatch layout, so that it crosses into C++ once:
//
//	0                8             12
//	┌────────────────┬─────────────┬──────────────────────────────
//	│ sequence, zero │ count u32 LE│ records
//	└────────────────┴─────────────┴──────────────────────────────
//	record: 0x01 vstr key vstr value    put
//	        0x00 vstr key               delete
//	        0x0F vstr from vstr to      delete range
//	vstr:   varint length, bytes
//
// Later records win over earlier ones. The zero Batch is ready; it is not for
// concurrent use.
type Batch struct {
	repr  []byte
	count uint32
}

// Kind is the kind of a record in a Batch. The numbers are RocksDB's ValueType.
type Kind byte

// Kinds of records.
const (
	KindDelete      Kind = 0x0
	KindPut         Kind = 0x1
	KindDeleteRange Kind = 0xf
)

const (
	batchHeaderLen   = 12
	batchCountOffset = 8
)

// ErrBadBatch answers ParseBatch for bytes that are no batch.
var ErrBadBatch = errors.New("malformed batch")

// Put stores value as is, without a record header: for internal state.
func (b *Batch) Put(key, value []byte) {
	b.record(KindPut, key)
	b.bytes(value)
}

// PutHeader stores a user record, building header and value in place.
func (b *Batch) PutHeader(key []byte, h record.Header, value []byte) {
	const around = batchHeaderLen + record.HeaderLen + 2*binary.MaxVarintLen32 + 1
	b.repr = slices.Grow(b.repr, around+len(key)+len(value))
	b.record(KindPut, key)
	b.repr = binary.AppendUvarint(b.repr, uint64(record.HeaderLen+len(value)))
	b.repr = record.Append(b.repr, h, value)
}

// Delete removes key; absent keys are fine.
func (b *Batch) Delete(key []byte) { b.record(KindDelete, key) }

// DeleteRange removes all keys in [from, to); nil to is the end of user keys.
// An empty range writes nothing.
func (b *Batch) DeleteRange(from, to []byte) {
	if to == nil {
		to = InternalPrefix
	}
	if bytes.Compare(from, to) >= 0 {
		return
	}
	b.record(KindDeleteRange, from)
	b.bytes(to)
}

// Len is the number of records.
func (b *Batch) Len() int { return int(b.count) }

// Size is the length of Repr in bytes.
func (b *Batch) Size() int { return max(len(b.repr), batchHeaderLen) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.repr, b.count = b.repr[:0], 0 }

// Repr returns the batch in RocksDB's layout, valid until the next change.
func (b *Batch) Repr() []byte {
	b.start()
	binary.LittleEndian.PutUint32(b.repr[batchCountOffset:], b.count)
	return b.repr
}

// Each calls fn for every record in order; value is the end of the range for
// KindDeleteRange and nil for KindDelete. The slices alias the batch.
func (b *Batch) Each(fn func(kind Kind, key, value []byte)) {
	if err := eachRecord(b.repr, fn); err != nil {
		panic(err) // built by this type or checked by ParseBatch
	}
}

// ParseBatch takes over repr, as Repr returned it, after checking all of it.
func ParseBatch(repr []byte) (*Batch, error) {
	if len(repr) < batchHeaderLen {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadBatch, len(repr))
	}
	var n uint32
	if err := eachRecord(repr, func(Kind, []byte, []byte) { n++ }); err != nil {
		return nil, err
	}
	if want := binary.LittleEndian.Uint32(repr[batchCountOffset:]); n != want {
		return nil, fmt.Errorf("%w: %d records, header says %d", ErrBadBatch, n, want)
	}
	return &Batch{repr: repr, count: n}, nil
}

func (b *Batch) start() {
	if len(b.repr) == 0 {
		b.repr = append(b.repr, make([]byte, batchHeaderLen)...)
	}
}

func (b *Batch) record(k Kind, key []byte) {
	b.start()
	b.count++
	b.repr = append(b.repr, byte(k))
	b.bytes(key)
}

func (b *Batch) bytes(s []byte) {
	b.repr = append(binary.AppendUvarint(b.repr, uint64(len(s))), s...)
}

func eachRecord(repr []byte, fn func(kind Kind, key, value []byte)) error {
	if len(repr) == 0 {
		return nil
	}
	rest := repr[batchHeaderLen:]
	for len(rest) > 0 {
		kind := Kind(rest[0])
		key, tail, ok := cutBytes(rest[1:])
		var value []byte
		if ok && kind != KindDelete {
			value, tail, ok = cutBytes(tail)
		}
		if !ok || (kind != KindDelete && kind != KindPut && kind != KindDeleteRange) {
			return fmt.Errorf("%w: record kind %#x at offset %d", ErrBadBatch, byte(kind), len(repr)-len(rest))
		}
		fn(kind, key, value)
		rest = tail
	}
	return nil
}

// cutBytes takes a length-prefixed string off b. Lengths over 32 bits are
// refused, as RocksDB does.
func cutBytes(b []byte) (s, tail []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > 1<<32-1 || n > uint64(len(b)-w) {
		return nil, nil, false
	}
	return b[w : w+int(n) : w+int(n)], b[w+int(n):], true
}
