package binproto

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/apache/thrift/lib/go/thrift"
)

// Writer appends values to Buf, which the caller may set, take and reuse. It
// copies everything it is given. Writing cannot fail for lack of room.
type Writer struct {
	noRead
	Buf []byte
}

var _ thrift.TProtocol = (*Writer)(nil)

// Reset empties Buf and keeps its memory.
func (w *Writer) Reset() { w.Buf = w.Buf[:0] }

func (w *Writer) u8(v byte)   { w.Buf = append(w.Buf, v) }
func (w *Writer) i16(v int16) { w.Buf = binary.BigEndian.AppendUint16(w.Buf, uint16(v)) }
func (w *Writer) i32(v int32) { w.Buf = binary.BigEndian.AppendUint32(w.Buf, uint32(v)) }
func (w *Writer) i64(v int64) { w.Buf = binary.BigEndian.AppendUint64(w.Buf, uint64(v)) }

// FieldHeader writes a field's type tag and id.
func (w *Writer) FieldHeader(t thrift.TType, id int16) {
	w.u8(byte(t))
	w.i16(id)
}

// Stop ends a struct.
func (w *Writer) Stop() { w.u8(thrift.STOP) }

func (w *Writer) WriteMessageBegin(_ context.Context, name string, kind thrift.TMessageType, seq int32) error {
	w.MessageHeader(name, "", kind, seq)
	return nil
}

// MessageHeader writes a strict message header; the name is given in two parts
// so that a suffix needs no concatenation.
func (w *Writer) MessageHeader(name, suffix string, kind thrift.TMessageType, seq int32) {
	w.Buf = binary.BigEndian.AppendUint32(w.Buf, thrift.VERSION_1|uint32(kind)&0xff)
	w.i32(int32(len(name) + len(suffix)))
	w.Buf = append(w.Buf, name...)
	w.Buf = append(w.Buf, suffix...)
	w.i32(seq)
}

func (w *Writer) WriteFieldBegin(_ context.Context, _ string, t thrift.TType, id int16) error {
	w.FieldHeader(t, id)
	return nil
}

func (w *Writer) WriteFieldStop(context.Context) error {
	w.Stop()
	return nil
}

func (w *Writer) WriteMapBegin(_ context.Context, k, v thrift.TType, size int) error {
	w.Buf = append(w.Buf, byte(k), byte(v))
	return w.size(size)
}

func (w *Writer) WriteListBegin(_ context.Context, elem thrift.TType, size int) error {
	w.u8(byte(elem))
	return w.size(size)
}

func (w *Writer) WriteSetBegin(ctx context.Context, elem thrift.TType, size int) error {
	return w.WriteListBegin(ctx, elem, size)
}

func (w *Writer) size(n int) error {
	if n > math.MaxInt32 {
		return ErrSize
	}
	w.i32(int32(n))
	return nil
}

func (w *Writer) WriteBool(_ context.Context, v bool) error {
	if v {
		w.u8(1)
	} else {
		w.u8(0)
	}
	return nil
}

func (w *Writer) WriteByte(_ context.Context, v int8) error {
	w.u8(byte(v))
	return nil
}

func (w *Writer) WriteI16(_ context.Context, v int16) error {
	w.i16(v)
	return nil
}

func (w *Writer) WriteI32(_ context.Context, v int32) error {
	w.i32(v)
	return nil
}

func (w *Writer) WriteI64(_ context.Context, v int64) error {
	w.i64(v)
	return nil
}

func (w *Writer) WriteDouble(_ context.Context, v float64) error {
	w.i64(int64(math.Float64bits(v)))
	return nil
}

func (w *Writer) WriteString(_ context.Context, v string) error {
	if err := w.size(len(v)); err != nil {
		return err
	}
	w.Buf = append(w.Buf, v...)
	return nil
}

func (w *Writer) WriteBinary(_ context.Context, v []byte) error {
	if err := w.size(len(v)); err != nil {
		return err
	}
	w.Buf = append(w.Buf, v...)
	return nil
}

func (w *Writer) WriteUUID(_ context.Context, v thrift.Tuuid) error {
	w.Buf = append(w.Buf, v[:]...)
	return nil
}

func (w *Writer) WriteStructBegin(context.Context, string) error { return nil }
func (w *Writer) WriteMessageEnd(context.Context) error          { return nil }
func (w *Writer) WriteStructEnd(context.Context) error           { return nil }
func (w *Writer) WriteFieldEnd(context.Context) error            { return nil }
func (w *Writer) WriteMapEnd(context.Context) error              { return nil }
func (w *Writer) WriteListEnd(context.Context) error             { return nil }
func (w *Writer) WriteSetEnd(context.Context) error              { return nil }
func (w *Writer) Flush(context.Context) error                    { return nil }
func (w *Writer) Transport() thrift.TTransport                   { return nil }
