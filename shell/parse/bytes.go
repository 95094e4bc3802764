package parse

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// MaxFile bounds what file: and - read: the largest value a server takes is
// below a frame of 64 MB.
const MaxFile = 64 << 20

// literalMark in front of an argument says that it must be taken as it
// stands. No flag begins with it, so a quoted "-x" is never taken for one.
const literalMark = "\x00"

// Args prepares words for a flag parser that knows strings only: literal
// words, and numbers below zero, are marked so that they stay arguments.
func Args(words []Word) []string {
	args := make([]string, len(words))
	for i, w := range words {
		args[i] = w.Text
		if w.Literal || negativeNumber(w.Text) {
			args[i] = literalMark + w.Text
		}
	}
	return args
}

func negativeNumber(text string) bool {
	return len(text) > 1 && text[0] == '-' && text[1] >= '0' && text[1] <= '9'
}

// Text takes the mark of Args away: the argument as plain text.
func Text(arg string) string { return strings.TrimPrefix(arg, literalMark) }

// IsLiteral tells whether the argument was quoted or escaped at its start.
func IsLiteral(arg string) bool { return strings.HasPrefix(arg, literalMark) }

// Bytes gives the bytes an argument stands for. Unless it was quoted, these
// forms are known:
//
//	hex:DEADBEEF   bytes in hexadecimal
//	b64:3q2+7w==   bytes in base64
//	i64:42         eight bytes, big endian
//	file:path      the content of a file
//	-              the content of stdin
func Bytes(arg string, stdin io.Reader) ([]byte, error) {
	if IsLiteral(arg) {
		return []byte(Text(arg)), nil
	}
	if arg == "-" && stdin != nil {
		return readAll("standard input", stdin)
	}
	form, rest, _ := strings.Cut(arg, ":")
	switch form {
	case "hex":
		return decoded(hex.DecodeString(rest))(arg)
	case "b64":
		return decoded(base64.StdEncoding.DecodeString(rest))(arg)
	case "i64":
		n, err := strconv.ParseInt(rest, 10, 64)
		return decoded(binary.BigEndian.AppendUint64(nil, uint64(n)), err)(arg)
	case "file":
		return readFile(rest)
	}
	return []byte(arg), nil
}

func decoded(b []byte, err error) func(arg string) ([]byte, error) {
	return func(arg string) ([]byte, error) {
		if err != nil {
			return nil, fmt.Errorf("%q: %w", arg, err)
		}
		return b, nil
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(path, f)
}

func readAll(name string, r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err == nil && len(b) > MaxFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, MaxFile)
	}
	return b, err
}

// Field undoes render.EscapeField, and reads the forms hex: and b64:. A cell of a
// csv file is no word: quotes and blanks stand for themselves.
func Field(text string) ([]byte, error) {
	form, rest, _ := strings.Cut(text, ":")
	switch form {
	case "hex":
		return decoded(hex.DecodeString(rest))(text)
	case "b64":
		return decoded(base64.StdEncoding.DecodeString(rest))(text)
	}
	if !strings.Contains(text, `\`) {
		return []byte(text), nil
	}
	s := scanner{text: text}
	var out []byte
	for s.at < len(s.text) {
		if s.text[s.at] != '\\' {
			out = append(out, s.text[s.at])
			s.at++
			continue
		}
		var err error
		if out, err = s.escape(out); err != nil {
			return nil, err
		}
	}
	return out, nil
}
