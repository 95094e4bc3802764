package rpc

import (
	"sync"

	"github.com/arionkv/arion/idl/frame"
)

// maxPooledOut is the largest output buffer that is used again: a page of a
// scanner and a bit. What is larger is left to the garbage collector.
const maxPooledOut = 1 << 20

// largeOuts lends output buffers beyond maxIdleOut to the connections that have
// something to put in, while idle connections keep small ones.
var largeOuts sync.Pool // of *[]byte

// makeRoom takes a used buffer for a reply that needs a large one. Frames make room
// for themselves where there is none.
func makeRoom(dst []byte, m frame.Message) []byte {
	s, ok := m.(frame.Sized)
	if !ok {
		return dst
	}
	const around = 512 // the frame, and what frames add to be sure
	need := len(dst) + s.EncodedSize() + around
	if need <= maxIdleOut || need <= cap(dst) || need > maxPooledOut {
		return dst
	}
	b, ok := largeOuts.Get().(*[]byte)
	if !ok || cap(*b) < need {
		return dst
	}
	return append(*b, dst...)
}

func putLargeOut(b []byte) {
	if cap(b) > maxPooledOut {
		return
	}
	poison(b[:cap(b)])
	b = b[:0]
	largeOuts.Put(&b)
}
