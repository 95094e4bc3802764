package frame

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/arionkv/arion/idl/binproto"
	"github.com/arionkv/arion/idl/code"
)

const (
	thft0Len = 48 // whole header of version 0
	thft1Len = 16 // header of version 1 before its meta

	// minReply is a reply with an empty error name and an empty call name.
	minReply = 4 + 4 + 12
)

var (
	errOK      = code.OK.String()
	errUnknown = code.Unknown.String()
)

func thftRequestSize(b []byte) (n, need int, err error) {
	switch binary.BigEndian.Uint32(b[4:]) {
	case 0:
		return thft0Size(b)
	case 1:
		return thft1Size(b)
	}
	return 0, 0, broken("unknown header version")
}

func thft0Size(b []byte) (n, need int, err error) {
	if binary.BigEndian.Uint32(b[8:]) != thft0Len {
		return 0, 0, broken("wrong header length")
	}
	if len(b) < 20 {
		return 0, thft0Len, nil
	}
	body := binary.BigEndian.Uint32(b[16:])
	if body > MaxBody {
		return 0, 0, broken("body too large")
	}
	n = thft0Len + int(body)
	return n, n, nil
}

func thft1Size(b []byte) (n, need int, err error) {
	meta, body := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	if meta > maxMeta {
		return 0, 0, broken("meta too large")
	}
	if body > MaxBody {
		return 0, 0, broken("body too large")
	}
	n = thft1Len + int(meta) + int(body)
	return n, n, nil
}

func parseTHFTRequest(b []byte) (h Header, args []byte, err error) {
	var body []byte
	if binary.BigEndian.Uint32(b[4:]) == 0 {
		h, body = thft0Header(b), b[thft0Len:]
	} else {
		metaEnd := thft1Len + int(binary.BigEndian.Uint32(b[8:]))
		body = b[metaEnd:]
		h.Proto = ProtoTHFT1
		if err := h.readMeta(b[thft1Len:metaEnd:metaEnd]); err != nil {
			return Header{}, nil, broken("request_meta unreadable")
		}
	}
	var r binproto.Reader
	r.Reset(body)
	name, kind, seq, err := r.MessageHeader()
	switch {
	case err != nil:
		return Header{}, nil, broken("message header unreadable")
	case kind != thrift.CALL && kind != thrift.ONEWAY:
		return Header{}, nil, broken("message is not a call")
	case !validName(name):
		return Header{}, nil, broken("call name not acceptable")
	}
	h.Name, h.Seq, h.Oneway = intern(name), seq, kind == thrift.ONEWAY
	args, err = argument(&r)
	return h, args, err
}

func thft0Header(b []byte) Header {
	return Header{
		Proto:          ProtoTHFT0,
		AppID:          int32(binary.BigEndian.Uint32(b[24:])),
		PartitionIndex: int32(binary.BigEndian.Uint32(b[28:])),
		TimeoutMS:      int32(binary.BigEndian.Uint32(b[32:])),
		ThreadHash:     int32(binary.BigEndian.Uint32(b[36:])),
		PartitionHash:  binary.BigEndian.Uint64(b[40:]),
	}
}

// readMeta reads a request_meta by hand: it is on the path of every java call,
// and the generated struct would have to be allocated.
func (h *Header) readMeta(b []byte) error {
	var r binproto.Reader
	r.Reset(b)
	for {
		t, id, err := r.FieldHeader()
		if err != nil || t == thrift.STOP {
			return err
		}
		if err := h.readMetaField(&r, t, id); err != nil {
			return err
		}
	}
}

func (h *Header) readMetaField(r *binproto.Reader, t thrift.TType, id int16) (err error) {
	switch {
	case id == 1 && t == thrift.I32:
		h.AppID, err = r.ReadI32(background)
	case id == 2 && t == thrift.I32:
		h.PartitionIndex, err = r.ReadI32(background)
	case id == 3 && t == thrift.I32:
		h.TimeoutMS, err = r.ReadI32(background)
	case id == 4 && t == thrift.I64:
		var v int64
		v, err = r.ReadI64(background)
		h.PartitionHash = uint64(v)
	case id == 5 && t == thrift.BOOL:
		h.Backup, err = r.ReadBool(background)
	default:
		err = r.Skip(background, t)
	}
	return err
}

