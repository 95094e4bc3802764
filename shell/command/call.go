package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// invocation is one run of one command, from the words to the exit status.
type invocation struct {
	session *Session
	verb    string
	called  string // the name it was called by, which may be another
	begin   time.Time
	result  render.Result
	exit    int
}

// open starts the result. columns are the JSON names of a row's values; line
// writes a row for people, nil means an aligned table.
func (i *invocation) open(columns []render.Column, line func(*render.Printer, []any) string) render.Result {
	i.result = i.session.Printer.Begin(render.Shape{Verb: i.verb, Columns: columns, Line: line})
	return i.result
}

// done ends the result; without rows none need have been opened.
func (i *invocation) done(s render.Summary) error {
	if i.result == nil {
		i.open(nil, nil)
	}
	s.Took = time.Since(i.begin)
	return i.result.Done(s)
}

// notFound ends the result of a command whose one record is missing or whose
// condition did not hold: an answer, no error, with a status of its own.
func (i *invocation) negative(code string, s render.Summary) error {
	i.exit = ExitNotFound
	s.Code = code
	return i.answered(s)
}

// The codes of negative answers.
const (
	codeNotFound = "NOT_FOUND"
	codeNotMet   = "CONDITION_NOT_MET"
)

// fail ends the result with an error and gives the exit status.
func (i *invocation) fail(err error) int {
	f := failureOf(err, i.verb)
	if p := i.session.Profile; p != nil && p.TLS != nil && f.Exit == ExitUnreachable {
		f.Try = "the profile " + p.Name + " asks for TLS, and " + tlsNote
	}
	f.At, f.Try = i.session.At, strings.Replace(f.Try, "help <command>", "help "+i.verb, 1)
	if i.result == nil {
		i.open(nil, nil)
	}
	// A failing write of the failure itself has nowhere to go.
	_ = i.result.Fail(f, time.Since(i.begin))
	return f.Exit
}

// answered is done for a command that is one call on one partition: the footer
// says where it went.
func (i *invocation) answered(s render.Summary) error {
	s.Where = i.session.last.where()
	return i.done(s)
}

// call is what a verb works with.
type call struct {
	*invocation
	args  []string
	flags *pflag.FlagSet
}

// text is argument n as plain text, for names and numbers.
func (c *call) text(n int) string { return parse.Text(c.args[n]) }

// optional is argument n, or fallback when it is not there.
func (c *call) optional(n int, fallback string) string {
	if n < len(c.args) {
		return c.text(n)
	}
	return fallback
}

// bytes is argument n as a key or value.
func (c *call) bytes(n int) ([]byte, error) { return c.decode(c.args[n]) }

func (c *call) decode(arg string) ([]byte, error) {
	b, err := parse.Bytes(arg, c.session.Stdin)
	if err != nil {
		return nil, &usageError{text: err.Error(), try: "quote it when it is meant as it stands"}
	}
	return b, nil
}

// keys reads arguments from n on as keys or values.
func (c *call) keys(n int) ([][]byte, error) {
	var all [][]byte
	for _, arg := range c.args[n:] {
		b, err := c.decode(arg)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// hashAndSort reads the first two arguments.
func (c *call) hashAndSort() (hashKey, sortKey []byte, err error) {
	if hashKey, err = c.bytes(0); err != nil {
		return nil, nil, err
	}
	sortKey, err = c.bytes(1)
	return hashKey, sortKey, err
}

// ttl reads argument n, a number of seconds; absent means none.
func (c *call) ttl(n int) (time.Duration, error) {
	if n >= len(c.args) {
		return 0, nil
	}
	return seconds("ttl_in_seconds", c.text(n))
}

func seconds(name, text string) (time.Duration, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, usagef(fmt.Sprintf("%s is %q, not a number of seconds", name, text))
	}
	return time.Duration(n) * time.Second, nil
}

// flagBytes is the value of a flag as bytes; nil when the flag was not given.
func (c *call) flagBytes(name string) ([]byte, error) {
	if !c.flags.Changed(name) {
		return nil, nil
	}
	return c.decode(c.flagText(name))
}

// flagText is the value of a flag as text; empty for a verb without the flag.
func (c *call) flagText(name string) string {
	f := c.flags.Lookup(name)
	if f == nil {
		return ""
	}
	return f.Value.String()
}

// flagBool reads a flag that takes true or false as its own word, as the
// Pegasus shell has it (-a false).
func (c *call) flagBool(name string) (bool, error) {
	text := parse.Text(c.flagText(name))
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, usagef(fmt.Sprintf("--%s is %q, neither true nor false", name, text))
	}
	return value, nil
}

func (c *call) flagInt(name string) int {
	n, _ := c.flags.GetInt(name) // the flag exists and pflag has parsed it
	return n
}

func (c *call) flagOn(name string) bool {
	on, _ := c.flags.GetBool(name) // false for a verb without the flag
	return on
}
