package binproto

import (
	"context"

	"github.com/apache/thrift/lib/go/thrift"
)

// Skip passes over a value of an ordinary type. A special type (blob, gpid)
// carries the struct tag but has no STOP, so skipping one goes out of step; the
// protocol forbids peers to send such a field unasked.
func (r *Reader) Skip(_ context.Context, t thrift.TType) error {
	return r.skip(t, maxDepth)
}

func (r *Reader) skip(t thrift.TType, depth int) error {
	if depth == 0 {
		return ErrDepth
	}
	if n := fixedSize(t); n > 0 {
		_, err := r.take(n)
		return err
	}
	switch t {
	case thrift.STRING:
		_, err := r.Blob()
		return err
	case thrift.STRUCT:
		return r.skipStruct(depth)
	case thrift.LIST, thrift.SET:
		return r.skipList(depth)
	case thrift.MAP:
		return r.skipMap(depth)
	}
	return ErrType
}

func (r *Reader) skipStruct(depth int) error {
	for {
		t, _, err := r.FieldHeader()
		if err != nil || t == thrift.STOP {
			return err
		}
		if err := r.skip(t, depth-1); err != nil {
			return err
		}
	}
}

func (r *Reader) skipList(depth int) error {
	elem, n, err := r.ReadListBegin(context.Background())
	if err != nil {
		return err
	}
	if size := fixedSize(elem); size > 0 {
		_, err := r.take(n * size)
		return err
	}
	for range n {
		if err := r.skip(elem, depth-1); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) skipMap(depth int) error {
	k, v, n, err := r.ReadMapBegin(context.Background())
	if err != nil {
		return err
	}
	for range n {
		if err := r.skip(k, depth-1); err != nil {
			return err
		}
		if err := r.skip(v, depth-1); err != nil {
			return err
		}
	}
	return nil
}
