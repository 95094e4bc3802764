package frame

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/arionkv/arion/idl/binproto"
)

// The RDSN header is little endian; the body, a struct of one field, is not.
//
//	  0 magic        4 version 0    8 length 192  12 header crc  16 body length
//	 20 body crc    24 id u64      32 trace u64   40 call name, 48 bytes
//	 88 call code (2 x 4)          96 table      100 partition  104 context u64
//	112 sender u64 120 timeout ms 124 thread hash               128 partition hash u64
//	136 error name, 48 bytes      184 error code (2 x 4)
//
// Names are padded with zeros. The numeric codes are shortcuts between equal
// binaries and stay 0, which tells the reader to use the names. Crcs are off in
// every known configuration and are ignored.
const (
	rdsnLen = 192

	rdsnVersionAt       = 4
	rdsnLengthAt        = 8
	rdsnBodyAt          = 16
	rdsnIDAt            = 24
	rdsnTraceAt         = 32
	rdsnNameAt          = 40
	rdsnAppAt           = 96
	rdsnPartitionAt     = 100
	rdsnContextAt       = 104
	rdsnFromAt          = 112
	rdsnTimeoutAt       = 120
	rdsnThreadHashAt    = 124
	rdsnPartitionHashAt = 128
	rdsnErrorAt         = 136
	rdsnNameLen         = MaxName + 1
)

// Context bits.
const (
	contextRequest     = 1 << 0
	contextFormatShift = 6 // four bits
	contextFormatMask  = 15
	contextBinary      = 1 << contextFormatShift // thrift binary
	contextForward     = 1 << 10                 // the peer understands a redirect
	contextBackup      = 1 << 11

	contextNewRequest = contextRequest | contextBinary | contextForward
)

func rdsnSize(b []byte) (n, need int, err error) {
	switch {
	case string(b[:4]) != magicRDSN:
		return 0, 0, broken("unknown magic")
	case binary.LittleEndian.Uint32(b[rdsnVersionAt:]) != 0:
		return 0, 0, broken("unknown header version")
	case binary.LittleEndian.Uint32(b[rdsnLengthAt:]) != rdsnLen:
		return 0, 0, broken("wrong header length")
	case len(b) < rdsnBodyAt+4:
		return 0, rdsnLen, nil
	}
	body := binary.LittleEndian.Uint32(b[rdsnBodyAt:])
	if body > MaxBody {
		return 0, 0, broken("body too large")
	}
	n = rdsnLen + int(body)
	return n, n, nil
}

func parseRDSNRequest(b []byte) (h Header, args []byte, err error) {
	h, err = rdsnHeader(b)
	switch {
	case err != nil:
		return Header{}, nil, err
	case h.Context&contextRequest == 0:
		return Header{}, nil, broken("message is not a call")
	}
	var r binproto.Reader
	r.Reset(b[rdsnLen:])
	args, err = argument(&r)
	return h, args, err
}

func parseRDSNReply(b []byte) (h Header, body []byte, err error) {
	h, err = rdsnHeader(b)
	switch {
	case err != nil:
		return Header{}, nil, err
	case h.Context&contextRequest != 0:
		return Header{}, nil, broken("message is not a reply")
	}
	errName, ok := paddedName(b[rdsnErrorAt:])
	if !ok {
		return Header{}, nil, broken("error name unreadable")
	}
	h.Error = internErr(errName)
	h.Name = intern(trimReply([]byte(h.Name)))
	if h.Error == errOK {
		var r binproto.Reader
		r.Reset(b[rdsnLen:])
		body, _ = argument(&r)
	}
	return h, body, nil
}

