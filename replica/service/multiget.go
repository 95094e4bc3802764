package service

import (
	"context"
	"slices"
	"sync"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/binproto"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/read"
)

// multiGetRequest is a request with its parts, for reuse: with a structure for each
// sort key made anew, a request costs as much as a third of the answer.
type multiGetRequest struct {
	rrdb.MultiGetRequest
	blobs []base.Blob // what SortKeys points to
}

// maxIdleKeys is the most sort keys that a request keeps room for.
const maxIdleKeys = 4096

var multiGetRequests = sync.Pool{New: func() any { return new(multiGetRequest) }}

// release gives the request back.
func (q *multiGetRequest) release() {
	if cap(q.blobs) > maxIdleKeys {
		return
	}
	q.reset()
	multiGetRequests.Put(q)
}

// reset lets go of the frame that the request points to.
func (q *multiGetRequest) reset() {
	clear(q.blobs)
	*q = multiGetRequest{blobs: q.blobs[:0], MultiGetRequest: rrdb.MultiGetRequest{SortKeys: q.SortKeys[:0]}}
}

// multiGetFields are the fields beside the sort keys.
var multiGetFields = map[int16]struct {
	tag  thrift.TType
	read func(*rrdb.MultiGetRequest, context.Context, thrift.TProtocol) error
}{
	1:  {thrift.STRUCT, (*rrdb.MultiGetRequest).ReadField1},
	3:  {thrift.I32, (*rrdb.MultiGetRequest).ReadField3},
	4:  {thrift.I32, (*rrdb.MultiGetRequest).ReadField4},
	5:  {thrift.BOOL, (*rrdb.MultiGetRequest).ReadField5},
	6:  {thrift.STRUCT, (*rrdb.MultiGetRequest).ReadField6},
	7:  {thrift.STRUCT, (*rrdb.MultiGetRequest).ReadField7},
	8:  {thrift.BOOL, (*rrdb.MultiGetRequest).ReadField8},
	9:  {thrift.BOOL, (*rrdb.MultiGetRequest).ReadField9},
	10: {thrift.I32, (*rrdb.MultiGetRequest).ReadField10},
	11: {thrift.STRUCT, (*rrdb.MultiGetRequest).ReadField11},
	12: {thrift.BOOL, (*rrdb.MultiGetRequest).ReadField12},
}

// Read replaces the generated one.
func (q *multiGetRequest) Read(ctx context.Context, p thrift.TProtocol) error {
	r, ok := p.(*binproto.Reader)
	if !ok {
		return q.MultiGetRequest.Read(ctx, p)
	}
	for {
		tag, id, err := r.FieldHeader()
		if err != nil || tag == thrift.STOP {
			return err
		}
		f := multiGetFields[id]
		switch {
		case id == 2 && tag == thrift.LIST:
			err = q.readSortKeys(ctx, r)
		case f.read != nil && f.tag == tag:
			err = f.read(&q.MultiGetRequest, ctx, r)
		default:
			err = r.Skip(ctx, tag)
		}
		if err != nil {
			return err
		}
	}
}

func (q *multiGetRequest) readSortKeys(ctx context.Context, r *binproto.Reader) error {
	const least = 4 // bytes of a blob
	_, n, err := r.ReadListBegin(ctx)
	if err != nil {
		return err
	}
	if n > r.Remaining()/least {
		return binproto.ErrSize
	}
	q.blobs = slices.Grow(q.blobs[:0], n)[:n]
	q.SortKeys = slices.Grow(q.SortKeys[:0], n)[:n]
	for i := range q.blobs {
		if q.blobs[i].Data, err = r.Blob(); err != nil {
			return err
		}
		q.SortKeys[i] = &q.blobs[i]
	}
	return nil
}

func multiGet(c *call, v read.View) (frame.Message, error) {
	req := multiGetRequests.Get().(*multiGetRequest)
	defer req.release()
	if c.Decode(req) != nil {
		return nil, errArgs
	}
	return c.replica.Reads.MultiGet(v, &req.MultiGetRequest)
}
