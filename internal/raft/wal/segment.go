package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A segment begins with a block of its own; the first record follows, which is a
// checkpoint.
//
//	magic 8 | format u32 | crc u32 | seq u64 | size u64 | zeros up to 4096
const (
	segmentMagic = "arionlog"
	headerLen    = 4096
)

// segment is one file of the log. All fields but the first three are guarded by
// the store's mutex.
type segment struct {
	file file
	seq  uint64
	size int64 // of the file

	base uint64 // position of the first record; 0 = not in use yet
	end  uint64 // position behind the last record; 0 = not full yet
	live int64  // bytes in which an index points, or a little more
	refs int    // readers
}

// offset is where the record at pos is in the file.
func (g *segment) offset(pos uint64) int64 { return headerLen + int64(pos-g.base) }

// room is how much fits into an unused segment.
func (g *segment) room() int64 { return g.size - headerLen }

func encodeHeader(seq uint64, size int64) []byte {
	h := make([]byte, headerLen)
	copy(h, segmentMagic)
	binary.LittleEndian.PutUint32(h[8:], format)
	binary.LittleEndian.PutUint64(h[16:], seq)
	binary.LittleEndian.PutUint64(h[24:], uint64(size))
	binary.LittleEndian.PutUint32(h[12:], headerSum(h))
	return h
}

func headerSum(h []byte) uint32 {
	return crc32.Update(crc32.Checksum(h[:12], castagnoli), castagnoli, h[16:])
}

func checkHeader(h []byte, seq uint64, size int64) error {
	switch {
	case len(h) < headerLen || string(h[:8]) != segmentMagic || binary.LittleEndian.Uint32(h[12:]) != headerSum(h[:headerLen]):
		return fmt.Errorf("the header is unreadable")
	case binary.LittleEndian.Uint32(h[8:]) > format:
		return newerFormatError(binary.LittleEndian.Uint32(h[8:]))
	case binary.LittleEndian.Uint64(h[16:]) != seq:
		return fmt.Errorf("the header is of segment %x", binary.LittleEndian.Uint64(h[16:]))
	case binary.LittleEndian.Uint64(h[24:]) != uint64(size):
		return fmt.Errorf("the header says %d bytes, the list of segments %d", binary.LittleEndian.Uint64(h[24:]), size)
	}
	return nil
}
