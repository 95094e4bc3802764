package repl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/chzyer/readline"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// HistoryEnv names the variable with the path of the history file.
const HistoryEnv = "ARION_HISTORY"

// historyLines is what a person may scroll back over several weeks.
const historyLines = 5000

// Prompt talks to a person until exit or the end of input. Errors are shown
// and the next line is asked for.
func Prompt(ctx context.Context, s *command.Session) error {
	rl, err := readline.NewEx(&readline.Config{
		HistoryFile:            historyFile(),
		HistoryLimit:           historyLines,
		DisableAutoSaveHistory: true,
		HistorySearchFold:      true,
		AutoComplete:           completer(s),
		Stdout:                 os.Stdout,
		Stderr:                 os.Stderr,
	})
	if err != nil {
		return fmt.Errorf("prompt: %w", err)
	}
	defer rl.Close()
	s.More = func(prompt string) (string, error) { return ask(rl, prompt) }
	for !s.Quit() && ctx.Err() == nil {
		text, err := readCommand(rl, "arion/"+s.Table+"> ")
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case err != nil:
			return err
		}
		remember(rl, text)
		runLine(ctx, s, text)
	}
	return nil
}

// runLine runs the commands of one line. Ctrl-C stops the command, not the
// shell, and drops the rest of the line.
func runLine(ctx context.Context, s *command.Session, text string) {
	commands, err := parse.Line(text)
	if err != nil {
		syntaxError(s, "syntax", text, err)
		return
	}
	for _, words := range commands {
		verbCtx, stop := signal.NotifyContext(ctx, os.Interrupt)
		status := s.Run(verbCtx, words)
		stop()
		if s.Quit() || stops(status) {
			return
		}
	}
}

// readCommand reads a line and as many more as its quotes ask for.
func readCommand(rl *readline.Instance, prompt string) (string, error) {
	text, err := ask(rl, prompt)
	for err == nil {
		if _, syntax := parse.Line(text); !errors.Is(syntax, parse.ErrIncomplete) {
			return text, nil
		}
		var more string
		more, err = ask(rl, strings.Repeat(".", len(prompt)-2)+"> ")
		text += "\n" + more
	}
	return "", err
}

func ask(rl *readline.Instance, prompt string) (string, error) {
	rl.SetPrompt(prompt)
	return rl.Readline()
}

// remember keeps a line in the history unless it begins with a blank.
func remember(rl *readline.Instance, text string) {
	if text == "" || text[0] == ' ' || strings.Contains(text, "\n") {
		return
	}
	// A history that cannot be written must not disturb the work.
	_ = rl.SaveHistory(text)
}

// historyFile is empty, which means memory only, when there is no home.
func historyFile() string {
	home, _ := os.UserHomeDir()
	if home != "" {
		home = filepath.Join(home, ".arion_history")
	}
	return cmp.Or(os.Getenv(HistoryEnv), home)
}

// completer completes verbs at the start of a line and table names where a
// verb takes one.
func completer(s *command.Session) readline.AutoCompleter {
	var items []readline.PrefixCompleterInterface
	for _, name := range command.Names() {
		if strings.Contains(command.Usage(name), "<table>") {
			items = append(items, readline.PcItem(name, readline.PcItemDynamic(func(string) []string { return s.KnownTables() })))
			continue
		}
		items = append(items, readline.PcItem(name))
	}
	return readline.NewPrefixCompleter(items...)
}

func safe(text string) string { return render.SafeText(text) }
