// Package shell is the interactive shell of Arion: package parse reads words,
// package command runs them, package render prints results, package repl asks
// for more.
package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/chzyer/readline"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/render"
	"github.com/arionkv/arion/shell/repl"
)

// Options are the flags of `arion shell`.
type Options struct {
	Metas   []string
	Table   string
	Command string // -e
	File    string // -f
	Format  render.Format
	Bytes   render.ByteForm
	Quiet   bool
	Timeout time.Duration
	Version string
}

// longestShown is what a terminal shows of one value; pipes get all of it.
const longestShown = 1024

// Run runs what the options ask for: -e, -f, a script on stdin, or the prompt.
// It gives the exit status.
func Run(ctx context.Context, o Options) int {
	terminal := readline.IsTerminal(int(os.Stdout.Fd()))
	printer := &render.Printer{Out: os.Stdout, Err: os.Stderr, Format: o.Format, Bytes: o.Bytes, Quiet: o.Quiet}
	if terminal && o.Bytes != render.Raw {
		printer.Cut = longestShown
	}
	if terminal && o.Bytes == render.Raw {
		printer.Bytes = render.Quoted // a terminal obeys control bytes
	}
	s := &command.Session{
		Metas: o.Metas, Table: o.Table, Timeout: o.Timeout,
		Printer: printer, Version: o.Version,
	}
	defer s.Close()
	return run(ctx, s, o)
}

func run(ctx context.Context, s *command.Session, o Options) int {
	if o.Command == "" && o.File == "" && readline.IsTerminal(int(os.Stdin.Fd())) {
		if err := repl.Prompt(ctx, s); err != nil && !errors.Is(err, io.EOF) {
			return s.Complain(err.Error(), "")
		}
		return command.ExitOK
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	switch {
	case o.Command != "":
		s.Stdin = os.Stdin
		return repl.Script(ctx, s, "-e", strings.NewReader(o.Command))
	case o.File != "":
		return runFile(ctx, s, o.File)
	default:
		return repl.Script(ctx, s, "stdin", os.Stdin)
	}
}

// interruptGrace is what a script's command gets to end by itself after Ctrl-C.
// A script that waits for its next line cannot notice, so the process ends then.
const interruptGrace = time.Second

func interruptible(ctx context.Context) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	done := make(chan struct{})
	context.AfterFunc(ctx, func() {
		select {
		case <-done:
		case <-time.After(interruptGrace):
			os.Exit(command.ExitInterrupted)
		}
	})
	return ctx, func() { close(done); stop() }
}

func runFile(ctx context.Context, s *command.Session, path string) int {
	f, err := os.Open(path)
	if err != nil {
		return s.Complain(err.Error(), "")
	}
	defer f.Close()
	s.Stdin = os.Stdin
	return repl.Script(ctx, s, path, f)
}
