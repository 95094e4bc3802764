package base

import (
	"context"
	"strconv"

	"github.com/apache/thrift/lib/go/thrift"
)

// Int64 is the argument of a call that takes a bare i64 (clearing a scanner).
type Int64 struct{ V int64 }

func (v *Int64) Read(ctx context.Context, p thrift.TProtocol) (err error) {
	v.V, err = p.ReadI64(ctx)
	return err
}

func (v *Int64) Write(ctx context.Context, p thrift.TProtocol) error {
	return p.WriteI64(ctx, v.V)
}

func (v *Int64) String() string { return strconv.FormatInt(v.V, 10) }

// String is the result of a call that gives bare text (the remote command).
type String struct{ V string }

func (v *String) Read(ctx context.Context, p thrift.TProtocol) (err error) {
	v.V, err = p.ReadString(ctx)
	return err
}

func (v *String) Write(ctx context.Context, p thrift.TProtocol) error {
	return p.WriteString(ctx, v.V)
}

func (v *String) String() string { return v.V }
