// Package repl feeds commands to a session: from -e, from a file or a pipe,
// and from a person at a terminal.
package repl

import (
	"bufio"
	"cmp"
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

// inline is the name of commands given on the command line: they have no place
// worth telling.
const inline = "-e"

// Options of a script.
type Options struct {
	Name      string            // for messages: a file name or "-e"
	Variables map[string]string // what ${name} stands for; nil = nothing is replaced
	KeepGoing bool              // run what comes after an error
}

// Script runs commands from r until the end, exit, or the first error, and gives
// the exit status. "Not found" and "condition not met" are answers: they do not
// stop the script, and count as its status when they come last. With KeepGoing
// the first error is the status.
func Script(ctx context.Context, s *command.Session, o Options, r io.Reader) int {
	lines := newLines(r, o.Variables)
	s.More = func(string) (string, error) { return lines.next() }
	defer func() { s.At = "" }()
	status, failed := command.ExitOK, command.ExitOK
	for !s.Quit() && ctx.Err() == nil {
		first := lines.number + 1
		text, commands, err := lines.commands()
		switch {
		case errors.Is(err, io.EOF):
			return cmp.Or(failed, status)
		case err != nil:
			status = syntaxError(s, fmt.Sprintf("%s:%d", o.Name, lines.number), text, err)
			if !o.KeepGoing {
				return status
			}
			failed = cmp.Or(failed, status)
		}
		for _, words := range commands {
			if o.Name != inline {
				s.At = fmt.Sprintf("%s:%d", o.Name, first)
			}
			status = s.Run(ctx, words)
			if stops(status) {
				if !o.KeepGoing || status == command.ExitInterrupted {
					return status
				}
				failed = cmp.Or(failed, status)
			}
			if s.Quit() {
				break
			}
		}
	}
	if ctx.Err() != nil {
		return command.ExitInterrupted
	}
	return cmp.Or(failed, status)
}

// stops tells whether a script ends at this status.
func stops(status int) bool { return status != command.ExitOK && status != command.ExitNotFound }

// lines reads commands that may go on over several lines.
type lines struct {
	scanner   *bufio.Scanner
	variables map[string]string
	number    int
}

func newLines(r io.Reader, variables map[string]string) *lines {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	return &lines{scanner: scanner, variables: variables}
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
		commands, err = parse.Expand(text, l.variables)
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
