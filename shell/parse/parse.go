// Package parse turns what is typed into words. The same rules serve the
// prompt, scripts and -e, and undo exactly what package render prints.
//
//	bare              letters up to a blank; \ escapes as in double quotes
//	"double quoted"   \n \r \t \0 \\ \" \' \xHH \uHHHH
//	'single quoted'   every byte as it stands
//	;                 ends a command
//	# at a word start comments the rest of the line out
//
// A backslash or an open quote at the end of a line asks for another line.
package parse

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrIncomplete means that the text may go on in the next line: a quote is
// open or the last byte is a backslash.
var ErrIncomplete = errors.New("the line goes on: a quote is open or it ends with a backslash")

// Word is one argument.
type Word struct {
	Text string // the bytes meant, escapes undone
	// Literal: the word began with a quote or an escape, so it is never taken
	// for a flag or for one of the forms that Bytes knows (hex:, file:, …).
	Literal bool
	Start   int // byte offset in the line, for a caret under it
}

// SyntaxError is a mistake at a place of the line.
type SyntaxError struct {
	At   int // byte offset
	Text string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.Text, e.At) }

// Line splits text into commands of words. Empty commands are left out.
func Line(text string) ([][]Word, error) { return Expand(text, nil) }

// Expand is Line with variables: ${name} stands for a value, which is taken as it
// is, but not in single quotes. Without variables nothing is replaced.
func Expand(text string, variables map[string]string) ([][]Word, error) {
	s := scanner{text: text, variables: variables}
	var commands [][]Word
	for {
		words, err := s.command()
		if err != nil {
			return nil, err
		}
		if len(words) > 0 {
			commands = append(commands, words)
		}
		if s.at >= len(s.text) {
			return commands, nil
		}
		s.at++ // the semicolon or the end of a line
	}
}

type scanner struct {
	text      string
	at        int
	variables map[string]string
}

// variable replaces a ${name} at the present place; ok is false when there is none.
func (s *scanner) variable(out []byte) (_ []byte, ok bool, err error) {
	if s.variables == nil || !strings.HasPrefix(s.text[s.at:], "${") {
		return out, false, nil
	}
	name, _, closed := strings.Cut(s.text[s.at+2:], "}")
	value, known := s.variables[name]
	if !closed || !known {
		return out, false, &SyntaxError{At: s.at, Text: "there is no such variable; --var NAME=VALUE sets one"}
	}
	s.at += len(name) + len("${}")
	return append(out, value...), true, nil
}

// command reads words up to a semicolon, a line end or the end of the text.
func (s *scanner) command() ([]Word, error) {
	var words []Word
	for {
		s.skipBlanks()
		if s.at >= len(s.text) || s.text[s.at] == ';' || s.text[s.at] == '\n' {
			return words, nil
		}
		word, err := s.word()
		if err != nil {
			return nil, err
		}
		words = append(words, word)
	}
}

func (s *scanner) skipBlanks() {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == ' ' || c == '\t' || c == '\r':
			s.at++
		case strings.HasPrefix(s.text[s.at:], "\\\n"):
			s.at += 2
		case c == '#':
			s.skipComment()
		default:
			return
		}
	}
}

func (s *scanner) skipComment() {
	if end := strings.IndexByte(s.text[s.at:], '\n'); end >= 0 {
		s.at += end
		return
	}
	s.at = len(s.text)
}

func (s *scanner) word() (Word, error) {
	first := s.text[s.at]
	word := Word{Start: s.at, Literal: first == '"' || first == '\'' || first == '\\'}
	var out []byte
	for s.at < len(s.text) {
		var err error
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n', ';':
			word.Text = string(out)
			return word, nil
		case '"':
			out, err = s.double(out)
		case '\'':
			out, err = s.single(out)
		case '\\':
			out, err = s.bareEscape(out)
		default:
			var replaced bool
			if out, replaced, err = s.variable(out); !replaced {
				out = append(out, c)
				s.at++
			}
		}
		if err != nil {
			return Word{}, err
		}
	}
	word.Text = string(out)
	return word, nil
}

func (s *scanner) double(out []byte) ([]byte, error) {
	for s.at++; s.at < len(s.text); {
		switch c := s.text[s.at]; c {
		case '"':
			s.at++
			return out, nil
		case '\\':
			if strings.HasPrefix(s.text[s.at:], "\\\n") {
				s.at += 2 // the line goes on
				continue
			}
			var err error
			if out, err = s.escape(out); err != nil {
				return nil, err
			}
		default:
			var replaced bool
			var err error
			if out, replaced, err = s.variable(out); err != nil {
				return nil, err
			}
			if !replaced {
				out = append(out, c)
				s.at++
			}
		}
	}
	return nil, ErrIncomplete
}

func (s *scanner) single(out []byte) ([]byte, error) {
	s.at++
	end := strings.IndexByte(s.text[s.at:], '\'')
	if end < 0 {
		return nil, ErrIncomplete
	}
	out = append(out, s.text[s.at:s.at+end]...)
	s.at += end + 1
	return out, nil
}

// bareEscape also knows the escapes that only make sense outside quotes: a
// blank, a semicolon, a hash sign and the end of a line.
func (s *scanner) bareEscape(out []byte) ([]byte, error) {
	if s.at+1 < len(s.text) {
		switch c := s.text[s.at+1]; c {
		case ' ', '\t', ';', '#':
			s.at += 2
			return append(out, c), nil
		case '\n':
			s.at += 2
			return out, nil
		}
	}
	return s.escape(out)
}

var simpleEscapes = map[byte]byte{
	'n': '\n', 'r': '\r', 't': '\t', '0': 0, '\\': '\\', '"': '"', '\'': '\'',
}

// escape reads one escape at a backslash.
func (s *scanner) escape(out []byte) ([]byte, error) {
	start := s.at
	if start+1 >= len(s.text) {
		return nil, ErrIncomplete
	}
	s.at += 2
	switch c := s.text[start+1]; c {
	case 'x':
		n, err := s.hexDigits(start, 2)
		return append(out, byte(n)), err
	case 'u':
		n, err := s.hexDigits(start, 4)
		return utf8.AppendRune(out, rune(n)), err
	default:
		plain, ok := simpleEscapes[c]
		if !ok {
			return nil, &SyntaxError{At: start, Text: fmt.Sprintf("unknown escape %q", s.text[start:s.at])}
		}
		return append(out, plain), nil
	}
}

func (s *scanner) hexDigits(start, count int) (uint64, error) {
	end := min(s.at+count, len(s.text))
	n, err := strconv.ParseUint(s.text[s.at:end], 16, 32)
	if err != nil || end-s.at != count {
		return 0, &SyntaxError{At: start, Text: fmt.Sprintf("%q needs %d hex digits", s.text[start:start+2], count)}
	}
	s.at = end
	return n, nil
}
