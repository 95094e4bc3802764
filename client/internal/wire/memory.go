package wire

import "sync"

// maxIdleMemory is the largest memory that waits for another frame: the pages of a
// scan and a bit. Those of wide records are rare, and up to 4 MB.
const maxIdleMemory = 1 << 20

// memories is memory of large frames that are done with.
var memories sync.Pool // of *[]byte

// TakeMemory gives n bytes, of whatever content, for a large frame.
func TakeMemory(n int) []byte {
	b, ok := memories.Get().(*[]byte)
	switch {
	case !ok || len(*b) < n:
		return make([]byte, n) // what is too small goes: frames have grown
	case len(*b)/2 > n:
		memories.Put(b) // whoever keeps the frame would keep twice as much
		return make([]byte, n)
	}
	return (*b)[:n]
}

// GiveMemory returns what TakeMemory gave. Most frames are kept by whoever they were
// for, and never return.
func GiveMemory(b []byte) {
	if b = b[:cap(b)]; len(b) > 0 && len(b) <= maxIdleMemory {
		memories.Put(&b)
	}
}
