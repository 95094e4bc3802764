package read

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/arionkv/arion/idl/binproto"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// RangeReply is the reply to a multi_get, a get_scanner or a scan, on the wire a
// multi_get_response or a scan_response of rrdb.thrift. Records are written into
// the reply straight from the page that the engine filled: structures for each of
// them cost more than all the rest, see BenchmarkMultiGet1000.
//
// It holds nothing of the request. Release must be the last use.
type RangeReply struct {
	scan           bool // a scan_response
	status         code.Status
	contextID      int64
	counted        bool // kvCount is given
	kvCount        int32
	appID          int32
	partitionIndex int32
	server         string

	rows  int
	bytes int // of keys and values
	// body holds encoded records. The last ones may still be in the page, s.picks
	// of it; pages before had to make room for the next.
	body []byte
	s    *scratch
	// What is returned of the rows of a page.
	keyFrom    int // keys from this byte on
	noValue    bool
	withExpire bool
	// reversed rows come in falling order and leave in rising order: ends are
	// those of the runs in body that are in order.
	reversed bool
	ends     []int
}

var replies = sync.Pool{New: func() any { return new(RangeReply) }}

func (r *Reader) newReply(scan bool) *RangeReply {
	p := replies.Get().(*RangeReply)
	*p = RangeReply{
		scan: scan, appID: r.TableID, partitionIndex: r.PartitionIndex, server: r.Server,
		body: p.body[:0], ends: p.ends[:0], s: getScratch(),
	}
	p.s.picks = p.s.picks[:0]
	return p
}

// Release gives the reply's memory back.
func (p *RangeReply) Release() {
	putScratch(p.s)
	p.s, p.server = nil, ""
	if cap(p.body) > maxIdleScratch {
		p.body = nil
	}
	replies.Put(p)
}

// Status is how the read went.
func (p *RangeReply) Status() code.Status { return p.status }

// Bytes is the length of the keys and values in the reply.
func (p *RangeReply) Bytes() int { return p.bytes }

// fail replaces what there is by an error.
func (p *RangeReply) fail(s code.Status) {
	p.status, p.contextID = s, noContext
	p.rows, p.bytes = 0, 0
	p.body, p.ends, p.s.picks = p.body[:0], p.ends[:0], p.s.picks[:0]
}

// flush encodes the rows picked of the page, which is then free.
func (p *RangeReply) flush() {
	p.body = p.appendPicks(slices.Grow(p.body, p.pickedSize()))
	p.s.picks = p.s.picks[:0]
	p.ends = append(p.ends, len(p.body))
}

// add encodes a record.
func (p *RangeReply) add(key, value []byte) {
	p.rows++
	p.bytes += len(key) + len(value)
	p.body = appendRow(p.body, key, value)
}

func (p *RangeReply) value(page *engine.Page, i int) []byte {
	if p.noValue {
		return nil
	}
	return page.Value(i)[record.HeaderLen:]
}

// A record is a key_value of rrdb.thrift:
//
//	┌────────────┬─────────┬─────┬────────────┬─────────┬───────┬──────────────────┬──────┐
//	│ 0c 00 01   │ u32 BE  │ key │ 0c 00 02   │ u32 BE  │ value │ 08 00 03, u32 BE │  00  │
//	│ struct, 1  │ length  │     │ struct, 2  │ length  │       │ expiry, if asked │ STOP │
//	└────────────┴─────────┴─────┴────────────┴─────────┴───────┴──────────────────┴──────┘
const (
	fieldLen  = 3
	blobHead  = fieldLen + 4
	rowSize   = 2*blobHead + 1
	expirySum = fieldLen + 4
)

func appendRow(dst, key, value []byte) []byte {
	dst = appendBlob(dst, 1, key)
	dst = appendBlob(dst, 2, value)
	return append(dst, thrift.STOP)
}

func appendBlob(dst []byte, id byte, b []byte) []byte {
	n := uint32(len(b))
	dst = append(dst, thrift.STRUCT, 0, id, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	return append(dst, b...)
}

func (p *RangeReply) appendPicks(dst []byte) []byte {
	picks := p.s.picks
	for n := range picks {
		i := picks[n]
		if p.reversed {
			i = picks[len(picks)-1-n]
		}
		dst = appendRow(dst, p.s.page.Key(i)[p.keyFrom:], p.value(&p.s.page, i))
		if p.withExpire {
			dst = append(dst[:len(dst)-1], thrift.I32, 0, 3)
			dst = binary.BigEndian.AppendUint32(dst, expireOf(p.s.page.Value(i)))
			dst = append(dst, thrift.STOP)
		}
	}
	return dst
}

// expireOf reads the expiry of stored bytes that were decoded before.
func expireOf(stored []byte) uint32 {
	h, _, err := record.Decode(stored)
	if err != nil {
		panic(err)
	}
	return h.Expire
}

// pickedSize is what appendPicks will append, or a little more.
func (p *RangeReply) pickedSize() (n int) {
	for _, i := range p.s.picks {
		n += rowSize + expirySum + len(p.s.page.Key(i)) + len(p.value(&p.s.page, i))
	}
	return n
}

// EncodedSize is about the room that Write takes, and not less.
func (p *RangeReply) EncodedSize() int {
	const fields = 64
	return fields + len(p.server) + p.rows*(rowSize+expirySum) + p.bytes
}

var errWriteOnly = errors.New("range replies are written to a binproto.Writer, and nothing else")

// Read implements frame.Message; replies are not read here.
func (p *RangeReply) Read(context.Context, thrift.TProtocol) error { return errWriteOnly }

// Write implements frame.Message.
func (p *RangeReply) Write(ctx context.Context, to thrift.TProtocol) error {
	w, ok := to.(*binproto.Writer)
	if !ok {
		return errWriteOnly
	}
	i32 := func(id int16, v int32) {
		w.FieldHeader(thrift.I32, id)
		w.Buf = binary.BigEndian.AppendUint32(w.Buf, uint32(v))
	}
	i32(1, int32(p.status))
	w.FieldHeader(thrift.LIST, 2)
	w.Buf = binary.BigEndian.AppendUint32(append(w.Buf, thrift.STRUCT), uint32(p.rows))
	p.writeRows(w)
	id := int16(3)
	if p.scan {
		w.FieldHeader(thrift.I64, id)
		w.Buf = binary.BigEndian.AppendUint64(w.Buf, uint64(p.contextID))
		id++
	}
	i32(id, p.appID)
	i32(id+1, p.partitionIndex)
	w.FieldHeader(thrift.STRING, 6)
	if err := w.WriteString(ctx, p.server); err != nil {
		return err
	}
	if p.counted {
		i32(7, p.kvCount)
	}
	w.Stop()
	return nil
}

func (p *RangeReply) writeRows(w *binproto.Writer) {
	if !p.reversed {
		w.Buf = p.appendPicks(append(w.Buf, p.body...))
		return
	}
	w.Buf = p.appendPicks(w.Buf)
	end := len(p.body)
	for i := len(p.ends) - 1; i >= 0; i-- {
		start := 0
		if i > 0 {
			start = p.ends[i-1]
		}
		w.Buf = append(w.Buf, p.body[start:end]...)
		end = start
	}
}
