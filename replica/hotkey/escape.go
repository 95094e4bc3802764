package hotkey

import "fmt"

// Escape writes bytes as the tools print and read them: printable ASCII as it
// is, backslash and quotes behind a backslash, everything else as \xHH.
func Escape(b []byte) string {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		switch {
		case c == '\\' || c == '"' || c == '\'':
			out = append(out, '\\', c)
		case c < ' ' || c > '~':
			out = fmt.Appendf(out, `\x%02X`, c)
		default:
			out = append(out, c)
		}
	}
	return string(out)
}
