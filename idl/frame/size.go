package frame

import (
	"slices"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/rrdb"
)

const (
	// recordOverhead is what a record of a reply has beside its bytes: headers and
	// lengths of its fields.
	recordOverhead = 40
	// replyOverhead is the frame, the error and the fields beside the records.
	replyOverhead = 256
)

// Sized is a Message that knows about how many bytes its payload takes.
type Sized interface{ EncodedSize() int }

// makeRoom grows dst at once for a reply with many records. Growing record by
// record copied everything written so far over and over: a fifth of a server's
// time under scans, see BenchmarkAppendLargeReply.
func makeRoom(dst []byte, m Message) []byte {
	size := 0
	switch r := m.(type) {
	case Sized:
		size = r.EncodedSize()
	case *rrdb.BatchGetResponse:
		if r != nil {
			for _, d := range r.Data {
				if d != nil {
					size += recordSize(d.HashKey, d.SortKey, d.Value)
				}
			}
		}
	}
	if size == 0 {
		return dst
	}
	return slices.Grow(dst, size+replyOverhead)
}

func recordSize(parts ...*base.Blob) int {
	size := recordOverhead
	for _, p := range parts {
		size += p.Len()
	}
	return size
}
