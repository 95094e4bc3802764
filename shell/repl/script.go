// Package repl feeds commands to a session: from -e, from a file or a pipe,
// and from a person at a terminal.
package repl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/parse"
)

// maxLine bounds one command with its continuation lines: a value of the
// largest size, every byte written as \xHH, still fits.
const maxLine = 5 * parse.MaxFile

// Script runs commands from r until the end, exit, or the first error, and
// gives the exit status. "Not found" and "condition not met" are answers: they
// do not stop the script, and count as its status when they come last. name is
// for messages: a file name or "-e".
func Script(ctx context.Context, s *command.Session, name string, r io.Reader) int {
	lines := newLines(r)
	s.More = func(string) (string, error) { return lines.next() }
	status := command.ExitOK
	for !s.Quit() && ctx.Err() == nil {
		text, commands, err := lines.commands()
		switch {
		case errors.Is(err, io.EOF):
			return status
		case err != nil:
			return syntaxError(s, fmt.Sprintf("%s:%d", name, lines.number), text, err)
		}
		for _, words := range commands {
			status = s.Run(ctx, words)
			if stops(status) {
				return status
			}
			if s.Quit() {
				break
			}
		}
	}
	if ctx.Err() != nil {
		return command.ExitInterrupted
	}
	return status
}

// stops tells whether a script ends at this status.
func stops(status int) bool { return status != command.ExitOK && status != command.ExitNotFound }

// lines reads commands that may go on over several lines.
type lines struct {
	scanner *bufio.Scanner
	number  int
}

func newLines(r io.Reader) *lines {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	return &lines{scanner: scanner}
}

func (l *lines) next() (string, error) {
	if !l.scanner.Scan() {
		if err := l.scanner.Err(); err != nil {
			return "", err
		}
		return "", io.EOF
	}
	l.number++
	return l.scanner.Text(), nil
}

// commands reads the next line and as many more as its quotes ask for.
func (l *lines) commands() (text string, commands [][]parse.Word, err error) {
	text, err = l.next()
	if err != nil {
		return "", nil, err
	}
	for {
		commands, err = parse.Line(text)
		if !errors.Is(err, parse.ErrIncomplete) {
			return text, commands, err
		}
		more, end := l.next()
		if errors.Is(end, io.EOF) {
			return text, nil, &parse.SyntaxError{At: len(text), Text: "a quote is open at the end"}
		}
		if end != nil {
			return text, nil, end
		}
		text += "\n" + more
	}
}

// syntaxError shows the line with a caret under the mistake.
func syntaxError(s *command.Session, where, text string, err error) int {
	var syntax *parse.SyntaxError
	if !errors.As(err, &syntax) {
		return s.Complain(where+": "+err.Error(), "")
	}
	return s.Complain(where+": "+syntax.Text, caret(text, syntax.At))
}

// caretWidth is how much of a long line is shown around the mistake.
const caretWidth = 60

func caret(text string, at int) string {
	start := max(0, at-caretWidth)
	end := min(len(text), at+caretWidth)
	before := safe(text[start:min(at, len(text))])
	shown := before + safe(text[min(at, len(text)):end])
	return shown + "\n" + strings.Repeat(" ", len([]rune(before))) + "^"
}
