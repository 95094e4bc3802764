package command

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/arionkv/arion/shell/parse"
)

// newCommand builds the cobra command of one verb for one invocation. Flags keep
// what was parsed into them, so it serves once.
func newCommand(inv *invocation, v *verb) *cobra.Command {
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Example: v.example,
		SilenceUsage: true, SilenceErrors: true, DisableFlagsInUseLine: true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetOut(inv.session.Printer.Out)
	cmd.SetErr(inv.session.Printer.Err)
	cmd.SetHelpFunc(func(*cobra.Command, []string) { inv.explain(v) })
	flags := cmd.Flags()
	v.addFlags(flags)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &usageError{text: parse.Text(strings.ReplaceAll(err.Error(), "\x00", "")), try: "usage: " + v.use}
	})
	cmd.Args = func(_ *cobra.Command, args []string) error { return v.checkArgs(args) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		restore, err := inv.override(flags)
		if err != nil {
			return err
		}
		defer restore()
		return v.run(cmd.Context(), &call{invocation: inv, args: args, flags: flags})
	}
	return cmd
}

// addFlags enters the flags of the verb, those of all verbs, and help.
func (v *verb) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.SetNormalizeFunc(underscores)
	if v.flags != nil {
		v.flags(flags)
	}
	addCommonFlags(flags, v)
	if flags.ShorthandLookup("h") == nil {
		flags.BoolP("help", "h", false, "show this help")
	} else {
		flags.Bool("help", false, "show this help")
	}
}

func underscores(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ReplaceAll(name, "-", "_"))
}

func (v *verb) checkArgs(args []string) error {
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

// Tree gives the verbs as commands of cobra: `arion table list` on the command
// line of the system, with its help and shell completion. run gets the words that
// followed, flags included.
func Tree(run func(words []string) error, complete func(words []string, last string) []string) []*cobra.Command {
	var roots []*cobra.Command
	byPath := map[string]*cobra.Command{}
	add := func(path string, v *verb, hidden bool) {
		parent, name := "", path
		if i := strings.LastIndexByte(path, ' '); i >= 0 {
			parent, name = path[:i], path[i+1:]
		}
		cmd := byPath[path]
		if cmd == nil {
			cmd = &cobra.Command{Use: name}
			byPath[path] = cmd
			if parent == "" {
				roots = append(roots, cmd)
			} else {
				byPath[parent].AddCommand(cmd)
			}
		}
		attach(cmd, path, v, hidden, run, complete)
	}
	for _, g := range allGroups() {
		for _, v := range g.verbs {
			for n, name := range append([]string{v.name()}, v.aliases...) {
				for i, c := range name { // the nouns above it
					if c == ' ' && byPath[name[:i]] == nil {
						add(name[:i], nil, n > 0)
					}
				}
				add(name, v, n > 0)
			}
		}
	}
	return roots
}

// attach makes cmd run the verb, or list what is below a noun without one.
func attach(cmd *cobra.Command, path string, v *verb, hidden bool, run func([]string) error, complete func([]string, string) []string) {
	cmd.Hidden = hidden && nouns[path] == ""
	cmd.DisableFlagParsing = true
	words := strings.Fields(path)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return run(append(words[:len(words):len(words)], args...))
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, last string) ([]string, cobra.ShellCompDirective) {
		return complete(append(words[:len(words):len(words)], args...), last), cobra.ShellCompDirectiveNoFileComp
	}
	cmd.SetHelpFunc(func(*cobra.Command, []string) { _ = run(append([]string{"help"}, words...)) })
	switch {
	case nouns[path] != "":
		cmd.Short = nouns[path] + ": " + strings.Join(under(path), ", ")
	case v != nil:
		cmd.Short = v.short
	}
}

// nouns are the first words of two-word names.
var nouns = map[string]string{
	"table": "tables", "envs": "settings of a table", "partition": "replicas of a partition", "split": "split a table's partitions",
	"compact": "manual compaction", "cluster": "the cluster", "node": "replica servers", "ctx": "kept clusters", "config": "settings of the shell",
	"key": "keys as they are stored", "job": "work in the background",
}

// verbContext carries the verb that runs another one (watch), so that it cannot
// run itself.
type verbContext struct{}

func within(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, verbContext{}, name)
}

func outer(ctx context.Context) string {
	name, _ := ctx.Value(verbContext{}).(string)
	return name
}