func rdsnHeader(b []byte) (Header, error) {
	le := binary.LittleEndian
	name, ok := paddedName(b[rdsnNameAt:])
	if !ok {
		return Header{}, broken("call name not acceptable")
	}
	context := le.Uint64(b[rdsnContextAt:])
	if context>>contextFormatShift&contextFormatMask != contextBinary>>contextFormatShift {
		return Header{}, broken("body is not in the binary protocol")
	}
	return Header{
		Proto:          ProtoRDSN,
		AppID:          int32(le.Uint32(b[rdsnAppAt:])),
		PartitionIndex: int32(le.Uint32(b[rdsnPartitionAt:])),
		TimeoutMS:      int32(le.Uint32(b[rdsnTimeoutAt:])),
		ThreadHash:     int32(le.Uint32(b[rdsnThreadHashAt:])),
		PartitionHash:  le.Uint64(b[rdsnPartitionHashAt:]),
		Backup:         context&contextBackup != 0,
		Name:           intern(name),
		ID:             le.Uint64(b[rdsnIDAt:]),
		TraceID:        le.Uint64(b[rdsnTraceAt:]),
		Context:        context,
		From:           int64(le.Uint64(b[rdsnFromAt:])),
	}, nil
}

// paddedName reads a name from a field of 48 bytes, the last of which is zero.
func paddedName(field []byte) ([]byte, bool) {
	field = field[:rdsnNameLen]
	end := bytes.IndexByte(field, 0)
	if end < 0 || !validName(field[:end]) {
		return nil, false
	}
	return field[:end], true
}

func writeRDSNRequest(w *binproto.Writer, h *Header, arg Message) {
	context := h.Context | contextRequest
	if h.Context == 0 {
		context = contextNewRequest
	}
	if h.Backup {
		context |= contextBackup
	}
	start := h.writeRDSN(w, "", "", context)
	if arg != nil {
		_ = writeField(w, 0, arg)
	}
	w.Stop()
	binary.LittleEndian.PutUint32(w.Buf[start+rdsnBodyAt:], uint32(len(w.Buf)-start-rdsnLen))
}

func writeRDSNReply(w *binproto.Writer, h *Header, errName string, result Message) error {
	start := h.writeRDSN(w, replySuffix, frameErrorName(errName), h.Context&^contextRequest)
	if result != nil {
		if err := writeField(w, 0, result); err != nil {
			return err
		}
		w.Stop()
	}
	n := len(w.Buf) - start - rdsnLen
	if n > math.MaxInt32 {
		return binproto.ErrSize
	}
	binary.LittleEndian.PutUint32(w.Buf[start+rdsnBodyAt:], uint32(n))
	return nil
}

// writeRDSN writes a header with body length 0 and returns where it starts.
func (h *Header) writeRDSN(w *binproto.Writer, suffix, errName string, context uint64) int {
	start := len(w.Buf)
	w.Buf = append(w.Buf, make([]byte, rdsnLen)...)
	b, le := w.Buf[start:], binary.LittleEndian
	copy(b, magicRDSN)
	le.PutUint32(b[rdsnLengthAt:], rdsnLen)
	le.PutUint64(b[rdsnIDAt:], h.ID)
	le.PutUint64(b[rdsnTraceAt:], h.TraceID)
	// A name too long for its field is cut; the peer matches replies by id.
	name := b[rdsnNameAt : rdsnNameAt+MaxName]
	copy(name[copy(name, h.Name):], suffix)
	le.PutUint32(b[rdsnAppAt:], uint32(h.AppID))
	le.PutUint32(b[rdsnPartitionAt:], uint32(h.PartitionIndex))
	le.PutUint64(b[rdsnContextAt:], context)
	le.PutUint64(b[rdsnFromAt:], uint64(h.Local))
	le.PutUint32(b[rdsnTimeoutAt:], uint32(h.TimeoutMS))
	le.PutUint32(b[rdsnThreadHashAt:], uint32(h.ThreadHash))
	le.PutUint64(b[rdsnPartitionHashAt:], h.PartitionHash)
	copy(b[rdsnErrorAt:rdsnErrorAt+MaxName], errName)
	return start
}