func writeTHFTRequest(w *binproto.Writer, h *Header, arg Message) {
	start := len(w.Buf)
	var lenAt, bodyAt int
	w.Buf = append(w.Buf, magicTHFT...)
	if h.Proto == ProtoTHFT1 {
		w.Buf = binary.BigEndian.AppendUint32(w.Buf, 1)
		w.Buf = append(w.Buf, make([]byte, 8)...)
		h.writeMeta(w)
		binary.BigEndian.PutUint32(w.Buf[start+8:], uint32(len(w.Buf)-start-thft1Len))
		lenAt, bodyAt = start+12, len(w.Buf)
	} else {
		h.writeTHFT0(w)
		lenAt, bodyAt = start+16, start+thft0Len
	}
	kind := thrift.CALL
	if h.Oneway {
		kind = thrift.ONEWAY
	}
	w.MessageHeader(h.Name, "", kind, h.Seq)
	if arg != nil {
		_ = writeField(w, 1, arg)
	}
	w.Stop()
	binary.BigEndian.PutUint32(w.Buf[lenAt:], uint32(len(w.Buf)-bodyAt))
}

// writeTHFT0 writes the header after the magic; the body length is set later.
func (h *Header) writeTHFT0(w *binproto.Writer) {
	b := w.Buf
	for _, v := range [...]uint32{
		0, thft0Len, 0, 0, 0,
		uint32(h.AppID), uint32(h.PartitionIndex), uint32(h.TimeoutMS), uint32(h.ThreadHash),
	} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	w.Buf = binary.BigEndian.AppendUint64(b, h.PartitionHash)
}

func (h *Header) writeMeta(w *binproto.Writer) {
	w.FieldHeader(thrift.I32, 1)
	_ = w.WriteI32(background, h.AppID)
	w.FieldHeader(thrift.I32, 2)
	_ = w.WriteI32(background, h.PartitionIndex)
	w.FieldHeader(thrift.I32, 3)
	_ = w.WriteI32(background, h.TimeoutMS)
	w.FieldHeader(thrift.I64, 4)
	_ = w.WriteI64(background, int64(h.PartitionHash))
	w.FieldHeader(thrift.BOOL, 5)
	_ = w.WriteBool(background, h.Backup)
	w.Stop()
}

func writeTHFTReply(w *binproto.Writer, h *Header, errName string, result Message) error {
	start := len(w.Buf)
	w.Buf = append(w.Buf, 0, 0, 0, 0)
	_ = w.WriteString(background, frameErrorName(errName))
	w.MessageHeader(h.Name, replySuffix, thrift.REPLY, h.Seq)
	if result != nil {
		if err := writeField(w, 0, result); err != nil {
			return err
		}
		w.Stop()
	}
	n := len(w.Buf) - start
	if n > math.MaxInt32 {
		return binproto.ErrSize
	}
	binary.BigEndian.PutUint32(w.Buf[start:], uint32(n))
	return nil
}

// frameErrorName never lets an empty or oversized name through: clients look it
// up in a list and give the connection up if it is not there.
func frameErrorName(s string) string {
	if s == "" || len(s) > MaxName {
		return errUnknown
	}
	return s
}

func thftReplySize(b []byte) (n, need int, err error) {
	if len(b) < 4 {
		return 0, 4, nil
	}
	total := binary.BigEndian.Uint32(b)
	if total < minReply || total > MaxBody {
		return 0, 0, broken("impossible reply length")
	}
	return int(total), int(total), nil
}

func parseTHFTReply(p Proto, b []byte) (h Header, body []byte, err error) {
	var r binproto.Reader
	r.Reset(b[4:])
	errName, err := r.Blob()
	if err != nil || len(errName) > MaxName {
		return Header{}, nil, broken("error name unreadable")
	}
	name, kind, seq, err := r.MessageHeader()
	switch {
	case err != nil:
		return Header{}, nil, broken("message header unreadable")
	case kind != thrift.REPLY:
		return Header{}, nil, broken("message is not a reply")
	case len(name) > MaxName+len(replySuffix):
		return Header{}, nil, broken("call name too long")
	}
	h = Header{Proto: p, Seq: seq, Error: internErr(errName), Name: intern(trimReply(name))}
	// An error reply may carry a result, for instance of a read that was
	// throttled; clients do not read it, and neither do we.
	if h.Error == errOK {
		body, _ = argument(&r)
	}
	return h, body, nil
}

func trimReply(name []byte) []byte { return bytes.TrimSuffix(name, []byte(replySuffix)) }
