package rpc

import (
	"context"

	"github.com/apache/thrift/lib/go/thrift"
)

// skipStruct reads any struct and keeps nothing, like a decoder that knows none
// of the fields.
type skipStruct struct{}

func (*skipStruct) Read(ctx context.Context, p thrift.TProtocol) error {
	return p.Skip(ctx, thrift.STRUCT)
}

func (*skipStruct) Write(ctx context.Context, p thrift.TProtocol) error {
	return p.WriteFieldStop(ctx)
}
