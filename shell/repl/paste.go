package repl

import (
	"bytes"
	"io"
)

// A terminal in bracketed paste mode marks what is pasted. Line ends inside become
// one character of the line, so that pasted text is edited and confirmed as a
// whole, never run line by line.
const (
	pasteOn    = "\x1b[?2004h"
	pasteOff   = "\x1b[?2004l"
	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
	// lineEnd stands for a line end in pasted text: of the private use area, so
	// that no text that means anything has it.
	lineEnd = '\ue00a'
)

// pasteReader takes the marks out of what a terminal sends.
type pasteReader struct {
	in      io.ReadCloser
	held    []byte // the beginning of what may become a mark
	out     []byte
	pasting bool
	buf     [4096]byte
}

func (r *pasteReader) Close() error { return r.in.Close() }

func (r *pasteReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		n, err := r.in.Read(r.buf[:])
		r.take(r.buf[:n])
		if err != nil && len(r.out) == 0 {
			return 0, err
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// take sorts new bytes. A lone escape is a key; the beginning of a mark at the end
// of a read waits for the rest only when it is more than that.
func (r *pasteReader) take(b []byte) {
	b = append(r.held, b...)
	r.held = nil
	for len(b) > 0 {
		mark := pasteBegin
		if r.pasting {
			mark = pasteEnd
		}
		switch {
		case bytes.HasPrefix(b, []byte(mark)):
			r.pasting = !r.pasting
			b = b[len(mark):]
		case len(b) > 2 && len(b) < len(mark) && bytes.HasPrefix([]byte(mark), b):
			r.held = append([]byte(nil), b...)
			return
		case r.pasting && (b[0] == '\r' || b[0] == '\n'):
			r.out = append(r.out, string(lineEnd)...)
			if len(b) > 1 && b[0] == '\r' && b[1] == '\n' {
				b = b[1:]
			}
			b = b[1:]
		default:
			r.out = append(r.out, b[0])
			b = b[1:]
		}
	}
}
