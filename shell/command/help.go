package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/arionkv/arion/shell/parse"
	"github.com/arionkv/arion/shell/render"
)

func helpVerb() verb {
	return verb{
		use: "help [command]", short: "list the commands, or explain one",
		example: "help\nhelp full_scan\nhelp table",
		max:     unlimited, local: true, run: runHelp,
	}
}

const bytesHelp = `Keys and values: bare, "with \x00 escapes", 'literal', hex:00FF, b64:…, i64:42, file:path, - for standard input
(after arion on a command line, quotes and escapes are those of the system's shell: say hex: or b64:)`

// takesBytes tells the verbs that work on keys or values.
func (v *verb) takesBytes() bool {
	return strings.Contains(v.use, "_key>") || strings.Contains(v.use, "[hash_key]")
}

// exitHelp is the same for all verbs: the statuses are a property of the outcome.
const exitHelp = "exit status: 0 done, 1 failed, 2 usage, 3 not reached, 4 not found, 5 refused, 6 busy, 7 in doubt, 130 interrupted"

func runHelp(_ context.Context, c *call) error {
	var words []string
	for i := range c.args {
		words = append(words, c.text(i))
	}
	out := c.session.Printer.Out
	if !c.session.Printer.People() {
		return c.helpRows(words)
	}
	if len(words) == 0 {
		listVerbs(out, "")
		fmt.Fprintln(out, "\nhelp <command> tells more. "+bytesHelp)
		return c.done(render.Summary{Local: true})
	}
	if v, n := find(words); v != nil && n == len(words) {
		c.explain(v)
		if len(under(words[0])) > 0 && n == 1 {
			listVerbs(out, words[0])
		}
		return c.done(render.Summary{Local: true})
	}
	if len(under(words[0])) > 0 {
		listVerbs(out, words[0])
		return c.done(render.Summary{Local: true})
	}
	if reason := absent[words[0]]; reason != "" {
		return &usageError{text: "there is no command " + quoted(words[0]) + " here", try: reason}
	}
	return &usageError{text: "there is no command " + quoted(strings.Join(words, " ")), try: suggestion(words)}
}

// helpRows gives the help as data: all verbs, those of a noun, or one.
func (c *call) helpRows(words []string) error {
	exact, n := find(words)
	whole := exact != nil && n == len(words)
	if len(words) > 0 && !whole && len(under(words[0])) == 0 {
		return &usageError{text: "there is no command " + quoted(strings.Join(words, " ")), try: suggestion(words)}
	}
	r := c.open(render.Columns("command", "group", "usage", "purpose", "also", "changes", "examples", "related"), nil)
	for _, g := range allGroups() {
		for _, v := range g.verbs {
			if len(words) > 0 && v != exact && !(n <= 1 && strings.HasPrefix(v.name(), words[0]+" ")) {
				continue
			}
			err := r.Row(v.name(), g.title, v.use, v.short, v.aliases, v.changes, strings.Split(v.example, "\n"), v.related)
			if err != nil {
				return err
			}
		}
	}
	return c.done(render.Summary{Local: true})
}

// listVerbs prints name and sentence of each verb, or of those of a noun.
func listVerbs(out io.Writer, noun string) {
	for _, g := range allGroups() {
		var lines []string
		for _, v := range g.verbs {
			if noun == "" || strings.HasPrefix(v.name(), noun+" ") {
				lines = append(lines, fmt.Sprintf("  %-22s %s", v.name(), v.short))
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(out, "%s\n%s\n", g.title, strings.Join(lines, "\n"))
		}
	}
}

// explain prints the help of one verb. It ends the invocation: nothing ran.
func (i *invocation) explain(v *verb) {
	out := i.session.Printer.Out
	fmt.Fprintf(out, "usage: %s\n  %s\n", v.use, v.short)
	if len(v.aliases) > 0 {
		fmt.Fprintf(out, "also: %s\n", strings.Join(v.aliases, ", "))
	}
	if v.changes {
		fmt.Fprintln(out, "changes the cluster: read-only at the prompt until enable or --yes")
	}
	flags := pflag.NewFlagSet(v.name(), pflag.ContinueOnError)
	v.addFlags(flags)
	own := pflag.NewFlagSet(v.name(), pflag.ContinueOnError)
	own.SortFlags = false
	var common []string
	flags.VisitAll(func(f *pflag.Flag) {
		switch _, isCommon := f.Annotations[commonMark]; {
		case isCommon:
			common = append(common, flagName(f))
		case f.Name != "help":
			own.AddFlag(f)
		}
	})
	if own.HasFlags() {
		fmt.Fprintf(out, "\nflags:\n%s", own.FlagUsages())
	}
	fmt.Fprintf(out, "\nexamples:\n%s\n", indent(v.example))
	if len(v.related) > 0 {
		fmt.Fprintf(out, "\nrelated: %s\n", strings.Join(v.related, ", "))
	}
	if v.takesBytes() {
		fmt.Fprintln(out, bytesHelp)
	}
	fmt.Fprintf(out, "common flags: %s\n%s\n", strings.Join(common, " "), exitHelp)
}

func flagName(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand + "/--" + f.Name
	}
	return "--" + f.Name
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// helpOf turns "table --help" into "help table".
func helpOf(words []parse.Word) (asked []parse.Word, texts []string) {
	asked = []parse.Word{{Text: "help"}}
	for _, w := range words {
		if w.Literal || w.Text != "--help" {
			asked = append(asked, w)
		}
	}
	for _, w := range asked {
		texts = append(texts, w.Text)
	}
	return asked, texts
}

// wantsHelp tells whether the words after a name ask for help by --help.
func wantsHelp(words []parse.Word) bool {
	return slices.ContainsFunc(words, func(w parse.Word) bool { return !w.Literal && w.Text == "--help" })
}
