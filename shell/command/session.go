// Package command holds the verbs of the shell: one command tree that serves
// the prompt, scripts and -e alike.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// DefaultTimeout of one command. Scans take it per page.
const DefaultTimeout = 5 * time.Second

// Session is what commands share: where they connect and how they print.
// Commands run one at a time.
type Session struct {
	Metas   []string
	Table   string // the current one; empty = none
	Timeout time.Duration
	Printer *render.Printer
	Stdin   io.Reader // what the argument - reads; nil = the terminal is the script
	Version string
	// More reads one more line for a command that asks for it. io.EOF ends.
	More func(prompt string) (string, error)

	client *client.Client
	last   lastCall
	quit   bool
}

// lastCall remembers where the latest call on a record went, for the footer. It
// is a hook of the client and told before the call's result is there.
type lastCall struct {
	mu    sync.Mutex
	event client.CallEvent
}

// OnCall keeps the event.
func (l *lastCall) OnCall(e client.CallEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.event = e
}

func (l *lastCall) where() render.Where {
	l.mu.Lock()
	defer l.mu.Unlock()
	return render.Where{Table: l.event.Table, Partition: l.event.Partition, Node: l.event.Node}
}

// Quit tells whether exit was typed.
func (s *Session) Quit() bool { return s.quit }

// Close ends the connections.
func (s *Session) Close() {
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
}

// Run executes one command and prints its result. It gives the exit status of
// the command; see Exit… for the meanings.
func (s *Session) Run(ctx context.Context, words []parse.Word) int {
	inv := &invocation{session: s, begin: time.Now(), verb: words[0].Text}
	root := newTree(inv)
	args := parse.Args(words)
	args[0] = words[0].Text // a verb may be quoted as well
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		return inv.fail(err, suggestion(root, words[0].Text))
	}
	return inv.exit
}

// connect opens the client at first use, so that help and mistakes need no
// network.
func (s *Session) connect(ctx context.Context) (*client.Client, error) {
	if s.client != nil {
		return s.client, nil
	}
	if len(s.Metas) == 0 {
		return nil, usagef("no meta server given; start the shell with --meta HOST:PORT")
	}
	c, err := client.Open(ctx, s.Metas, client.WithHooks(&s.last))
	if err != nil {
		return nil, err
	}
	s.client = c
	return c, nil
}

// table is the current table.
func (s *Session) table(ctx context.Context) (*client.Table, error) {
	if s.Table == "" {
		return nil, usagef("no table is in use; say: use <table>, or start the shell with --table")
	}
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	return c.Table(s.Table), nil
}

// usageError is a mistake of the user: nothing was sent.
type usageError struct {
	text string
	try  string
}

func (e *usageError) Error() string { return e.text }

// usagef makes a usage error; a part after "; " becomes the advice.
func usagef(text string) error {
	what, try, _ := strings.Cut(text, "; ")
	return &usageError{text: what, try: try}
}

// isUsage tells usage errors from others.
func isUsage(err error) bool {
	var usage *usageError
	return errors.As(err, &usage)
}

// Complain shows a mistake found before any command ran. shown is the text it
// is about, perhaps with a caret below.
func (s *Session) Complain(what, shown string) int {
	f := render.Failure{What: what, Code: "USAGE", Cause: shown, Exit: ExitUsage}
	if s.Printer.Format == render.Table {
		f.Cause = ""
	}
	_ = s.Printer.Begin(render.Shape{}).Fail(f, 0)
	if s.Printer.Format == render.Table && shown != "" {
		fmt.Fprintln(s.Printer.Err, "  "+strings.ReplaceAll(shown, "\n", "\n  "))
	}
	return f.Exit
}
