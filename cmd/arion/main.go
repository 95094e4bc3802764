// Command arion is the whole of Arion in one binary: the servers, the onebox,
// the shell and the load generator.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	root, explain := newRoot()
	// What fails before a command runs is a mistake on the command line.
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	var unknown error
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) { unknown = explain(cmd, args) })
	err := root.Execute()
	switch {
	case unknown != nil:
		err = unknown
	case err != nil && !began:
		err = usageError{err}
	}
	os.Exit(exitCode(err))
}

// untilSignal gives a context that ends at the first SIGINT or SIGTERM, which
// asks for a clean stop. The second one ends the process at once.
func untilSignal() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// newRoot gives the command tree, and what explains a command or tells that there
// is none of that name.
func newRoot() (root *cobra.Command, explain func(*cobra.Command, []string) error) {
	root = &cobra.Command{
		Use:   "arion",
		Short: "A distributed key-value store that speaks the Apache Pegasus protocol",
		Example: "  arion onebox --dir data/onebox\n  arion shell\n  arion --table temp set user1 name Ada\n" +
			"  arion table list -o json\n  source <(arion completion bash)",
		SilenceUsage:  true,
		SilenceErrors: true,
		// The flags of the shell stand before its commands, and only there.
		TraverseChildren: true,
	}
	var flags shellFlags
	flags.add(root.Flags())
	root.AddCommand(newOnebox(), newMeta(), newReplica(), newShell(&flags), newBench(), newOffline(), newVersion())
	root.InitDefaultCompletionCmd()
	completeBashAlone(root)
	run := addVerbs(root, &flags)
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return run(args) // an unknown name: the shell has advice
	}
	usual := root.HelpFunc()
	explain = func(cmd *cobra.Command, _ []string) error {
		if words := cmd.Flags().Args(); cmd == root && len(words) > 0 {
			return run(append([]string{"help"}, words...))
		}
		usual(cmd, nil)
		return nil
	}
	root.SetHelpCommand(&cobra.Command{
		Use: "help [command]", Short: "Help about any command",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return commandNames(root, args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, _, err := root.Find(args)
			if err != nil || cmd == root && len(args) > 0 {
				return run(append([]string{"help"}, args...))
			}
			return cmd.Help()
		},
	})
	return root, explain
}

// commandNames are those below the command that words name.
func commandNames(root *cobra.Command, words []string) []string {
	cmd, rest, err := root.Find(words)
	if err != nil || len(rest) > 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

// exitStatus is an error that was already shown and only sets the status.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

const (
	statusFailed = 1
	statusUsage  = 2
)

// usageError marks a mistake on the command line: nothing was done.
type usageError struct{ error }

func exitCode(err error) int {
	var status exitStatus
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(os.Stderr, "error: %v\n", err)
	if errors.As(err, &usage) {
		return statusUsage
	}
	return statusFailed
}
