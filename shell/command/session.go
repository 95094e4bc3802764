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
	"github.com/arionkv/arion/shell/profile"
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
	// Interactive: a person types, and administration is read-only until Enabled.
	Interactive bool
	Enabled     bool
	Yes         bool // changes need no confirmation
	Profile     *profile.Profile
	Profiles    profile.Store
	Origins     Origins // where the settings come from
	// At is the file and line of the script that the command is from.
	At string
	// More reads one more line for a command that asks for it. io.EOF ends.
	More func(prompt string) (string, error)

	client *client.Client
	last   lastCall
	trace  trace
	names  names
	quit   bool
	// What timeout and escape_all choose. The flags of a command are for the command
	// alone, so these take effect once it is over.
	setTimeout time.Duration
	setBytes   *render.ByteForm
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
	return render.Where{Table: l.event.Table, Partition: l.event.Partition, Node: l.event.Node, Index: l.event.Index}
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
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = w.Text
	}
	if s.Printer.Screen != nil {
		s.Printer.Width, _ = s.Printer.Screen()
	}
	inv := &invocation{session: s, begin: time.Now(), verb: texts[0]}
	v, used := find(texts)
	if v == nil && wantsHelp(words[1:]) { // of a noun, as of a verb
		words, texts = helpOf(words)
		v, used = find(texts)
	}
	switch {
	case v == nil:
		return inv.fail(unknownVerb(texts))
	case wantsHelp(words[used:]):
		inv.explain(v)
		return ExitOK
	}
	inv.verb, inv.called = v.name(), strings.Join(texts[:used], " ")
	cmd := newCommand(inv, v)
	cmd.SetArgs(parse.Args(words[used:]))
	if err := cmd.ExecuteContext(ctx); err != nil {
		// The flags are of the failure as well: who asks for JSON gets it.
		if restore, wrong := inv.override(cmd.Flags()); wrong == nil {
			defer restore()
		}
		return inv.fail(err)
	}
	s.settle()
	return inv.exit
}

// settle applies what a session verb has chosen.
func (s *Session) settle() {
	if s.setTimeout > 0 {
		s.Timeout, s.setTimeout = s.setTimeout, 0
		s.Close() // the client has the old one
		s.Origins.set("timeout", "timeout")
	}
	if s.setBytes != nil {
		s.Printer.Bytes, s.setBytes = *s.setBytes, nil
		s.Origins.set("bytes", "escape_all")
	}
}

func unknownVerb(words []string) error {
	what := "there is no command " + quoted(words[0])
	if len(under(words[0])) > 0 && len(words) > 1 {
		what = "there is no command " + quoted(words[0]+" "+words[1])
	}
	if reason := absent[words[0]]; reason != "" {
		return &usageError{text: what, try: reason}
	}
	return &usageError{text: what, try: suggestion(words)}
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
	c, err := s.open(ctx, s.Metas)
	if err != nil {
		return nil, err
	}
	s.client = c
	return c, nil
}

// open connects to a cluster; the caller closes what it gives.
func (s *Session) open(ctx context.Context, metas []string) (*client.Client, error) {
	options, err := security(ctx, s.Profile)
	if err != nil {
		return nil, usagef(err.Error())
	}
	limit := 2 * s.Timeout // the command's own limit is to come first
	options = append(options, client.WithHooks(&s.last, &s.trace),
		client.WithTimeouts(client.Timeouts{Read: limit, Write: limit, Scan: limit, Meta: limit}))
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	return client.Open(ctx, metas, options...)
}

// security gives the options of a profile; none is a profile without any.
func security(ctx context.Context, p *profile.Profile) ([]client.Option, error) {
	if p == nil {
		return nil, nil
	}
	config, err := p.TLS.Config(ctx)
	if err != nil || config == nil {
		return nil, err
	}
	return []client.Option{client.WithTLS(config)}, nil
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

// partitionsOf gives the number of partitions, within the time of one command.
func (s *Session) partitionsOf(ctx context.Context, t *client.Table) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	return t.Partitions(ctx)
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
	people := s.Printer.Format != render.JSON && s.Printer.Format != render.JSONL
	if people {
		f.Cause = ""
	}
	_ = s.Printer.Begin(render.Shape{}).Fail(f, 0)
	if people && shown != "" {
		fmt.Fprintln(s.Printer.Err, "  "+strings.ReplaceAll(shown, "\n", "\n  "))
	}
	return f.Exit
}
