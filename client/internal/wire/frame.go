// Package wire encodes requests and parses replies of the THFT protocol for the
// client. The hot calls are written and read by hand, without generated code
// and without allocation; all others pass through the generated structures.
package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/arionkv/arion/idl/binproto"
)

// A request frame. The header has two versions; the second one exists for the
// backup flag alone, which lets a follower answer.
//
//	v0, 48 bytes                          v1, 16 + 37 bytes
//	+----+------------------------+       +----+------------------------+
//	|  0 | "THFT"                 |       |  0 | "THFT"                 |
//	|  4 | u32 version 0          |       |  4 | u32 version 1          |
//	|  8 | u32 header length 48   |       |  8 | u32 meta length 37     |
//	| 12 | u32 unused             |       | 12 | u32 body length        |
//	| 16 | u32 body length        |       | 16 | thrift struct: table,  |
//	| 20 | u32 unused             |       |    | partition, timeout,    |
//	| 24 | i32 table id           |       |    | hash, backup flag      |
//	| 28 | i32 partition          |       +----+------------------------+
//	| 32 | i32 timeout, ms        |
//	| 36 | i32 unused             |   body: u32 0x80010001, i32 n, n bytes name,
//	| 40 | u64 partition hash     |         i32 seqid, field header, argument, STOP
//	+----+------------------------+
const (
	headerV0 = 48
	metaV1   = 37
	headerV1 = 16 + metaV1

	callVersion  = 0x80010001
	replyVersion = 0x80010002

	typeBool   = 2
	typeI32    = 8
	typeI64    = 10
	typeString = 11
	typeStruct = 12
	stop       = 0

	// nameOffset is where the name's length stands, counted from the body.
	nameOffset = 4
)

// MaxReply bounds one reply. Servers stay near 30 MiB; whatever claims more than
// this is not speaking our protocol.
const MaxReply = 64 << 20

// Argument kinds of Begin.
const (
	ArgStruct = typeStruct
	ArgI64    = typeI64
)

// ErrMalformed marks bytes from a server that break the protocol.
var ErrMalformed = errors.New("malformed reply")

// Message is what generated structures satisfy.
type Message interface {
	Read(context.Context, thrift.TProtocol) error
	Write(context.Context, thrift.TProtocol) error
}

// Begin starts a request frame in dst, which must be empty; the argument is to
// be appended next, then Finish called.
func Begin(dst []byte, rpc string, argType byte) []byte {
	dst = append(dst, "THFT\x00\x00\x00\x00\x00\x00\x00\x30"...)
	var rest [headerV0 - 12]byte
	dst = append(dst, rest[:]...)
	dst = binary.BigEndian.AppendUint32(dst, callVersion)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(rpc)))
	dst = append(dst, rpc...)
	return append(dst, 0, 0, 0, 0, argType, 0, 1)
}

// Finish ends the frame that Begin started.
func Finish(frame []byte) []byte {
	frame = append(frame, stop)
	binary.BigEndian.PutUint32(frame[16:], uint32(len(frame)-headerV0))
	return frame
}

// AppendRequest makes a whole frame around a generated argument.
func AppendRequest(dst []byte, rpc string, arg Message) []byte {
	w := binproto.Writer{Buf: Begin(dst, rpc, ArgStruct)}
	// Writing to memory fails for nil elements of lists only, which the callers
	// in this module never make.
	if err := arg.Write(context.Background(), &w); err != nil {
		panic(fmt.Sprintf("wire: encode %s: %v", rpc, err))
	}
	return Finish(w.Buf)
}

// Route says where a frame goes.
type Route struct {
	TableID, Partition int32
	Hash               uint64
	TimeoutMS          int32
}

// SetRoute fills in the header of a v0 frame.
func SetRoute(frame []byte, r Route) {
	binary.BigEndian.PutUint32(frame[24:], uint32(r.TableID))
	binary.BigEndian.PutUint32(frame[28:], uint32(r.Partition))
	binary.BigEndian.PutUint32(frame[32:], uint32(r.TimeoutMS))
	binary.BigEndian.PutUint32(frame[36:], uint32(r.TableID*7919+r.Partition))
	binary.BigEndian.PutUint64(frame[40:], r.Hash)
}

