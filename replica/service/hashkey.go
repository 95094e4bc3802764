package service

import (
	"encoding/binary"

	"github.com/arionkv/arion/idl/key"
)

// hashKeyOf finds the hash key in the arguments of an operation without decoding
// the rest; false if it is not where every client puts it.
type hashKeyOf func(args []byte) ([]byte, bool)

// The arguments begin with a blob, or with a struct whose first field is one:
//
//	┌─────────────┬────────────┬─────────────┬───────
//	│ 0x0c struct │ 0001 field │ u32 BE size │ bytes
//	└─────────────┴────────────┴─────────────┴───────
const (
	fieldHeader = "\x0c\x00\x01"
	sizeLen     = 4
)

func blobAt(b []byte) ([]byte, bool) {
	if len(b) < sizeLen {
		return nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-sizeLen) {
		return nil, false
	}
	return b[sizeLen : sizeLen+int(n)], true
}

func fieldAt(b []byte) ([]byte, bool) {
	if len(b) < len(fieldHeader) || string(b[:len(fieldHeader)]) != fieldHeader {
		return nil, false
	}
	return blobAt(b[len(fieldHeader):])
}

func hashOf(encoded []byte, ok bool) ([]byte, bool) {
	if !ok {
		return nil, false
	}
	hashKey, _, err := key.Decode(encoded)
	return hashKey, err == nil
}

func keyArg(args []byte) ([]byte, bool)       { return hashOf(blobAt(args)) }
func keyField(args []byte) ([]byte, bool)     { return hashOf(fieldAt(args)) }
func hashKeyArg(args []byte) ([]byte, bool)   { return blobAt(args) }
func hashKeyField(args []byte) ([]byte, bool) { return fieldAt(args) }

// observe shows the request's hash key to the sketches of hot keys.
func (c *call) observe() {
	if c.o.hash == nil {
		return
	}
	hashKey, ok := c.o.hash(c.Args)
	if !ok {
		return
	}
	sketch := &c.replica.Load.Reads
	if c.o.op.Write() {
		sketch = &c.replica.Load.Writes
	}
	sketch.Observe(hashKey, c.begin.Unix())
}
