package binproto

import (
	"context"

	"github.com/apache/thrift/lib/go/thrift"
)

// noWrite is the writing half of thrift.TProtocol for a Reader.
type noWrite struct{}

func (noWrite) WriteMessageBegin(context.Context, string, thrift.TMessageType, int32) error {
	return ErrDirection
}
func (noWrite) WriteMessageEnd(context.Context) error          { return ErrDirection }
func (noWrite) WriteStructBegin(context.Context, string) error { return ErrDirection }
func (noWrite) WriteStructEnd(context.Context) error           { return ErrDirection }
func (noWrite) WriteFieldBegin(context.Context, string, thrift.TType, int16) error {
	return ErrDirection
}
func (noWrite) WriteFieldEnd(context.Context) error  { return ErrDirection }
func (noWrite) WriteFieldStop(context.Context) error { return ErrDirection }
func (noWrite) WriteMapBegin(context.Context, thrift.TType, thrift.TType, int) error {
	return ErrDirection
}
func (noWrite) WriteMapEnd(context.Context) error                       { return ErrDirection }
func (noWrite) WriteListBegin(context.Context, thrift.TType, int) error { return ErrDirection }
func (noWrite) WriteListEnd(context.Context) error                      { return ErrDirection }
func (noWrite) WriteSetBegin(context.Context, thrift.TType, int) error  { return ErrDirection }
func (noWrite) WriteSetEnd(context.Context) error                       { return ErrDirection }
func (noWrite) WriteBool(context.Context, bool) error                   { return ErrDirection }
func (noWrite) WriteByte(context.Context, int8) error                   { return ErrDirection }
func (noWrite) WriteI16(context.Context, int16) error                   { return ErrDirection }
func (noWrite) WriteI32(context.Context, int32) error                   { return ErrDirection }
func (noWrite) WriteI64(context.Context, int64) error                   { return ErrDirection }
func (noWrite) WriteDouble(context.Context, float64) error              { return ErrDirection }
func (noWrite) WriteString(context.Context, string) error               { return ErrDirection }
func (noWrite) WriteBinary(context.Context, []byte) error               { return ErrDirection }
func (noWrite) WriteUUID(context.Context, thrift.Tuuid) error           { return ErrDirection }

// noRead is the reading half of thrift.TProtocol for a Writer.
type noRead struct{}

func (noRead) ReadMessageBegin(context.Context) (string, thrift.TMessageType, int32, error) {
	return "", 0, 0, ErrDirection
}
func (noRead) ReadMessageEnd(context.Context) error { return ErrDirection }
func (noRead) ReadStructBegin(context.Context) (string, error) {
	return "", ErrDirection
}
func (noRead) ReadStructEnd(context.Context) error { return ErrDirection }
func (noRead) ReadFieldBegin(context.Context) (string, thrift.TType, int16, error) {
	return "", 0, 0, ErrDirection
}
func (noRead) ReadFieldEnd(context.Context) error { return ErrDirection }
func (noRead) ReadMapBegin(context.Context) (thrift.TType, thrift.TType, int, error) {
	return 0, 0, 0, ErrDirection
}
func (noRead) ReadMapEnd(context.Context) error { return ErrDirection }
func (noRead) ReadListBegin(context.Context) (thrift.TType, int, error) {
	return 0, 0, ErrDirection
}
func (noRead) ReadListEnd(context.Context) error { return ErrDirection }
func (noRead) ReadSetBegin(context.Context) (thrift.TType, int, error) {
	return 0, 0, ErrDirection
}
func (noRead) ReadSetEnd(context.Context) error { return ErrDirection }
func (noRead) ReadBool(context.Context) (bool, error) {
	return false, ErrDirection
}
func (noRead) ReadByte(context.Context) (int8, error) {
	return 0, ErrDirection
}
func (noRead) ReadI16(context.Context) (int16, error) {
	return 0, ErrDirection
}
func (noRead) ReadI32(context.Context) (int32, error) {
	return 0, ErrDirection
}
func (noRead) ReadI64(context.Context) (int64, error) {
	return 0, ErrDirection
}
func (noRead) ReadDouble(context.Context) (float64, error) {
	return 0, ErrDirection
}
func (noRead) ReadString(context.Context) (string, error) {
	return "", ErrDirection
}
func (noRead) ReadBinary(context.Context) ([]byte, error) {
	return nil, ErrDirection
}
func (noRead) ReadUUID(context.Context) (thrift.Tuuid, error) {
	return thrift.Tuuid{}, ErrDirection
}
func (noRead) Skip(context.Context, thrift.TType) error { return ErrDirection }