// body gives the offset of the message in either version.
func body(frame []byte) int {
	if frame[7] == 0 {
		return headerV0
	}
	return headerV1
}

// HeadLen is the length of what SetRoute and SetSeq may change: what follows is the
// same in every try.
func HeadLen(frame []byte) int {
	off := body(frame) + nameOffset
	return off + 4 + int(binary.BigEndian.Uint32(frame[off:])) + 4
}

// SetSeq fills in the sequence number.
func SetSeq(frame []byte, seq int32) {
	off := body(frame) + nameOffset
	n := int(binary.BigEndian.Uint32(frame[off:]))
	binary.BigEndian.PutUint32(frame[off+4+n:], uint32(seq))
}

// Spoil turns a frame that has not left yet into one no server acts upon: its
// name becomes unknown, which every server answers with an error that nobody
// waits for. Cutting it out of the buffer would move all that follows.
func Spoil(frame []byte) {
	frame[body(frame)+nameOffset+4] = '-'
}

// AppendBackup appends frame, a v0 request, as a v1 request that a follower may
// answer, sent to partition r.
func AppendBackup(dst, frame []byte, r Route) []byte {
	message := frame[headerV0:]
	dst = append(dst, "THFT\x00\x00\x00\x01\x00\x00\x00"...)
	dst = append(dst, metaV1)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(message)))
	dst = appendI32(dst, 1, r.TableID)
	dst = appendI32(dst, 2, r.Partition)
	dst = appendI32(dst, 3, r.TimeoutMS)
	dst = appendI64(dst, 4, int64(r.Hash))
	dst = append(dst, 2, 0, 5, 1, stop)
	return append(dst, message...)
}

func appendI32(dst []byte, id byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, typeI32, 0, id), uint32(v))
}

func appendI64(dst []byte, id byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, typeI64, 0, id), uint64(v))
}

func appendBool(dst []byte, id byte, v bool) []byte {
	if v {
		return append(dst, typeBool, 0, id, 1)
	}
	return append(dst, typeBool, 0, id, 0)
}

func appendBlob(dst []byte, id byte, b []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, typeStruct, 0, id), uint32(len(b)))
	return append(dst, b...)
}

// Reply is one parsed reply frame. Slices alias the frame.
type Reply struct {
	Code []byte // "ERR_OK" or the error's name
	Seq  int32
	// Body is the result behind its field header, with the final STOP; nil if the
	// frame carries none.
	Body []byte
	// Own is the frame's memory if that is the receiver's to keep, or to give to
	// GiveMemory; otherwise nil.
	Own []byte
}

// Keep gives a body that stays valid: a copy, unless it may be kept as it is.
func (r *Reply) Keep() []byte {
	if r.Own != nil || r.Body == nil {
		return r.Body
	}
	return append([]byte{}, r.Body...)
}

// OK reports that a handler ran.
func (r *Reply) OK() bool { return string(r.Code) == "ERR_OK" }

// ReplySize gives the length of the frame that starts with b, 0 if b is too
// short to tell.
func ReplySize(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, nil
	}
	n := binary.BigEndian.Uint32(b)
	// The shortest frame: lengths, an empty error name, message header.
	if n < 4+4+12 || n > MaxReply {
		return 0, fmt.Errorf("%w: frame of %d bytes", ErrMalformed, n)
	}
	return int(n), nil
}

// ParseReply splits a whole frame.
func ParseReply(frame []byte) (r Reply, err error) {
	d := decoder{b: frame}
	d.u32()
	r.Code = d.blob()
	version := d.u32()
	d.blob() // the name, known from the sequence number
	r.Seq = int32(d.u32())
	if d.bad || version != replyVersion {
		return Reply{}, fmt.Errorf("%w: no reply header", ErrMalformed)
	}
	if len(d.b) >= 3 && d.b[0] != stop {
		r.Body = d.b[3:]
	}
	return r, nil
}

// Decode reads a generated structure from a reply's body. Its blobs alias body.
func Decode(body []byte, m Message) error {
	if body == nil {
		return fmt.Errorf("%w: no result", ErrMalformed)
	}
	if err := m.Read(context.Background(), binproto.NewReader(body)); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
