package frame

import (
	"context"
	"sync"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/binproto"
)

// background is passed where thrift's interface wants a context; none of the
// codecs looks at it.
var background = context.Background()

// Message is an argument or a result: a generated struct or a type of idl/base.
type Message interface {
	Read(context.Context, thrift.TProtocol) error
	Write(context.Context, thrift.TProtocol) error
}

// FieldType is the type tag a message travels under. Everything is a struct to
// the wire but the two bare values.
func FieldType(m Message) thrift.TType {
	switch m.(type) {
	case *base.Int64:
		return thrift.I64
	case *base.String:
		return thrift.STRING
	}
	return thrift.STRUCT
}

var (
	readers = sync.Pool{New: func() any { return new(binproto.Reader) }}
	writers = sync.Pool{New: func() any { return new(binproto.Writer) }}
)

// Decode reads a payload into m, which should be new: fields the payload does
// not have are left as they are. Blobs in m alias payload. Bytes after the value
// are ignored.
func Decode(payload []byte, m Message) error {
	r := readers.Get().(*binproto.Reader)
	r.Reset(payload)
	err := m.Read(background, r)
	r.Reset(nil)
	readers.Put(r)
	return err
}

// AppendMessage appends the payload of m, without a field header. It panics if m
// cannot be written, which takes a set with a repeated element.
func AppendMessage(dst []byte, m Message) []byte {
	w := getWriter(dst)
	if err := m.Write(background, w); err != nil {
		panic(err)
	}
	return putWriter(w)
}

// writeField writes m as the field id of a struct.
func writeField(w *binproto.Writer, id int16, m Message) error {
	w.FieldHeader(FieldType(m), id)
	return m.Write(background, w)
}

// getWriter and putWriter lend a Writer to one call: writing through an
// interface would otherwise cost an allocation for each.
func getWriter(dst []byte) *binproto.Writer {
	w := writers.Get().(*binproto.Writer)
	w.Buf = dst
	return w
}

func putWriter(w *binproto.Writer) []byte {
	b := w.Buf
	w.Buf = nil
	writers.Put(w)
	return b
}
