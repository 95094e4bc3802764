package repl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/chzyer/readline"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// prompt is a person at a terminal.
type prompt struct {
	s       *command.Session
	rl      *readline.Instance
	history history
	columns int // that the prompt takes
}

// Prompt talks to a person until exit or the end of input. Errors are shown and
// the next line is asked for.
func Prompt(ctx context.Context, s *command.Session) error {
	p := &prompt{s: s}
	if err := p.open(); err != nil {
		return fmt.Errorf("prompt: %w", err)
	}
	defer p.close()
	s.Interactive = true
	s.More = p.ask
	s.Known() // on its way while the first line is typed
	return p.loop(ctx)
}

func (p *prompt) open() (err error) {
	profile := ""
	if p.s.Profile != nil {
		profile = p.s.Profile.Name
	}
	path := historyFile(profile)
	tidy(path)
	p.rl, err = readline.NewEx(&readline.Config{
		HistoryFile: path, HistoryLimit: historyLines, DisableAutoSaveHistory: true, HistorySearchFold: true,
		AutoComplete: completer{p.s}, Painter: &painter{width: width, prompt: &p.columns, session: p.s},
		Stdin:  &pasteReader{in: readline.NewCancelableStdin(os.Stdin)},
		Stdout: os.Stdout, Stderr: os.Stderr,
	})
	if err == nil && path != "" {
		_ = os.Chmod(path, 0o600) // keys are nobody else's business
	}
	return err
}

func (p *prompt) close() {
	fmt.Fprint(os.Stdout, pasteOff)
	p.rl.Close()
}

func width() int { return readline.GetScreenWidth() }

// loop asks for lines and runs them. Two Ctrl-C in a row at an empty line leave.
func (p *prompt) loop(ctx context.Context) error {
	asked := false
	for !p.s.Quit() && ctx.Err() == nil {
		text, err := p.command()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, readline.ErrInterrupt):
			if asked && text == "" {
				return nil
			}
			if asked = text == ""; asked {
				fmt.Fprintln(os.Stderr, "once more to leave")
			}
			continue
		case err != nil:
			return err
		}
		asked = false
		p.history.remember(p.rl, text)
		p.run(ctx, text)
	}
	return nil
}

// run runs the commands of one line. Ctrl-C stops the command, not the shell, and
// drops the rest of the line.
func (p *prompt) run(ctx context.Context, text string) {
	commands, err := parse.Line(text)
	if err != nil {
		syntaxError(p.s, "syntax", text, err)
		return
	}
	for _, words := range commands {
		status := p.runOne(ctx, words)
		if p.s.Quit() || stops(status) {
			return
		}
	}
}

// runOne runs one command. The first Ctrl-C asks it to stop; the second leaves the
// shell, whatever it does.
func (p *prompt) runOne(ctx context.Context, words []parse.Word) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-done:
			return
		case <-interrupts:
			cancel()
		}
		select {
		case <-done:
		case <-interrupts:
			p.close()
			os.Exit(command.ExitInterrupted)
		}
	}()
	return p.s.Run(ctx, words)
}

// command reads a line and as many more as its quotes ask for.
func (p *prompt) command() (string, error) {
	plain, shown := p.text()
	text, err := p.read(plain, shown)
	for err == nil {
		if _, syntax := parse.Line(text); !errors.Is(syntax, parse.ErrIncomplete) {
			return text, nil
		}
		more := strings.Repeat(".", len([]rune(plain))-2) + "> "
		var next string
		next, err = p.read(more, more)
		text += "\n" + next
	}
	return text, err
}

// text is the prompt: cluster and table; red with ! when administration is
// allowed, (stale) when the meta servers do not answer.
func (p *prompt) text() (plain, shown string) {
	known := p.s.Known()
	name := cmp.Or(known.Cluster, "arion")
	if p.s.Profile != nil {
		name = p.s.Profile.Name
	}
	plain = render.SafeText(name + "/" + p.s.Table)
	if known.Stale {
		plain += " (stale)"
	}
	if !p.s.Enabled && !p.s.Yes {
		return plain + "> ", plain + "> "
	}
	plain += "! "
	return plain, "\x1b[31m" + strings.TrimSuffix(plain, " ") + "\x1b[0m "
}

// ask reads one line for a command.
func (p *prompt) ask(prompt string) (string, error) {
	text, err := p.read(prompt, prompt)
	if errors.Is(err, readline.ErrInterrupt) {
		err = io.EOF
	}
	return text, err
}

func (p *prompt) read(plain, shown string) (string, error) {
	p.columns = len([]rune(plain))
	p.rl.SetPrompt(shown)
	fmt.Fprint(os.Stdout, pasteOn)
	text, err := p.rl.Readline()
	fmt.Fprint(os.Stdout, pasteOff)
	return strings.ReplaceAll(text, string(lineEnd), "\n"), err
}

func safe(text string) string { return render.SafeText(text) }
