package repl

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/chzyer/readline"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/parse"
)

// completer completes the word under the cursor.
type completer struct{ s *command.Session }

// Do gives, for each candidate, what is missing of it.
func (c completer) Do(line []rune, pos int) ([][]rune, int) {
	words, last, quoted := wordsBefore(string(line[:pos]))
	if quoted {
		return nil, 0
	}
	var missing [][]rune
	for _, candidate := range c.s.Complete(words, last) {
		rest := candidate[len(last):]
		if !strings.HasSuffix(candidate, "/") {
			rest += " "
		}
		missing = append(missing, []rune(rest))
	}
	return missing, utf8.RuneCountInString(last)
}

// wordsBefore gives the words of the command that the cursor is in, and the
// unfinished one.
func wordsBefore(text string) (words []string, last string, quoted bool) {
	commands, err := parse.Line(text + "\x01") // a mark keeps a last blank, and a semicolon, apart
	if err != nil || len(commands) == 0 {
		return nil, "", true
	}
	of := commands[len(commands)-1]
	for _, w := range of {
		words = append(words, w.Text)
	}
	last, marked := strings.CutSuffix(words[len(words)-1], "\x01")
	return words[:len(words)-1], last, !marked || of[len(of)-1].Literal
}

// painter shows the hint behind the line, and pasted line ends as a sign.
type painter struct {
	width   func() int
	prompt  *int // columns that the prompt takes
	session *command.Session
}

// Paint gives what is shown for the line.
func (p *painter) Paint(line []rune, pos int) []rune {
	shown := make([]rune, len(line))
	for i, r := range line {
		if r == lineEnd {
			r = '⏎'
		}
		shown[i] = r
	}
	hint := p.hint(line, pos)
	if hint == "" {
		return shown
	}
	return append(shown, []rune("\x1b[90m"+hint+"\x1b[0m\x1b["+strconv.Itoa(utf8.RuneCountInString(hint))+"D")...)
}

// hint is nothing unless the cursor stands at the end and the line has room.
func (p *painter) hint(line []rune, pos int) string {
	if len(line) == 0 || pos != len(line) || line[len(line)-1] == '\n' {
		return ""
	}
	words, last, quoted := wordsBefore(string(line))
	if quoted {
		return ""
	}
	blank := last == ""
	if !blank {
		words = append(words, last)
	}
	hint := command.Hint(words, blank)
	if hint == "" || *p.prompt+(readline.Runes{}).WidthAll(line)+len(hint)+1 >= p.width() {
		return ""
	}
	return hint
}
