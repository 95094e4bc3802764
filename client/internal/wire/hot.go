package wire

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/arionkv/arion/idl/key"
)

// Names of the calls that are encoded here.
const (
	Get          = "RPC_RRDB_RRDB_GET"
	Put          = "RPC_RRDB_RRDB_PUT"
	Remove       = "RPC_RRDB_RRDB_REMOVE"
	TTL          = "RPC_RRDB_RRDB_TTL"
	Incr         = "RPC_RRDB_RRDB_INCR"
	SortKeyCount = "RPC_RRDB_RRDB_SORTKEY_COUNT"
	MultiGet     = "RPC_RRDB_RRDB_MULTI_GET"
	Scan         = "RPC_RRDB_RRDB_SCAN"
	ClearScanner = "RPC_RRDB_RRDB_CLEAR_SCANNER"
)

// AppendKeyRequest makes a call whose argument is an encoded key: Get, TTL, Remove.
func AppendKeyRequest(dst []byte, rpc string, hashKey, sortKey []byte) []byte {
	dst = Begin(dst, rpc, ArgStruct)
	dst = appendKey(dst, hashKey, sortKey)
	return Finish(dst)
}

// AppendBlobRequest makes a call whose argument is bare bytes: SortKeyCount.
func AppendBlobRequest(dst []byte, rpc string, b []byte) []byte {
	dst = Begin(dst, rpc, ArgStruct)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b)))
	dst = append(dst, b...)
	return Finish(dst)
}

// AppendPut makes a Put; expire is in seconds since 2016, 0 for never.
func AppendPut(dst, hashKey, sortKey, value []byte, expire int32) []byte {
	const around = 128 // more than all that is not key or value
	dst = Begin(slices.Grow(dst, around+len(hashKey)+len(sortKey)+len(value)), Put, ArgStruct)
	dst = append(dst, typeStruct, 0, 1)
	dst = appendKey(dst, hashKey, sortKey)
	dst = appendBlob(dst, 2, value)
	dst = appendI32(dst, 3, expire)
	return Finish(append(dst, stop))
}

// AppendIncr makes an Incr; expire as the protocol has it: 0 keeps, > 0 sets,
// < 0 clears.
func AppendIncr(dst, hashKey, sortKey []byte, by int64, expire int32) []byte {
	dst = Begin(dst, Incr, ArgStruct)
	dst = append(dst, typeStruct, 0, 1)
	dst = appendKey(dst, hashKey, sortKey)
	dst = appendI64(dst, 2, by)
	dst = appendI32(dst, 3, expire)
	return Finish(append(dst, stop))
}

// MultiGetLimits bounds a MultiGet; 0 is the server's limit.
type MultiGetLimits struct {
	Count, Bytes int32
	NoValue      bool
}

// AppendMultiGet makes a MultiGet of the records of sort keys.
func AppendMultiGet(dst, hashKey []byte, sortKeys [][]byte, l MultiGetLimits) []byte {
	dst = Begin(dst, MultiGet, ArgStruct)
	dst = appendBlob(dst, 1, hashKey)
	dst = binary.BigEndian.AppendUint32(append(dst, typeList, 0, 2, typeStruct), uint32(len(sortKeys)))
	for _, k := range sortKeys {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(k)))
		dst = append(dst, k...)
	}
	dst = appendI32(dst, 3, l.Count)
	dst = appendI32(dst, 4, l.Bytes)
	dst = appendBool(dst, 5, l.NoValue)
	// What selects a range is of no meaning here, but servers want it.
	dst = appendBlob(dst, 6, nil)
	dst = appendBlob(dst, 7, nil)
	dst = appendBool(dst, 8, false)
	dst = appendBool(dst, 9, false)
	dst = appendI32(dst, 10, 0)
	dst = appendBlob(dst, 11, nil)
	dst = appendBool(dst, 12, false)
	return Finish(append(dst, stop))
}

// AppendScan asks for the next page of a scanner.
func AppendScan(dst []byte, context int64) []byte {
	dst = Begin(dst, Scan, ArgStruct)
	dst = appendI64(dst, 1, context)
	return Finish(append(dst, stop))
}

// AppendClearScanner gives up a scanner; it is never answered.
func AppendClearScanner(dst []byte, context int64) []byte {
	dst = Begin(dst, ClearScanner, ArgI64)
	dst = binary.BigEndian.AppendUint64(dst, uint64(context))
	return Finish(dst)
}

