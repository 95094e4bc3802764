// Package record encodes the header in front of every stored user value.
//
//	0        1                5                        13                  19
//	┌────────┬────────────────┬────────────────────────┬───────────────────┬───────────
//	│ fmt u8 │ expire u32 BE  │ index u64 BE           │ write time u48 BE │ user value
//	└────────┴────────────────┴────────────────────────┴───────────────────┴───────────
//
// The compaction filter in replica/engine/rocks/filter.cc reads fmt and expire
// at these offsets: change both or neither, and only under a new Format.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

const (
	// HeaderLen is the length in bytes of the header of Format.
	HeaderLen = 19
	// Format is the only header format written so far.
	Format = 1
	// EpochUnix is second 0 of expiry times, 2016-01-01 00:00:00 UTC. Pegasus
	// clients compute TTLs against the same epoch.
	EpochUnix = 1451606400

	expireOffset = 1
	indexOffset  = 5
	timeOffset   = 13
	maxWriteTime = 1<<48 - 1
)

// ErrMalformed marks stored bytes that are no record of a known format.
var ErrMalformed = errors.New("malformed record")

// Header is what Arion stores beside a user value.
type Header struct {
	// Expire is in seconds since EpochUnix; 0 means never.
	Expire uint32
	// Index is the raft index of the write, which is the record's version.
	Index uint64
	// WriteTimeMS is the leader's clock at the write, in Unix milliseconds. Only
	// 48 bits are stored (until the year 10889); larger values are clamped.
	WriteTimeMS uint64
}

// Append appends the header and value to dst and returns the extended slice.
func Append(dst []byte, h Header, value []byte) []byte {
	return append(AppendHeader(dst, h), value...)
}

// AppendHeader appends the header alone.
func AppendHeader(dst []byte, h Header) []byte {
	dst = append(dst, Format)
	dst = binary.BigEndian.AppendUint32(dst, h.Expire)
	dst = binary.BigEndian.AppendUint64(dst, h.Index)
	t := min(h.WriteTimeMS, maxWriteTime)
	dst = binary.BigEndian.AppendUint16(dst, uint16(t>>32))
	return binary.BigEndian.AppendUint32(dst, uint32(t))
}

// Decode splits stored bytes into header and user value; value aliases b. If b
// holds exactly the first HeaderLen bytes of a record (a page fetched with
// ValuePrefix), value is empty. The error is ErrMalformed.
func Decode(b []byte) (h Header, value []byte, err error) {
	if len(b) < HeaderLen {
		return Header{}, nil, fmt.Errorf("%w: %d bytes, header has %d", ErrMalformed, len(b), HeaderLen)
	}
	if b[0] != Format {
		return Header{}, nil, fmt.Errorf("%w: format %d", ErrMalformed, b[0])
	}
	h.Expire = binary.BigEndian.Uint32(b[expireOffset:])
	h.Index = binary.BigEndian.Uint64(b[indexOffset:])
	h.WriteTimeMS = uint64(binary.BigEndian.Uint16(b[timeOffset:]))<<32 |
		uint64(binary.BigEndian.Uint32(b[timeOffset+2:]))
	return h, b[HeaderLen:], nil
}

// ExpiredAt reports whether a reader at nowSec (seconds since EpochUnix) must
// treat the record as absent. The second of expiry itself counts as expired.
func (h Header) ExpiredAt(nowSec uint32) bool {
	return h.Expire > 0 && h.Expire <= nowSec
}

// Droppable reports whether a compaction may discard stored bytes under the
// partition clock. It is one second stricter than ExpiredAt: every later log
// entry carries a stamp of at least clock, so it sees a record that expired
// before clock as absent whether or not it was dropped. Bytes of an unknown
// format are kept. It is the Go twin of the filter in C++.
func Droppable(stored []byte, clock uint32) bool {
	if len(stored) < HeaderLen || stored[0] != Format {
		return false
	}
	expire := binary.BigEndian.Uint32(stored[expireOffset:])
	return expire > 0 && expire < clock
}

// SecondsAt converts Unix milliseconds to seconds since EpochUnix, clamped to
// what the header can hold.
func SecondsAt(unixMS uint64) uint32 {
	sec := unixMS / 1000
	if sec <= EpochUnix {
		return 0
	}
	return uint32(min(sec-EpochUnix, math.MaxUint32))
}
