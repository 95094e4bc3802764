package binproto

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/apache/thrift/lib/go/thrift"
)

// Reader reads values from a byte slice it does not own. Byte slices it returns
// alias that slice; strings are copies. It is not safe for concurrent use.
type Reader struct {
	noWrite
	buf      []byte
	pos      int
	elements int
}

var _ thrift.TProtocol = (*Reader)(nil)

// NewReader makes a Reader over b.
func NewReader(b []byte) *Reader { return &Reader{buf: b} }

// Reset starts over with b.
func (r *Reader) Reset(b []byte) { r.buf, r.pos, r.elements = b, 0, 0 }

// Remaining is the number of bytes not read yet.
func (r *Reader) Remaining() int { return len(r.buf) - r.pos }

// Rest gives the bytes not read yet, without consuming them.
func (r *Reader) Rest() []byte { return r.buf[r.pos:] }

// take consumes n bytes, n >= 0.
func (r *Reader) take(n int) ([]byte, error) {
	if n > len(r.buf)-r.pos {
		return nil, ErrTruncated
	}
	b := r.buf[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b, nil
}

// Blob reads an i32 length and that many bytes, which alias the input.
func (r *Reader) Blob() ([]byte, error) {
	n, err := r.i32()
	if err != nil {
		return nil, err
	}
	if n < 0 || int(n) > r.Remaining() {
		return nil, ErrSize
	}
	return r.take(int(n))
}

func (r *Reader) i32() (int32, error) {
	if r.Remaining() < 4 {
		return 0, ErrTruncated
	}
	v := binary.BigEndian.Uint32(r.buf[r.pos:])
	r.pos += 4
	return int32(v), nil
}

func (r *Reader) u8() (byte, error) {
	if r.Remaining() < 1 {
		return 0, ErrTruncated
	}
	v := r.buf[r.pos]
	r.pos++
	return v, nil
}

// count reads a container's element count and checks it against the bytes left,
// each element taking at least perElement bytes (0: the tag is not a type).
func (r *Reader) count(perElement int) (int, error) {
	n, err := r.i32()
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, nil
	case n < 0:
		return 0, ErrSize
	case perElement == 0:
		return 0, ErrType
	case int64(n)*int64(perElement) > int64(r.Remaining()):
		return 0, ErrSize
	}
	if r.elements += int(n); r.elements > maxElements {
		return 0, ErrSize
	}
	return int(n), nil
}

// ReadMessageBegin reads a strict message header. An old-style header, which
// starts with the length of the name, is ErrVersion.
func (r *Reader) ReadMessageBegin(context.Context) (string, thrift.TMessageType, int32, error) {
	name, kind, seq, err := r.MessageHeader()
	return string(name), kind, seq, err
}

// MessageHeader is ReadMessageBegin without copying the name.
func (r *Reader) MessageHeader() (name []byte, kind thrift.TMessageType, seq int32, err error) {
	v, err := r.i32()
	if err != nil {
		return nil, 0, 0, err
	}
	if uint32(v)&thrift.VERSION_MASK != thrift.VERSION_1 {
		return nil, 0, 0, ErrVersion
	}
	if name, err = r.Blob(); err != nil {
		return nil, 0, 0, err
	}
	seq, err = r.i32()
	return name, thrift.TMessageType(v & 0xff), seq, err
}

// FieldHeader reads a field's type tag and id; the id is absent after STOP.
func (r *Reader) FieldHeader() (thrift.TType, int16, error) {
	t, err := r.u8()
	if err != nil || t == thrift.STOP {
		return thrift.STOP, 0, err
	}
	b, err := r.take(2)
	if err != nil {
		return thrift.STOP, 0, err
	}
	return thrift.TType(t), int16(binary.BigEndian.Uint16(b)), nil
}

func (r *Reader) ReadFieldBegin(context.Context) (string, thrift.TType, int16, error) {
	t, id, err := r.FieldHeader()
	return "", t, id, err
}

func (r *Reader) ReadMapBegin(context.Context) (k, v thrift.TType, size int, err error) {
	b, err := r.take(2)
	if err != nil {
		return 0, 0, 0, err
	}
	k, v = thrift.TType(b[0]), thrift.TType(b[1])
	per := minSize(k) + minSize(v)
	if minSize(k) == 0 || minSize(v) == 0 {
		per = 0
	}
	size, err = r.count(per)
	return k, v, size, err
}

func (r *Reader) ReadListBegin(context.Context) (elem thrift.TType, size int, err error) {
	t, err := r.u8()
	if err != nil {
		return 0, 0, err
	}
	size, err = r.count(minSize(thrift.TType(t)))
	return thrift.TType(t), size, err
}

func (r *Reader) ReadSetBegin(ctx context.Context) (thrift.TType, int, error) {
	return r.ReadListBegin(ctx)
}

// ReadBool takes any byte but 0 for true, as the C++ peers do.
func (r *Reader) ReadBool(context.Context) (bool, error) {
	b, err := r.u8()
	return b != 0, err
}

func (r *Reader) ReadByte(context.Context) (int8, error) {
	b, err := r.u8()
	return int8(b), err
}

func (r *Reader) ReadI16(context.Context) (int16, error) {
	b, err := r.take(2)
	if err != nil {
		return 0, err
	}
	return int16(binary.BigEndian.Uint16(b)), nil
}

func (r *Reader) ReadI32(context.Context) (int32, error) { return r.i32() }

func (r *Reader) ReadI64(context.Context) (int64, error) {
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

func (r *Reader) ReadDouble(ctx context.Context) (float64, error) {
	v, err := r.ReadI64(ctx)
	return math.Float64frombits(uint64(v)), err
}

func (r *Reader) ReadString(context.Context) (string, error) {
	b, err := r.Blob()
	return string(b), err
}

// ReadBinary is Blob: the result aliases the input.
func (r *Reader) ReadBinary(context.Context) ([]byte, error) { return r.Blob() }

func (r *Reader) ReadUUID(context.Context) (id thrift.Tuuid, err error) {
	b, err := r.take(len(id))
	copy(id[:], b)
	return id, err
}

func (r *Reader) ReadStructBegin(context.Context) (string, error) { return "", nil }
func (r *Reader) ReadMessageEnd(context.Context) error            { return nil }
func (r *Reader) ReadStructEnd(context.Context) error             { return nil }
func (r *Reader) ReadFieldEnd(context.Context) error              { return nil }
func (r *Reader) ReadMapEnd(context.Context) error                { return nil }
func (r *Reader) ReadListEnd(context.Context) error               { return nil }
func (r *Reader) ReadSetEnd(context.Context) error                { return nil }
func (r *Reader) Flush(context.Context) error                     { return nil }
func (r *Reader) Transport() thrift.TTransport                    { return nil }
