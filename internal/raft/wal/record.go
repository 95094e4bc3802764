package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

// A record is what one call saved, of one or of many replicas. Integers are
// little-endian, records and items begin at multiples of 8.
//
//	record:  magic u32 | length u32 | segment u64 | pos u64 | synced u64 | crc u32 | 0 u32 | items …
//	item:    kind u16 | flags u16 | length u32 | shard u64 | replica u64 | index u64 | count u32 | crc u32 | payload … | 0–7 bytes
//
// length is that of what follows the header, without the padding in an item.
// segment and pos say where the record was written, so that what a recycled file
// held before is never taken for new. synced is a position up to which the log was
// durable when the record was made: an unreadable record before it was not torn by
// a crash but damaged later. The crc of a record covers its header and those of
// its items, the crc of an item its payload. Both are CRC-32C.
const (
	recordMagic = 0x4c524e41 // "ANRL"
	recordLen   = 40
	itemLen     = 40
)

// Kinds of items. Never renumber.
const (
	itemEntries    = 1 // entries index…index+count-1; the log of the replica ends behind them
	itemMoved      = 2 // the same entries again, because their segment is to be freed
	itemState      = 3 // term, vote, commit, compacted u64
	itemSnapshot   = 4 // raftpb.Snapshot; with flagReset all entries before are void
	itemBootstrap  = 5 // raftpb.Bootstrap
	itemRemoved    = 6 // nothing of the replica is valid any more
	itemCheckpoint = 7 // count replicas follow, and there are no others
	itemRange      = 8 // in a checkpoint: the log ends at index
)

const flagReset = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// item is a decoded header. payload borrows the buffer it was parsed from.
type item struct {
	kind, flags    uint16
	shard, replica uint64
	index          uint64
	count          uint32
	crc            uint32
	payload        []byte
	off            int // of the header, in the buffer of the record
}

// errNoRecord: the bytes are no whole record that was written at this place.
var errNoRecord = errors.New("no valid record")

func align(n int) int { return (n + 7) &^ 7 }

// beginRecord appends room for the header of a record.
func beginRecord(dst []byte) []byte { return append(dst, make([]byte, recordLen)...) }

// endRecord fills in the header of the record that is the rest of buf from start.
func endRecord(buf []byte, start int, segment, pos, synced uint64) {
	rec := buf[start:]
	binary.LittleEndian.PutUint32(rec, recordMagic)
	binary.LittleEndian.PutUint32(rec[4:], uint32(len(rec)-recordLen))
	binary.LittleEndian.PutUint64(rec[8:], segment)
	binary.LittleEndian.PutUint64(rec[16:], pos)
	binary.LittleEndian.PutUint64(rec[24:], synced)
	binary.LittleEndian.PutUint32(rec[32:], recordSum(rec))
}

// recordSum is the crc of a record whose lengths are right.
func recordSum(rec []byte) uint32 {
	sum := crc32.Update(0, castagnoli, rec[:32])
	for off := recordLen; off < len(rec); {
		sum = crc32.Update(sum, castagnoli, rec[off:off+itemLen])
		off += itemLen + align(int(binary.LittleEndian.Uint32(rec[off+4:])))
	}
	return sum
}

// beginItem appends the header of an item; endItem completes it.
func beginItem(dst []byte, kind, flags uint16, shard, replica, index uint64, count uint32) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, kind)
	dst = binary.LittleEndian.AppendUint16(dst, flags)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, shard)
	dst = binary.LittleEndian.AppendUint64(dst, replica)
	dst = binary.LittleEndian.AppendUint64(dst, index)
	dst = binary.LittleEndian.AppendUint32(dst, count)
	return binary.LittleEndian.AppendUint32(dst, 0)
}

