package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// liveVerbs redraw themselves until Ctrl-C.
func liveVerbs() []verb {
	return []verb{
		{
			use: "watch <interval> <command> [argument ...]", short: "run a command again and again, marking what changed",
			example: "watch 2s table stat -n 1\nwatch 500ms cluster status -n 2\nwatch 1s get user1 visits -n 1",
			min:     2, max: unlimited, flags: watchFlags, run: runWatch, related: []string{"top"},
		}, {
			use: "top", short: "a live page of nodes and tables with rates and latencies",
			example: "top\ntop -i 5s\ntop -n 1",
			flags:   topFlags, run: runTop, related: []string{"table stat", "node list", "watch"},
		},
	}
}

func watchFlags(f *pflag.FlagSet) {
	// What follows the command belongs to it, but for -n at the very end.
	f.SetInterspersed(false)
}

func runWatch(ctx context.Context, c *call) error {
	if outer(ctx) != "" {
		return usagef("watch cannot run inside " + outer(ctx))
	}
	every, err := parseDuration(c.text(0))
	if err != nil {
		return err
	}
	words, times, err := watched(c.args[1:])
	if err != nil {
		return err
	}
	if v, _ := find([]string{words[0].Text, second(words)}); v != nil && v.changes {
		return usagef("watch runs only commands that change nothing; " + quoted(v.name()) + " administers")
	}
	ctx = within(ctx, "watch")
	screen := newScreen(c.session.Printer)
	defer screen.close()
	for n := 1; ; n++ {
		c.frame(ctx, screen, every, words)
		if n == times {
			return c.done(render.Summary{Local: true})
		}
		if err := sleep(ctx, every); err != nil {
			return c.ended(err)
		}
	}
}

func second(words []parse.Word) string {
	if len(words) > 1 {
		return words[1].Text
	}
	return ""
}

// watched separates the command from a last -n COUNT, which is watch's own: the
// number of times to run it.
func watched(args []string) (words []parse.Word, times int, err error) {
	if n := len(args); n > 2 && args[n-2] == "-n" {
		if _, err := fmt.Sscanf(args[n-1], "%d", &times); err != nil || times < 1 {
			return nil, 0, usagef("-n takes the number of times")
		}
		args = args[:n-2]
	}
	for _, arg := range args {
		words = append(words, parse.Word{Text: parse.Text(arg), Literal: parse.IsLiteral(arg)})
	}
	return words, times, nil
}

// frame runs the command once and shows what it printed.
func (c *call) frame(ctx context.Context, screen *screen, every time.Duration, words []parse.Word) {
	var out bytes.Buffer
	printer := *c.session.Printer
	printer.Out, printer.Err, printer.Terminal = &out, &out, false
	outerPrinter := c.session.Printer
	c.session.Printer = &printer
	c.exit = c.session.Run(ctx, words)
	c.session.Printer = outerPrinter
	var names []string
	for _, w := range words {
		names = append(names, w.Text)
	}
	screen.show(fmt.Sprintf("every %s: %s    %s", every, render.SafeText(strings.Join(names, " ")), time.Now().Format(time.TimeOnly)), out.String())
}

// ended closes a live verb. Ctrl-C is how it is meant to end.
func (c *call) ended(err error) error {
	if isCanceled(err) {
		return c.done(render.Summary{Local: true})
	}
	return err
}

// screen shows pages: on a terminal in place, with what changed in reverse, else
// one below the other.
type screen struct {
	out      io.Writer
	terminal bool
	data     bool // for a program: no titles
	size     func() (width, height int)
	last     []string
	begun    bool
}

func newScreen(p *render.Printer) *screen {
	return &screen{out: p.Out, terminal: p.Terminal && p.People(), data: !p.People(), size: p.Screen}
}

func (s *screen) show(title, text string) {
	if s.data {
		_, _ = io.WriteString(s.out, text) // a pipe that is gone ends the program otherwise
		return
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if !s.terminal {
		fmt.Fprintf(s.out, "%s\n%s\n", title, strings.Join(lines, "\n"))
		return
	}
	title, lines = s.fit(title, lines)
	var page strings.Builder
	if !s.begun {
		page.WriteString("\x1b[?1049h\x1b[?25l") // the other screen, no cursor
	}
	page.WriteString("\x1b[H\x1b[1m" + title + "\x1b[0m\x1b[K\r\n")
	for i, line := range lines {
		before := ""
		if s.begun && i < len(s.last) {
			before = s.last[i]
		} else {
			before = line
		}
		page.WriteString(marked(line, before) + "\x1b[K\r\n")
	}
	page.WriteString("\x1b[J")
	_, _ = io.WriteString(s.out, page.String()) // a terminal that is gone ends the program otherwise
	s.last, s.begun = lines, true
}

// fit cuts a page to the screen, which would scroll otherwise.
func (s *screen) fit(title string, lines []string) (string, []string) {
	if s.size == nil {
		return title, lines
	}
	width, height := s.size()
	if most := height - 2; most > 1 && len(lines) > most { // the title, and the line the cursor is left on
		more := fmt.Sprintf("… %d more lines: the screen is too low", len(lines)-most+1)
		lines = append(slices.Clone(lines[:most-1]), more)
	}
	cut := func(line string) string {
		if r := []rune(line); width > 0 && len(r) > width {
			return string(r[:width-1]) + "…"
		}
		return line
	}
	fitted := make([]string, len(lines))
	for i, line := range lines {
		fitted[i] = cut(line)
	}
	return cut(title), fitted
}

// close leaves the last page where the prompt goes on.
func (s *screen) close() {
	if s.begun {
		_, _ = io.WriteString(s.out, "\x1b[?25h\x1b[?1049l"+strings.Join(s.last, "\n")+"\n")
	}
}

// marked shows the words of a line that were not at the same place before in
// reverse.
func marked(line, before string) string {
	now, was := strings.SplitAfter(line, " "), strings.SplitAfter(before, " ")
	if line == before || len(now) != len(was) {
		return line
	}
	for i, word := range now {
		if text := strings.TrimRight(word, " "); word != was[i] && text != "" {
			now[i] = "\x1b[7m" + text + "\x1b[0m" + word[len(text):]
		}
	}
	return strings.Join(now, "")
}
