package engine

import "slices"

// Page holds rows packed into one buffer, filled by MultiGet or Iter.Next. A
// Page is reused: slices returned by Key and Value are valid until the next
// call that fills the same Page. The zero Page is ready.
type Page struct {
	buf     []byte
	rows    []Row
	scratch []byte
	lens    []uint32
}

// Row locates one row in the buffer of a Page: key bytes at Off, value bytes
// right behind. The layout is shared with struct arion_row of rocks/shim.h.
type Row struct {
	Off, KeyLen, ValueLen uint32
}

// Missing as ValueLen marks a key that MultiGet did not find.
const Missing = ^uint32(0)

// Len is the number of rows.
func (p *Page) Len() int { return len(p.rows) }

// Key returns the key of row i; empty after MultiGet.
func (p *Page) Key(i int) []byte {
	r := p.rows[i]
	end := r.Off + r.KeyLen
	return p.buf[r.Off:end:end]
}

// Value returns the stored bytes of row i, header included; nil if not found.
func (p *Page) Value(i int) []byte {
	r := p.rows[i]
	if r.ValueLen == Missing {
		return nil
	}
	off := r.Off + r.KeyLen
	end := off + r.ValueLen
	return p.buf[off:end:end]
}

// Found reports whether row i exists; always true after Iter.Next.
func (p *Page) Found(i int) bool { return p.rows[i].ValueLen != Missing }

// Bytes is the length of all keys and values together.
func (p *Page) Bytes() int { return len(p.buf) }

// Reset empties the page and keeps its memory.
func (p *Page) Reset() {
	p.buf = p.buf[:0]
	p.rows = p.rows[:0]
}

// Append adds a row, copying key and value. It is for engines.
func (p *Page) Append(key, value []byte) {
	p.rows = append(p.rows, Row{Off: uint32(len(p.buf)), KeyLen: uint32(len(key)), ValueLen: uint32(len(value))})
	p.buf = append(append(p.buf, key...), value...)
}

// AppendMissing adds a row of a key that was not found. It is for engines.
func (p *Page) AppendMissing() {
	p.rows = append(p.rows, Row{Off: uint32(len(p.buf)), ValueLen: Missing})
}

// UnsafeReserve empties the page and returns its memory, at least so large, for
// an engine to fill from outside Go and then hand over by UnsafeCommit.
func (p *Page) UnsafeReserve(bytes, rows int) ([]byte, []Row) {
	p.Reset()
	p.buf = slices.Grow(p.buf, bytes)
	p.rows = slices.Grow(p.rows, rows)
	return p.buf[:cap(p.buf)], p.rows[:cap(p.rows)]
}

// UnsafeCommit declares the first bytes and rows of the reserved memory filled.
func (p *Page) UnsafeCommit(bytes, rows int) {
	p.buf = p.buf[:bytes]
	p.rows = p.rows[:rows]
}

// UnsafePack copies keys back to back into memory of the page and returns them
// with their lengths, for an engine that hands them out of Go in one piece.
func (p *Page) UnsafePack(keys [][]byte) ([]byte, []uint32) {
	p.scratch, p.lens = p.scratch[:0], p.lens[:0]
	for _, k := range keys {
		p.scratch = append(p.scratch, k...)
		p.lens = append(p.lens, uint32(len(k)))
	}
	return p.scratch, p.lens
}