// AppendPing makes a call that no server knows and every server answers.
func AppendPing(dst []byte) []byte {
	return AppendBlobRequest(dst, "RPC_ARION_PING", nil)
}

func appendKey(dst, hashKey, sortKey []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(2+len(hashKey)+len(sortKey)))
	return key.Append(dst, hashKey, sortKey)
}

// Replies begin with the status and what was asked for; servers write these fields
// first, and what follows them is of no interest to a call. Reading on to the end
// costs ten times as much, see BenchmarkDecodeValue.
const (
	fieldHead = 3 // type, id
	statusLen = fieldHead + 4
)

// plainStatus reads the status at the front; ok is false if something else is there.
func plainStatus(body []byte) (status int32, rest []byte, ok bool) {
	if len(body) < statusLen || body[0] != typeI32 || body[1] != 0 || body[2] != 1 {
		return 0, nil, false
	}
	return int32(binary.BigEndian.Uint32(body[fieldHead:])), body[statusLen:], true
}

// DecodeValue reads the reply to Get. value aliases body.
func DecodeValue(body []byte) (status int32, value []byte, err error) {
	const head = fieldHead + 4
	if status, b, ok := plainStatus(body); ok && len(b) > head && b[0] == typeStruct && b[1] == 0 && b[2] == 2 {
		if n := uint64(binary.BigEndian.Uint32(b[fieldHead:])); n <= uint64(len(b)-head) {
			return status, b[head : head+n : head+n], nil
		}
	}
	f := fieldsOf(body)
	for f.next() {
		switch {
		case f.id == 1 && f.typ == typeI32:
			status = f.i32()
		case f.id == 2 && f.typ == typeStruct:
			value = f.blob()
		default:
			f.skip()
		}
	}
	return status, value, f.err("read_response")
}

// DecodeNumber reads replies of the form {1: i32 status, 2: number}: Incr, TTL,
// SortKeyCount, and those to plain writes, which have a table id there.
func DecodeNumber(body []byte) (status int32, n int64, err error) {
	if status, b, ok := plainStatus(body); ok && len(b) >= fieldHead+8 && b[1] == 0 && b[2] == 2 {
		switch b[0] {
		case typeI32:
			return status, int64(int32(binary.BigEndian.Uint32(b[fieldHead:]))), nil
		case typeI64:
			return status, int64(binary.BigEndian.Uint64(b[fieldHead:])), nil
		}
	}
	f := fieldsOf(body)
	for f.next() {
		switch {
		case f.id == 1 && f.typ == typeI32:
			status = f.i32()
		case f.id == 2 && f.typ == typeI32:
			n = int64(f.i32())
		case f.id == 2 && f.typ == typeI64:
			n = int64(f.u64())
		default:
			f.skip()
		}
	}
	return status, n, f.err("response")
}

// DecodeDecree finds the log index in the reply to a write, 0 if there is none.
// Each kind of reply has it at another field, from the fourth on, where it is the
// only number of 64 bits.
func DecodeDecree(body []byte) (decree int64) {
	f := fieldsOf(body)
	for f.next() {
		switch {
		case f.id >= 4 && f.typ == typeI64:
			decree = int64(f.u64())
		case f.typ == typeStruct: // the value that was checked, a blob
			f.blob()
		default:
			f.skip()
		}
	}
	if f.bad {
		return 0
	}
	return max(0, decree) // -1: refused before it came to the log
}

// fields walks a struct. It reads flat structs only: a nested one that nobody
// asked for cannot be skipped, since blobs carry the struct tag too.
type fields struct {
	decoder
	id  int16
	typ byte
}

func fieldsOf(body []byte) fields {
	return fields{decoder: decoder{b: body, bad: body == nil}}
}

func (f *fields) next() bool {
	if f.bad {
		return false
	}
	if f.typ = f.u8(); f.typ == stop {
		return false
	}
	f.id = f.i16()
	return !f.bad
}

func (f *fields) skip() {
	switch f.typ {
	case 2, 3:
		f.take(1)
	case 6:
		f.take(2)
	case typeI32:
		f.take(4)
	case 4, typeI64:
		f.take(8)
	case typeString:
		f.blob()
	default:
		f.bad = true
	}
}

func (f *fields) err(what string) error {
	if f.bad {
		return fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	return nil
}

// decoder takes values off the front of b. Running out sets bad and gives zeros
// from there on.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) u8() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) i16() int16 {
	if b := d.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) i32() int32 { return int32(d.u32()) }

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) blob() []byte { return d.take(int(d.i32())) }
