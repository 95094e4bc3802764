package conn

import (
	"net"

	"github.com/arionkv/arion/client/internal/wheel"
	"github.com/arionkv/arion/client/internal/wire"
)

const (
	// BulkFrame is the length from which a frame is not copied to be sent.
	BulkFrame = 16 << 10

	// bulkWindow bounds the bytes of bulk frames that a server has been sent and has
	// not answered. What waits here can still be taken back, costs the server nothing
	// while it is busy, and is overtaken by small requests. It is what 10 Gbit/s carry
	// in 3 ms, the time of some syncs; with 8 MB small requests took twice as long
	// beside large ones that keep a disk busy, and no more was written.
	bulkWindow = 4 << 20

	// bulkWrite ends what is handed to the kernel at once.
	bulkWrite = 256 << 10
)

// Patient is a Sink whose request is worth sending only if the answer comes before
// the deadline, which does not change.
type Patient interface{ Deadline() wheel.Time }

// bulk is a large request frame that waits for its turn, or has had it. Its first
// bytes, with all that changes from one try to the next, are a copy; the rest is
// memory of whoever sent it, and must stay as it is.
type bulk struct {
	head, body []byte
	size       int64
	seq        int32
	deadline   wheel.Time // 0 = none
	begun      wheel.Time // when it left, or began to; 0 = it has not
	dropped    bool       // it must not leave
}

// bulks is a queue of frames for one connection, guarded by the connection's mutex.
// Small frames may overtake it.
//
// First come, first served: when there is more to do than the server can in the time
// that callers give, those at the front have little of it left, and would nearly all
// be answered too late. Those that have less than an answer takes at present are
// refused instead, so that what is sent is not sent in vain.
type bulks struct {
	waiting []*bulk // those dropped included
	out     int64   // bytes begun and not answered
	took    estimate
	vectors net.Buffers
	refused []*bulk
}

func newBulk(frame []byte, sink Sink, seq int32) *bulk {
	n := wire.HeadLen(frame)
	b := &bulk{head: append([]byte(nil), frame[:n]...), body: frame[n:], size: int64(len(frame)), seq: seq}
	if p, ok := sink.(Patient); ok {
		b.deadline = p.Deadline()
	}
	wire.SetSeq(b.head, seq)
	return b
}

// ready reports whether a frame may leave.
func (q *bulks) ready() bool {
	for len(q.waiting) > 0 && q.waiting[0].dropped {
		q.shift()
	}
	return len(q.waiting) > 0 && (q.out == 0 || q.out+q.waiting[0].size <= bulkWindow)
}

// take appends to bufs the frames that leave, up to about bulkWrite bytes, and to
// refused those that would be answered too late. One always leaves if none is under
// way: its answer may be faster.
func (q *bulks) take(bufs net.Buffers, now wheel.Time) net.Buffers {
	for n := int64(0); n < bulkWrite && q.ready(); {
		b := q.shift()
		if b.deadline != 0 && q.out > 0 && now+q.took.likely() > b.deadline {
			q.refused = append(q.refused, b)
			continue
		}
		b.begun = now
		q.out += b.size
		n += b.size
		bufs = append(bufs, b.head, b.body)
		b.head, b.body = nil, nil
	}
	return bufs
}

func (q *bulks) shift() *bulk {
	b := q.waiting[0]
	q.waiting[0] = nil
	if q.waiting = q.waiting[1:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	return b
}

// answered takes a frame out of the account. b may be nil.
func (q *bulks) answered(b *bulk, now wheel.Time) {
	if b != nil {
		q.took.add(now - b.begun)
		q.out -= b.size
	}
}

// forgotten takes a frame out of the account, or out of the queue. b may be nil.
func (q *bulks) forgotten(b *bulk, now wheel.Time) {
	switch {
	case b == nil:
	case b.begun != 0:
		q.took.atLeast(now - b.begun)
		q.out -= b.size
	default:
		b.dropped, b.head, b.body = true, nil, nil
	}
}

// estimate follows how long answers take, in the manner of TCP's (RFC 6298).
type estimate struct{ mean, deviation wheel.Time }

func (e *estimate) add(took wheel.Time) {
	off := took - e.mean
	if e.mean == 0 {
		e.mean, e.deviation = took, took/2
		return
	}
	e.mean += off / 8
	e.deviation += (max(off, -off) - e.deviation) / 4
}

// atLeast takes that an answer was not there after so long.
func (e *estimate) atLeast(took wheel.Time) {
	if took > e.mean {
		e.add(took)
	}
}

// likely is the time in which an answer will probably be there.
func (e *estimate) likely() wheel.Time { return e.mean + 2*e.deviation }
