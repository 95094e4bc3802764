package base

import (
	"context"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/arionkv/arion/idl/code"
)

// ErrorCode is an error by name: i32 length, then the name.
type ErrorCode struct{ Errno string }

// NewErrorCode makes an unset ErrorCode, as generated code expects.
func NewErrorCode() *ErrorCode { return &ErrorCode{} }

// ErrorCodeOf makes the ErrorCode of c.
func ErrorCodeOf(c code.Code) *ErrorCode { return &ErrorCode{Errno: c.String()} }

// Code gives the number of the name; unset and unknown names are code.Unknown.
func (e *ErrorCode) Code() code.Code {
	if e == nil {
		return code.Unknown
	}
	c, _ := code.Parse(e.Errno)
	return c
}

func (e *ErrorCode) Read(ctx context.Context, p thrift.TProtocol) error {
	b, err := p.ReadBinary(ctx)
	if err != nil {
		return err
	}
	e.Errno = internErrno(b)
	return nil
}

// internErrno avoids a copy for the names in the table.
func internErrno(b []byte) string {
	if c, ok := code.Parse(string(b)); ok {
		return c.String()
	}
	return string(b)
}

// Write never writes an empty name, which no client can read.
func (e *ErrorCode) Write(ctx context.Context, p thrift.TProtocol) error {
	return p.WriteString(ctx, e.String())
}

func (e *ErrorCode) Equals(o *ErrorCode) bool { return e.String() == o.String() }

// String gives the name, ERR_UNKNOWN if there is none.
func (e *ErrorCode) String() string {
	if e == nil || e.Errno == "" {
		return code.Unknown.String()
	}
	return e.Errno
}

// TaskCode is the name of a call: i32 length, then the name.
type TaskCode struct{ Name string }

// NewTaskCode makes an empty TaskCode, as generated code expects.
func NewTaskCode() *TaskCode { return &TaskCode{} }

func (t *TaskCode) Read(ctx context.Context, p thrift.TProtocol) (err error) {
	t.Name, err = p.ReadString(ctx)
	return err
}

func (t *TaskCode) Write(ctx context.Context, p thrift.TProtocol) error {
	return p.WriteString(ctx, t.String())
}

func (t *TaskCode) Equals(o *TaskCode) bool { return t.String() == o.String() }

func (t *TaskCode) String() string {
	if t == nil {
		return ""
	}
	return t.Name
}
