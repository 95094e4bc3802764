package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/arionkv/arion/shell/parse"
)

// verb describes one command. Its flags follow the Pegasus shell; a dash in a
// name works for an underscore.
type verb struct {
	use     string // "get <hash_key> <sort_key>"
	short   string
	example string
	aliases []string
	min     int // positional arguments
	max     int // unlimited when below min
	flags   func(*pflag.FlagSet)
	run     func(ctx context.Context, c *call) error
}

const unlimited = -1

// group is a heading of the help.
type group struct {
	title string
	verbs []verb
}

func groups() []group {
	return []group{
		{"Records", append(append(recordVerbs(), multiVerbs()...), checkVerbs()...)},
		{"Scans", scanVerbs()},
		{"Tables", append(tableVerbs(), envVerbs()...)},
		{"Cluster", clusterVerbs()},
		{"Session", sessionVerbs()},
	}
}

// Names lists every verb, for completion.
func Names() []string {
	names := []string{"help"}
	for _, g := range groups() {
		for _, v := range g.verbs {
			name, _, _ := strings.Cut(v.use, " ")
			names = append(names, name)
		}
	}
	return names
}

// Usage gives the synopsis of a verb, empty when there is none.
func Usage(name string) string {
	for _, g := range groups() {
		for _, v := range g.verbs {
			if first, _, _ := strings.Cut(v.use, " "); first == name {
				return v.use
			}
		}
	}
	return ""
}

// newTree builds the commands for one invocation. Flags keep what was parsed
// into them, so a tree serves once; building it takes well under a millisecond.
func newTree(inv *invocation) *cobra.Command {
	root := &cobra.Command{Use: "", SilenceUsage: true, SilenceErrors: true}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetOut(inv.session.Printer.Out)
	root.SetErr(inv.session.Printer.Err)
	root.SetHelpFunc(printHelp)
	for _, g := range groups() {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, v := range g.verbs {
			root.AddCommand(newCommand(inv, g.title, v))
		}
	}
	root.SetHelpCommandGroupID("Session")
	return root
}

func newCommand(inv *invocation, title string, v verb) *cobra.Command {
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Example: v.example, Aliases: v.aliases,
		GroupID: title, DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.SetNormalizeFunc(underscores)
	if v.flags != nil {
		v.flags(flags)
	}
	if flags.ShorthandLookup("h") == nil {
		flags.BoolP("help", "h", false, "show this help")
	} else {
		flags.Bool("help", false, "show this help")
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &usageError{text: parse.Text(strings.ReplaceAll(err.Error(), "\x00", "")), try: "usage: " + v.use}
	})
	cmd.Args = func(_ *cobra.Command, args []string) error { return v.checkArgs(args) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		inv.verb = cmd.Name()
		return v.run(cmd.Context(), &call{invocation: inv, args: args, flags: flags})
	}
	return cmd
}

func underscores(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ReplaceAll(name, "-", "_"))
}

func (v verb) checkArgs(args []string) error {
	switch {
	case len(args) < v.min:
		return &usageError{text: plural(v.min-len(args)) + " missing", try: "usage: " + v.use}
	case v.max >= v.min && len(args) > v.max:
		return &usageError{text: plural(len(args)-v.max) + " too many", try: "usage: " + v.use}
	}
	return nil
}

func plural(arguments int) string {
	if arguments == 1 {
		return "1 argument is"
	}
	return strconv.Itoa(arguments) + " arguments are"
}

// suggestion is the advice for a verb that does not exist.
func suggestion(root *cobra.Command, name string) string {
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(name); len(near) > 0 {
		return "did you mean: " + strings.Join(near, ", ")
	}
	return "help lists the commands"
}

func printHelp(cmd *cobra.Command, _ []string) {
	out := cmd.OutOrStdout()
	if cmd.HasParent() {
		fmt.Fprintf(out, "usage: %s\n  %s\n", cmd.Use, cmd.Short)
		if len(cmd.Aliases) > 0 {
			fmt.Fprintf(out, "also: %s\n", strings.Join(cmd.Aliases, ", "))
		}
		fmt.Fprintf(out, "\nflags:\n%s", cmd.LocalFlags().FlagUsages())
		if cmd.Example != "" {
			fmt.Fprintf(out, "\nexamples:\n%s\n", indent(cmd.Example))
		}
		return
	}
	for _, g := range cmd.Groups() {
		fmt.Fprintf(out, "%s\n", g.Title)
		for _, c := range cmd.Commands() {
			if c.GroupID == g.ID {
				fmt.Fprintf(out, "  %-20s %s\n", c.Name(), c.Short)
			}
		}
	}
	fmt.Fprintln(out, "help <command> tells more. Keys and values: bare, \"with \\x00 escapes\", 'literal', hex:00FF, b64:…, i64:42, file:path")
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}
