package rpc

import "sync"

// frameClasses are the sizes of pooled request buffers. Most requests are gets
// and small puts (about 100 bytes) and would waste the larger classes. What is
// larger still is left to the garbage collector.
var frameClasses = [...]int{512, 4 << 10, 64 << 10}

const unpooled = -1

// frameBuf holds the bytes of one request frame until it is answered.
type frameBuf struct {
	b     []byte
	class int
}

var framePools [len(frameClasses)]sync.Pool

// newFrameBuf copies a frame into pooled memory.
func newFrameBuf(frame []byte) *frameBuf {
	for class, size := range frameClasses {
		if len(frame) > size {
			continue
		}
		buf, ok := framePools[class].Get().(*frameBuf)
		if !ok {
			buf = &frameBuf{b: make([]byte, size), class: class}
		}
		buf.b = buf.b[:copy(buf.b[:size], frame)]
		return buf
	}
	return &frameBuf{b: append([]byte(nil), frame...), class: unpooled}
}

// release gives the memory back. Under the invariants tag it is overwritten
// first, so that a handler that keeps Args too long fails its test.
func (f *frameBuf) release() {
	poison(f.b)
	if f.class != unpooled {
		framePools[f.class].Put(f)
	}
}
