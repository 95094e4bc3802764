package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
)

// layout names records: neighbours share a hash key, and the sort keys of a hash
// key are in the order of the numbers.
type layout struct{ sortKeys int64 }

const digits = 10

// keys writes the keys of record n into the two buffers.
func (l layout) keys(n int64, hash, sort []byte) ([]byte, []byte) {
	hash = appendNumber(append(hash[:0], "user-"...), n/l.sortKeys)
	return hash, l.sortKey(n%l.sortKeys, sort[:0])
}

func (l layout) sortKey(i int64, dst []byte) []byte {
	return appendNumber(append(dst, "field-"...), i)
}

// appendNumber writes n with leading zeros.
func appendNumber(dst []byte, n int64) []byte {
	var b [digits]byte
	for i := digits - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, b[:]...)
}

// A checked value, in front of its random bytes:
//
//	0            4         8          16         24
//	┌────────────┬─────────┬──────────┬──────────┬──────
//	│ 'A' 'b' 'v'│ crc32c  │ record   │ sequence │ …
//	│ 1          │ of rest │ u64 BE   │ u64 BE   │
//	└────────────┴─────────┴──────────┴──────────┴──────
const (
	checkedMagic  = 0x41627601
	checkedHeader = 24
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// What a checked read may find wrong.
var (
	errForeignValue = errors.New("value was not written by a verifying run")
	errChecksum     = errors.New("value fails its checksum")
	errWrongRecord  = errors.New("value belongs to another record")
)

// noise is a store of random bytes: values are cut out of it at random places, so
// that they cost nothing to make and compression does not flatter the result.
type noise []byte

func newNoise(rng *rand.Rand) noise {
	b := make([]byte, 2*maxValue)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rng.Uint64())
	}
	return b
}

// value gives bytes that must not be changed.
func (z noise) value(rng *rand.Rand, sizes Sizes) []byte {
	n := sizes.Min + rng.IntN(sizes.Max-sizes.Min+1)
	at := rng.IntN(len(z) - n + 1)
	return z[at : at+n]
}

// checked makes a value that can be checked, in buf.
func (z noise) checked(rng *rand.Rand, sizes Sizes, record int64, sequence uint64, buf []byte) []byte {
	buf = append(buf[:0], z.value(rng, sizes)...)
	binary.BigEndian.PutUint32(buf, checkedMagic)
	binary.BigEndian.PutUint64(buf[8:], uint64(record))
	binary.BigEndian.PutUint64(buf[16:], sequence)
	binary.BigEndian.PutUint32(buf[4:], crc32.Checksum(buf[8:], castagnoli))
	return buf
}

// check reads the sequence of a checked value of record.
func check(value []byte, record int64) (sequence uint64, err error) {
	switch {
	case len(value) < checkedHeader || binary.BigEndian.Uint32(value) != checkedMagic:
		return 0, errForeignValue
	case binary.BigEndian.Uint32(value[4:]) != crc32.Checksum(value[8:], castagnoli):
		return 0, errChecksum
	case binary.BigEndian.Uint64(value[8:]) != uint64(record):
		return 0, fmt.Errorf("%w: %d instead of %d", errWrongRecord, binary.BigEndian.Uint64(value[8:]), record)
	}
	return binary.BigEndian.Uint64(value[16:]), nil
}