// endItem fills in length and sum of the item whose header is at start.
func endItem(dst []byte, start int) []byte {
	payload := dst[start+itemLen:]
	binary.LittleEndian.PutUint32(dst[start+4:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(dst[start+36:], crc32.Checksum(payload, castagnoli))
	for len(dst)%8 != 0 {
		dst = append(dst, 0)
	}
	return dst
}

// appendEntry appends length u32 and the entry.
func appendEntry(dst []byte, e *pb.Entry) []byte {
	start, size := len(dst), 4+e.Size()
	dst = slices.Grow(dst, size)[:start+size]
	n, _ := e.MarshalTo(dst[start+4:]) // it never fails: the room is there
	binary.LittleEndian.PutUint32(dst[start:], uint32(n))
	return dst[:start+4+n]
}

// parseRecord returns the length of the valid record at the begin of data, which
// was written to this segment at pos, and its promise. It checks all sums.
func parseRecord(data []byte, segment, pos uint64) (length int, synced uint64, err error) {
	if len(data) < recordLen || binary.LittleEndian.Uint32(data) != recordMagic ||
		binary.LittleEndian.Uint64(data[8:]) != segment || binary.LittleEndian.Uint64(data[16:]) != pos {
		return 0, 0, errNoRecord
	}
	n := uint64(binary.LittleEndian.Uint32(data[4:])) + recordLen
	if n > uint64(len(data)) || n%8 != 0 {
		return 0, 0, errNoRecord
	}
	rec := data[:n]
	if err := checkItems(rec); err != nil {
		return 0, 0, err
	}
	if recordSum(rec) != binary.LittleEndian.Uint32(rec[32:]) {
		return 0, 0, errNoRecord
	}
	return int(n), binary.LittleEndian.Uint64(rec[24:]), nil
}

// checkItems checks that the items fill the record, and their sums.
func checkItems(rec []byte) error {
	for off := recordLen; off < len(rec); {
		it, next, err := parseItem(rec, off)
		if err != nil {
			return err
		}
		if crc32.Checksum(it.payload, castagnoli) != it.crc {
			return errNoRecord
		}
		off = next
	}
	return nil
}

// parseItem takes the item at off apart. The sum of the payload is not checked.
func parseItem(rec []byte, off int) (it item, next int, err error) {
	if len(rec)-off < itemLen {
		return it, 0, errNoRecord
	}
	h := rec[off:]
	n := uint64(binary.LittleEndian.Uint32(h[4:]))
	if n > uint64(len(h)-itemLen) || align(int(n)) > len(h)-itemLen {
		return it, 0, errNoRecord
	}
	it = itemHeader(h)
	it.off, it.payload = off, h[itemLen:itemLen+n]
	return it, off + itemLen + align(int(n)), nil
}

func itemHeader(h []byte) item {
	return item{
		kind: binary.LittleEndian.Uint16(h), flags: binary.LittleEndian.Uint16(h[2:]),
		shard: binary.LittleEndian.Uint64(h[8:]), replica: binary.LittleEndian.Uint64(h[16:]),
		index: binary.LittleEndian.Uint64(h[24:]), count: binary.LittleEndian.Uint32(h[32:]),
		crc: binary.LittleEndian.Uint32(h[36:]),
	}
}

// eachItem hands the items of a valid record to f.
func eachItem(rec []byte, f func(item) error) error {
	for off := recordLen; off < len(rec); {
		it, next, err := parseItem(rec, off)
		if err != nil {
			return err
		}
		if err := f(it); err != nil {
			return err
		}
		off = next
	}
	return nil
}

// eachEntry decodes the entries of a payload. The sum was right, so an error is a
// bug in what was written; the parser of the library may panic on such bytes.
func eachEntry(payload []byte, f func(e *pb.Entry, raw []byte) bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("entry cannot be decoded: %v", r)
		}
	}()
	for len(payload) > 0 {
		if len(payload) < 4 {
			return errors.New("entry without length")
		}
		n := uint64(binary.LittleEndian.Uint32(payload))
		if n > uint64(len(payload)-4) {
			return errors.New("entry longer than its item")
		}
		var e pb.Entry
		if err := e.Unmarshal(payload[4 : 4+n]); err != nil {
			return fmt.Errorf("entry cannot be decoded: %w", err)
		}
		if !f(&e, payload[:4+n]) {
			return nil
		}
		payload = payload[4+n:]
	}
	return nil
}

// stateLen is the length of the payload of an itemState.
const stateLen = 32

func appendState(dst []byte, shard, replica uint64, st pb.State, compacted uint64) []byte {
	start := len(dst)
	dst = beginItem(dst, itemState, 0, shard, replica, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, st.Term)
	dst = binary.LittleEndian.AppendUint64(dst, st.Vote)
	dst = binary.LittleEndian.AppendUint64(dst, st.Commit)
	dst = binary.LittleEndian.AppendUint64(dst, compacted)
	return endItem(dst, start)
}

func parseState(p []byte) (st pb.State, compacted uint64, err error) {
	if len(p) != stateLen {
		return st, 0, fmt.Errorf("state of %d bytes", len(p))
	}
	st.Term, st.Vote = binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
	st.Commit, compacted = binary.LittleEndian.Uint64(p[16:]), binary.LittleEndian.Uint64(p[24:])
	return st, compacted, nil
}

func appendBlob(dst []byte, kind, flags uint16, shard, replica, index uint64, blob []byte) []byte {
	start := len(dst)
	dst = beginItem(dst, kind, flags, shard, replica, index, 0)
	return endItem(append(dst, blob...), start)
}

func payloadLen(h []byte) uint32 { return binary.LittleEndian.Uint32(h[4:]) }
