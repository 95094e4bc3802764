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
	root := newRoot()
	// What fails before a command runs is a mistake on the command line.
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	err := root.Execute()
	if err != nil && !began {
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

func newRoot() *cobra.Command {
	root := &cobra.Command{
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
	run := addVerbs(root, &flags)
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return run(args) // an unknown name: the shell has advice
	}
	return root
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
