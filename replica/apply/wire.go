package apply

import (
	"context"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/arionkv/arion/idl/binproto"
)

// putRequest is what a put needs of an rrdb update_request. The slices alias
// the payload.
type putRequest struct {
	key, value []byte
	expire     uint32
}

// Field ids of update_request, see idl/thrift/rrdb.thrift.
const (
	putKeyField    = 1
	putValueField  = 2
	putExpireField = 3
)

// decodePut reads an update_request as the generated code does, without its
// allocations: puts are most of what a partition applies. A test holds the two
// together. Fields 4 to 7 are markers between Pegasus servers and are skipped.
func decodePut(r *binproto.Reader, payload []byte) (req putRequest, err error) {
	r.Reset(payload)
	for {
		t, id, err := r.FieldHeader()
		if err != nil || t == thrift.STOP {
			return req, err
		}
		switch {
		case id == putKeyField && t == thrift.STRUCT:
			req.key, err = r.Blob()
		case id == putValueField && t == thrift.STRUCT:
			req.value, err = r.Blob()
		case id == putExpireField && t == thrift.I32:
			var expire int32
			expire, err = r.ReadI32(context.Background())
			req.expire = uint32(expire)
		case id == checkValueField && t == thrift.STRUCT:
			_, err = r.Blob() // has the struct tag but no STOP: not skippable
		default:
			err = r.Skip(context.Background(), t)
		}
		if err != nil {
			return req, err
		}
	}
}

// checkValueField is the blob among the marker fields.
const checkValueField = 7

// decodeBlob reads the payload of a remove.
func decodeBlob(r *binproto.Reader, payload []byte) ([]byte, error) {
	r.Reset(payload)
	return r.Blob()
}
