// Package key encodes the pair of a hash key and a sort key into the one key
// that storage and the wire know, and maps it to a partition.
//
//	+----------------+----------------+-----------------+
//	| hash key len   | hash key       | sort key        |
//	| u16 big endian | len bytes      | the rest        |
//	+----------------+----------------+-----------------+
//
// Encoded keys compare as unsigned bytes, so a shorter hash key comes before a
// longer one whatever the bytes.
package key

import (
	"encoding/binary"
	"errors"
	"hash/crc64"
)

const (
	// MaxHashKeyLen is the longest hash key in bytes. The length 65535 is kept
	// free, so that no user key starts with 0xFFFF.
	MaxHashKeyLen = 65534

	// EpochUnix is the unix second from which expiry times count: 2016-01-01 UTC.
	EpochUnix = 1451606400

	lenBytes = 2
)

// ErrMalformed is returned for bytes that no Append could have made.
var ErrMalformed = errors.New("malformed key")

// Append appends the encoded key to dst. It panics if hashKey is longer than
// MaxHashKeyLen: the caller checks lengths that come from outside.
func Append(dst, hashKey, sortKey []byte) []byte {
	if len(hashKey) > MaxHashKeyLen {
		panic("key: hash key too long")
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(hashKey)))
	dst = append(dst, hashKey...)
	return append(dst, sortKey...)
}

// Decode splits an encoded key. Both results alias it.
func Decode(key []byte) (hashKey, sortKey []byte, err error) {
	if len(key) < lenBytes {
		return nil, nil, ErrMalformed
	}
	n := int(binary.BigEndian.Uint16(key))
	if n > MaxHashKeyLen || lenBytes+n > len(key) {
		return nil, nil, ErrMalformed
	}
	end := lenBytes + n
	return key[lenBytes:end:end], key[end:], nil
}

// crcTable belongs to CRC-64 with the reflected polynomial every client uses;
// hash/crc64 already starts from all ones and inverts at the end.
var crcTable = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// Hash gives the partition hash of a record: of the hash key or, if that is
// empty, of the sort key.
func Hash(hashKey, sortKey []byte) uint64 {
	if len(hashKey) > 0 {
		return crc64.Checksum(hashKey, crcTable)
	}
	return crc64.Checksum(sortKey, crcTable)
}

// HashOf is Hash of an encoded key.
func HashOf(encoded []byte) (uint64, error) {
	hashKey, sortKey, err := Decode(encoded)
	if err != nil {
		return 0, err
	}
	return Hash(hashKey, sortKey), nil
}

// PartitionIndex places a hash in a table of count partitions; count > 0.
func PartitionIndex(hash uint64, count int32) int32 {
	return int32(hash % uint64(count))
}

// Successor gives the smallest key greater than every key that starts with
// prefix, or nil if there is none (prefix empty or all 0xFF).
func Successor(prefix []byte) []byte {
	end := len(prefix)
	for end > 0 && prefix[end-1] == 0xff {
		end--
	}
	if end == 0 {
		return nil
	}
	next := append([]byte(nil), prefix[:end]...)
	next[end-1]++
	return next
}
