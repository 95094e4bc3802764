package command

import (
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

// commonFlags are those of every verb. One whose letter or name the verb has for
// something else keeps what is left of it.
var commonFlags = []struct {
	name, letter, text string
	value              bool // takes a value
}{
	{"output", "o", "table, wide, json, jsonl, csv, yaml or raw", true},
	{"quiet", "q", "no footer", false},
	{"timeout", "", "longest time of the command, such as 10s", true},
	{"table", "", "table to work on instead of the one in use", true},
	{"hex", "", "print keys and values as hex:…", false},
	{"b64", "", "print keys and values as b64:…", false},
	{"escape_all", "", "print every byte as \\xHH", false},
	{"bytes", "", "print sizes in bytes, without units", false},
	{"trace", "", "tell on stderr what is done for it: routing, connections, tries, answers", false},
	{"columns", "", "columns to show, separated by commas", true},
	{"sort", "", "column to sort by; -column from high to low", true},
	{"like", "", "rows with a cell that matches a regular expression", true},
}

// changeFlags are those of verbs that administer.
var changeFlags = []struct{ name, text string }{
	{"yes", "do it without asking"},
	{"dry_run", "say what would be done"},
}

// commonMark tells the flags above from the verb's own in the help.
const commonMark = "common"

func addCommonFlags(flags *pflag.FlagSet, v *verb) {
	if v.changes {
		for _, f := range changeFlags {
			flags.Bool(f.name, false, f.text)
		}
	}
	for _, f := range commonFlags {
		if flags.Lookup(f.name) != nil {
			continue
		}
		letter := f.letter
		if letter != "" && flags.ShorthandLookup(letter) != nil {
			letter = ""
		}
		if f.value {
			flags.StringP(f.name, letter, "", f.text)
		} else {
			flags.BoolP(f.name, letter, false, f.text)
		}
		flags.Lookup(f.name).Annotations = map[string][]string{commonMark: nil}
	}
}

// override applies the common flags to the session for one invocation. The
// function it gives puts everything back.
func (i *invocation) override(flags *pflag.FlagSet) (restore func(), err error) {
	s := i.session
	printer, table, timeout := s.Printer, s.Table, s.Timeout
	restore = func() { s.Printer = printer }
	changed := *printer
	given := func(name string) (string, bool) {
		f := flags.Lookup(name)
		if f == nil || !f.Changed {
			return "", false
		}
		_, common := f.Annotations[commonMark]
		return parse.Text(f.Value.String()), common
	}
	if text, ok := given("output"); ok {
		if changed.Format, err = render.ParseFormat(text); err != nil {
			return restore, usagef(err.Error())
		}
	}
	if on, _ := flags.GetBool("json"); on {
		changed.Format = render.JSON
	}
	if text, ok := given("timeout"); ok {
		d, err := parseDuration(text)
		if err != nil {
			return restore, err
		}
		s.Timeout = d
		inner := restore
		restore = func() { inner(); s.Timeout = timeout }
	}
	if text, ok := given("table"); ok {
		s.Table = text
		inner := restore
		restore = func() { inner(); s.Table = table }
	}
	for name, form := range map[string]render.ByteForm{"hex": render.Hex, "b64": render.Base64, "escape_all": render.EscapeAll} {
		if _, ok := given(name); ok {
			changed.Bytes = form
		}
	}
	if _, ok := given("trace"); ok {
		s.trace.to(&changed)
		inner := restore
		restore = func() { inner(); s.trace.to(nil) }
	}
	if _, ok := given("quiet"); ok {
		changed.Quiet = true
	}
	if _, ok := given("bytes"); ok {
		changed.Exact = true
	}
	if err := readView(&changed.View, given); err != nil {
		return restore, err
	}
	s.Printer = &changed
	return restore, nil
}

func readView(view *render.View, given func(string) (string, bool)) (err error) {
	if text, ok := given("columns"); ok {
		view.Columns = strings.Split(text, ",")
	}
	if text, ok := given("sort"); ok {
		view.Sort = text
	}
	if text, ok := given("like"); ok {
		if view.Like, err = regexp.Compile(text); err != nil {
			return usagef("--like: " + err.Error())
		}
	}
	return nil
}

// parseDuration reads 500ms, 2s, 1m; a plain number is milliseconds, as the
// Pegasus shell has them.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		d, err = time.ParseDuration(text + "ms")
	}
	if err != nil || d <= 0 {
		return 0, usagef(quoted(text) + " is no duration; say 500ms, 10s or 1m")
	}
	return d, nil
}
