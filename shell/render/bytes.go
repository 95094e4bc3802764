// Package render prints results: bytes, tables and JSON. What it prints as
// bytes, package parse reads back.
package render

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ByteForm chooses how keys and values are written.
type ByteForm string

// The forms. All but raw can be pasted back as an argument.
const (
	Quoted    ByteForm = "quoted"     // "printable text, \xHH for the rest"
	EscapeAll ByteForm = "escape_all" // "\x61\x62": every byte escaped
	Hex       ByteForm = "hex"        // hex:6162
	Base64    ByteForm = "b64"        // b64:YWI=
	Raw       ByteForm = "raw"        // the bytes themselves, for pipes
)

// Append writes b in the form.
func (f ByteForm) Append(dst, b []byte) []byte {
	switch f {
	case Raw:
		return append(dst, b...)
	case Hex:
		return hex.AppendEncode(append(dst, "hex:"...), b)
	case Base64:
		return base64.StdEncoding.AppendEncode(append(dst, "b64:"...), b)
	case EscapeAll:
		return appendEscapedAll(dst, b)
	default:
		return AppendQuoted(dst, b)
	}
}

// AppendQuoted writes b in double quotes: printable UTF-8 as it is, every
// other byte as an escape. The result holds no control character, and nothing
// that changes how a terminal orders or shows text.
func AppendQuoted(dst, b []byte) []byte {
	dst = append(dst, '"')
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == utf8.RuneError && size == 1, !unicode.IsPrint(r):
			dst = appendHexEscapes(dst, b[:size])
		default:
			dst = append(dst, b[:size]...)
		}
		b = b[size:]
	}
	return append(dst, '"')
}

// EscapeField writes b for a cell of a table without quotes: printable UTF-8 as it
// is, the rest and the backslash as escapes. parse.Field undoes it.
func EscapeField(b []byte, all bool) string {
	if all {
		return string(appendHexEscapes(nil, b))
	}
	quoted := AppendQuoted(nil, b)
	text := strings.ReplaceAll(string(quoted[1:len(quoted)-1]), `\"`, `"`)
	if form, _, ok := strings.Cut(text, ":"); ok && (form == "hex" || form == "b64") {
		return string(appendHexEscapes(nil, b[:1])) + text[1:] // text, not a form
	}
	return text
}

func appendEscapedAll(dst, b []byte) []byte {
	return append(appendHexEscapes(append(dst, '"'), b), '"')
}

func appendHexEscapes(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		dst = append(dst, '\\', 'x', digits[c>>4], digits[c&15])
	}
	return dst
}

// Cut shortens b to limit bytes, not inside a character, and tells what was
// left out, as in "... (+12.3 KB)". A limit of 0 keeps everything.
func Cut(b []byte, limit int) (head []byte, note string) {
	if limit <= 0 || len(b) <= limit {
		return b, ""
	}
	end := limit
	for end > limit-utf8.UTFMax && end > 0 && !utf8.RuneStart(b[end]) {
		end--
	}
	return b[:end], "... (+" + HumanBytes(int64(len(b)-end)) + ")"
}

// HumanBytes writes a size with a unit, as in 12.3 KB.
func HumanBytes(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < len("KMGTPE")-1 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f %cB", value, "KMGTPE"[unit])
}

// SafeText makes text of unknown origin, such as a server's hint, fit for a
// terminal: control characters become escapes.
func SafeText(text string) string {
	quoted := AppendQuoted(nil, []byte(text))
	plain := make([]byte, 0, len(quoted))
	for i := 1; i < len(quoted)-1; i++ {
		if quoted[i] == '\\' && (quoted[i+1] == '"' || quoted[i+1] == '\\') {
			i++
		}
		plain = append(plain, quoted[i])
	}
	return string(plain)
}
