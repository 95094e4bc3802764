package apply

import (
	"bytes"
	"math"
)

// parseInt reads text as C's strtoll with base 0 does, over the whole of it:
// white space, a sign, then decimal, 0x hexadecimal or leading-0 octal digits.
// Pegasus stores counters as such text, and clients rely on what it accepts.
func parseInt(text []byte) (int64, bool) {
	text = bytes.TrimLeft(text, " \t\n\v\f\r")
	negative := false
	if len(text) > 0 && (text[0] == '+' || text[0] == '-') {
		negative = text[0] == '-'
		text = text[1:]
	}
	magnitude, ok := parseDigits(text)
	switch {
	case !ok:
		return 0, false
	case negative && magnitude <= -math.MinInt64:
		return -int64(magnitude), true // of 2^63 too: it wraps onto itself
	case negative || magnitude > math.MaxInt64:
		return 0, false
	}
	return int64(magnitude), true
}

// parseDigits reads an unsigned number with its base prefix. It refuses what
// does not fit in 64 bits.
func parseDigits(text []byte) (n uint64, ok bool) {
	base := uint64(10)
	switch {
	case len(text) > 2 && text[0] == '0' && text[1]|0x20 == 'x':
		base, text = 16, text[2:]
	case len(text) > 1 && text[0] == '0':
		base, text = 8, text[1:]
	}
	for _, c := range text {
		d := digit(c)
		if d >= base || n > (math.MaxUint64-d)/base {
			return 0, false
		}
		n = n*base + d
	}
	return n, len(text) > 0
}

// digit returns the value of a digit up to f, or something larger than any base.
func digit(c byte) uint64 {
	switch {
	case c >= '0' && c <= '9':
		return uint64(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return uint64(c|0x20-'a') + 10
	}
	return math.MaxUint8
}
