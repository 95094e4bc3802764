// Package cursor reads numbers and bytes out of a message that cannot be
// trusted, with one check of the error at the end.
package cursor

import (
	"encoding/binary"
	"fmt"
)

// Cursor stands at the next unread byte of a message. The first fault sticks;
// every later read gives zero.
type Cursor struct {
	buf       []byte
	err       error
	malformed error
}

// New returns a cursor at the start of b, which is read in place. Its faults
// wrap malformed.
func New(b []byte, malformed error) Cursor { return Cursor{buf: b, malformed: malformed} }

// OK reports whether everything could be read so far.
func (c *Cursor) OK() bool { return c.err == nil }

// Len is the number of unread bytes, 0 after a fault.
func (c *Cursor) Len() int { return len(c.buf) }

// Fail records a fault, for values that are readable and make no sense.
func (c *Cursor) Fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", c.malformed, what)
	}
	c.buf = nil
}

// Finish returns the first fault. Bytes left over are one.
func (c *Cursor) Finish() error {
	if len(c.buf) > 0 {
		c.Fail("trailing bytes")
	}
	return c.err
}

// Byte reads one byte.
func (c *Cursor) Byte() byte {
	if len(c.buf) == 0 {
		c.Fail("short")
		return 0
	}
	v := c.buf[0]
	c.buf = c.buf[1:]
	return v
}

// Uint reads an unsigned varint.
func (c *Cursor) Uint() uint64 {
	v, n := binary.Uvarint(c.buf)
	c.skip(n)
	return v
}

// Int reads a varint in zigzag form.
func (c *Cursor) Int() int64 {
	v, n := binary.Varint(c.buf)
	c.skip(n)
	return v
}

// skip goes over a number of n bytes. encoding/binary says n <= 0 with the value
// 0 for one that is cut off or too large.
func (c *Cursor) skip(n int) {
	if n <= 0 {
		c.Fail("number")
		return
	}
	c.buf = c.buf[n:]
}

// Text reads n bytes.
func (c *Cursor) Text(n int) string {
	if n > len(c.buf) {
		c.Fail("text")
		return ""
	}
	s := string(c.buf[:n])
	c.buf = c.buf[n:]
	return s
}

// Count reads the number of elements of a list, each of which takes at least
// width bytes: a number that the bytes left cannot hold is a fault, so that
// nothing is allocated for it.
func (c *Cursor) Count(width int) int {
	n := c.Uint()
	if n > uint64(len(c.buf)/width) {
		c.Fail("count beyond the data")
		return 0
	}
	return int(n)
}
