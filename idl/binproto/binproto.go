// Package binproto is the strict form of thrift's binary protocol over a byte
// slice. Reader and Writer both satisfy thrift.TProtocol, so generated code
// runs on them; calling the half a type does not have gives ErrDirection.
//
// A Reader treats its input as hostile: it never panics, never allocates by a
// length it has not checked against the bytes left, and bounds nesting.
package binproto

import (
	"errors"

	"github.com/apache/thrift/lib/go/thrift"
)

// The ways input can be wrong. Generated code wraps them; match with errors.Is.
var (
	ErrTruncated = newError(thrift.INVALID_DATA, "input ends inside a value")
	ErrSize      = newError(thrift.SIZE_LIMIT, "length negative or beyond the input")
	ErrDepth     = newError(thrift.DEPTH_LIMIT, "values nested too deep")
	ErrType      = newError(thrift.INVALID_DATA, "unknown type tag")
	ErrVersion   = newError(thrift.BAD_VERSION, "message header is not strict version 1")
	ErrDirection = newError(thrift.NOT_IMPLEMENTED, "reading from a writer or writing to a reader")
)

func newError(id int, text string) error {
	return thrift.NewTProtocolExceptionWithType(id, errors.New("binproto: "+text))
}

const (
	// maxDepth bounds how deep Skip follows nested values. The deepest message of
	// the protocol nests six levels.
	maxDepth = 32

	// maxElements bounds the elements of all containers read by one Reader. An
	// element may be a single STOP byte on the wire and still cost its reader a
	// struct and a pointer, so the bound on bytes alone would be a weak one.
	maxElements = 1 << 22
)

// minSize is the least number of bytes a value of the type takes, 0 for a tag
// that may not occur. Special types (blob, gpid) carry the struct tag, so a
// struct counts one byte.
func minSize(t thrift.TType) int {
	switch t {
	case thrift.BOOL, thrift.BYTE, thrift.STRUCT:
		return 1
	case thrift.I16:
		return 2
	case thrift.I32, thrift.STRING:
		return 4
	case thrift.I64, thrift.DOUBLE:
		return 8
	case thrift.SET, thrift.LIST:
		return 5
	case thrift.MAP:
		return 6
	case thrift.UUID:
		return 16
	}
	return 0
}

// fixedSize is the size of a type whose values all have the same, else 0.
func fixedSize(t thrift.TType) int {
	switch t {
	case thrift.BOOL, thrift.BYTE, thrift.I16, thrift.I32, thrift.I64, thrift.DOUBLE, thrift.UUID:
		return minSize(t)
	}
	return 0
}
