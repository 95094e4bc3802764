package rpc

import (
	"math/bits"
	"sync"

	"github.com/arionkv/arion/idl/frame"
)

const (
	// largeOut is the size from which a reply gets a buffer of its own. Copying a
	// smaller one costs less than a system call for it.
	largeOut = 32 << 10
	// mediumOut is as far as an output buffer grows for replies that know their size,
	// and as much as gathers before it is written by who made it.
	mediumOut = 16 << 10

	// gatherOut is the output buffer for several such replies together.
	gatherOut = 128 << 10

	// The sizes of output buffers that are used again, up to a page of a scanner and a
	// bit: powers of two, so that no reply holds more than twice its own memory. What
	// is larger is left to the garbage collector.
	minPooledOut = largeOut
	outClasses   = 6
	maxPooledOut = minPooledOut << (outClasses - 1)
)

// largeOuts lends buffers to the connections that have something to put in, while
// idle connections keep small ones. Each holds one size.
var largeOuts [outClasses]sync.Pool // of *[]byte

func outClass(n int) int { return max(0, bits.Len(uint(n-1))-bits.Len(minPooledOut-1)) }

// newLargeOut gives memory for at least n bytes.
func newLargeOut(n int) []byte {
	if n > maxPooledOut {
		return make([]byte, 0, n)
	}
	class := outClass(n)
	if b, ok := largeOuts[class].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, minPooledOut<<class)
}

func putLargeOut(b []byte) {
	class := outClass(cap(b))
	if class >= outClasses || cap(b) != minPooledOut<<class {
		return
	}
	poison(b[:cap(b)])
	b = b[:0]
	largeOuts[class].Put(&b)
}

// sizeOut is about the room that a reply takes, and not less; 0 if m does not know.
func sizeOut(m frame.Message) int {
	const around = 512 // the frame, and what frames add to be sure
	if s, ok := m.(frame.Sized); ok {
		return s.EncodedSize() + around
	}
	return 0
}
