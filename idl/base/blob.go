package base

import (
	"bytes"
	"context"
	"strconv"

	"github.com/apache/thrift/lib/go/thrift"
)

// Blob is a run of bytes: i32 length, then the bytes.
//
// Read from a *binproto.Reader, Data aliases the reader's input and lives as
// long as that does.
type Blob struct{ Data []byte }

// NewBlob makes an empty Blob, as generated code expects.
func NewBlob() *Blob { return &Blob{} }

// BlobOf makes a Blob that shares b.
func BlobOf(b []byte) *Blob { return &Blob{Data: b} }

// Bytes gives the content, nil for a nil Blob.
func (b *Blob) Bytes() []byte {
	if b == nil {
		return nil
	}
	return b.Data
}

// Len is the number of bytes, 0 for a nil Blob.
func (b *Blob) Len() int { return len(b.Bytes()) }

func (b *Blob) Read(ctx context.Context, p thrift.TProtocol) (err error) {
	b.Data, err = p.ReadBinary(ctx)
	return err
}

func (b *Blob) Write(ctx context.Context, p thrift.TProtocol) error {
	return p.WriteBinary(ctx, b.Bytes())
}

func (b *Blob) Equals(o *Blob) bool { return bytes.Equal(b.Bytes(), o.Bytes()) }

// String quotes the bytes for logs and messages.
func (b *Blob) String() string { return strconv.Quote(string(b.Bytes())) }
