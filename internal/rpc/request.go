package rpc

import (
	"sync/atomic"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
)

// Request is one call as a handler sees it. It is ended by exactly one of Reply,
// Fail, Ignore and CloseConn, from any goroutine; later ones are ignored and
// counted. If the connection is gone by then nothing is sent.
type Request struct {
	frame.Header

	// Args is the encoded argument. It lies in pooled memory and is valid until
	// the request is ended; the same holds for blobs decoded from it, so encode a
	// reply that points into it through Reply, which is done when it returns.
	Args []byte

	// Remote is the peer's address, for logs.
	Remote string

	conn  *conn
	route *route
	buf   *frameBuf
	cost  int64 // bytes taken from the server's budget
	start int64 // nanoseconds of the server's clock
	ended atomic.Bool
}

// Decode reads the argument into m. Blobs in m alias Args.
func (r *Request) Decode(m frame.Message) error { return frame.Decode(r.Args, m) }

// DecodeOrFail reads the argument into m, or answers ERR_INVALID_PARAMETERS and
// returns false.
func (r *Request) DecodeOrFail(m frame.Message) bool {
	if err := r.Decode(m); err != nil {
		r.Fail(code.InvalidParameters)
		return false
	}
	return true
}

// Reply answers with a result. m is encoded before Reply returns.
func (r *Request) Reply(m frame.Message) {
	if r.claim() {
		r.conn.answer(r, code.OK, m)
	}
}

// Fail answers with a frame error and no body. A code that some clients cannot
// read in a frame is replaced by one they can, unless the peer is a native one.
func (r *Request) Fail(c code.Code) {
	if r.claim() {
		r.conn.answer(r, r.readable(c), nil)
	}
}

// Ignore ends the request without an answer.
func (r *Request) Ignore() {
	if r.claim() {
		r.conn.settle(r, outcomeIgnored)
	}
}

// CloseConn ends the request by closing the connection, for a peer whose bytes
// cannot be trusted.
func (r *Request) CloseConn() {
	if r.claim() {
		r.conn.settle(r, outcomeClosed)
		r.conn.abort(closeHandler)
	}
}

// HostPorts reports whether this peer wants the optional host_port fields.
func (r *Request) HostPorts() bool {
	return r.Proto == frame.ProtoRDSN || r.conn.srv.opts.ThftHostPorts
}

func (r *Request) claim() bool {
	if r.ended.CompareAndSwap(false, true) {
		return true
	}
	r.conn.srv.metrics.duplicates.Inc()
	return false
}

// readable replaces a code that breaks clients by one that makes them do the
// same: look again elsewhere, pause, or give up.
func (r *Request) readable(c code.Code) code.Code {
	if r.Proto == frame.ProtoRDSN || c.FrameSafe() {
		return c
	}
	switch c.Class() {
	case code.ClassRetryElsewhere:
		return code.InvalidState
	case code.ClassRetryHere:
		return code.Busy
	default:
		return code.Unknown
	}
}
