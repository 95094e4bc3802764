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
	"syscall"
	"time"

	"github.com/chzyer/readline"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/profile"
	"github.com/arionkv/arion/shell/render"
	"github.com/arionkv/arion/shell/repl"
)

// Options are the settings of a shell, from whatever they come.
type Options struct {
	Metas     []string
	Table     string
	Format    render.Format
	Bytes     render.ByteForm
	Quiet     bool
	Yes       bool // changes need no confirmation
	Timeout   time.Duration
	Version   string
	Profile   *profile.Profile
	Profiles  profile.Store
	Origins   command.Origins
	Command   string // -e
	File      string // -f
	Variables map[string]string
	KeepGoing bool
}

// longestShown is what a terminal shows of one value; pipes get all of it.
const longestShown = 1024

// session makes the session that all ways of running share.
func session(o Options) *command.Session {
	terminal := readline.IsTerminal(int(os.Stdout.Fd()))
	printer := &render.Printer{Out: os.Stdout, Err: os.Stderr, Format: o.Format, Bytes: o.Bytes, Quiet: o.Quiet}
	if terminal {
		printer.Screen = screenSize
		printer.Width, _ = screenSize()
		printer.Terminal = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if o.Bytes == render.Raw {
			printer.Bytes = render.Quoted // a terminal obeys control bytes
		}
		printer.Cut = longestShown
	}
	return &command.Session{
		Metas: o.Metas, Table: o.Table, Timeout: o.Timeout, Printer: printer, Version: o.Version, Yes: o.Yes,
		Profile: o.Profile, Profiles: o.Profiles, Origins: o.Origins,
	}
}

// screenSize is that of the terminal of standard output; 0 when it does not tell.
func screenSize() (width, height int) {
	width, height, err := readline.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// Run runs what the options ask for: -e, -f, a script on stdin, or the prompt.
// It gives the exit status.
func Run(ctx context.Context, o Options) int {
	s := session(o)
	defer s.Close()
	if o.Command == "" && o.File == "" && readline.IsTerminal(int(os.Stdin.Fd())) {
		if err := repl.Prompt(ctx, s); err != nil && !errors.Is(err, io.EOF) {
			return s.Complain(err.Error(), "")
		}
		return command.ExitOK
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	script := repl.Options{Name: "stdin", Variables: o.Variables, KeepGoing: o.KeepGoing}
	switch {
	case o.Command != "":
		s.Stdin, script.Name = os.Stdin, "-e"
		return repl.Script(ctx, s, script, strings.NewReader(o.Command))
	case o.File != "":
		f, err := os.Open(o.File)
		if err != nil {
			return s.Complain(err.Error(), "")
		}
		defer f.Close()
		s.Stdin, script.Name = os.Stdin, o.File
		return repl.Script(ctx, s, script, f)
	}
	return repl.Script(ctx, s, script, os.Stdin)
}

// RunWords runs one command whose words the system's shell has parted already.
func RunWords(ctx context.Context, o Options, words []string) int {
	s := session(o)
	defer s.Close()
	s.Stdin = os.Stdin
	ctx, stop := interruptible(ctx)
	defer stop()
	s.More = func(string) (string, error) { return "", io.EOF }
	line := make([]parse.Word, len(words))
	for i, word := range words {
		line[i] = parse.Word{Text: word}
	}
	return s.Run(ctx, line)
}

// CompleteWords gives what may follow words, for the completion of the system's
// shell.
func CompleteWords(o Options, words []string, last string) []string {
	s := session(o)
	defer s.Close()
	return s.Complete(words, last)
}

// interruptGrace is what a script's command gets to end by itself after Ctrl-C, or
// after the SIGTERM of a supervisor: it prints its cursor, or takes a node back.
// A script that waits for its next line cannot notice, so the process ends then.
const interruptGrace = time.Second

func interruptible(ctx context.Context) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
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
