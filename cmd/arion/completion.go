package main

import (
	_ "embed"
	"io"

	"github.com/spf13/cobra"
)

// bashFallback stands in for the package bash-completion, which servers and
// containers often are without.
//
//go:embed completion.bash
var bashFallback string

// completeBashAlone makes the script for bash work without bash-completion.
func completeBashAlone(root *cobra.Command) {
	cmd, _, err := root.Find([]string{"completion", "bash"})
	if err != nil {
		return
	}
	cmd.Long = "Prints a script for bash. For this session: source <(arion completion bash)\n" +
		"For all: arion completion bash > /etc/bash_completion.d/arion, or source it in ~/.bashrc."
	script := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := io.WriteString(root.OutOrStdout(), bashFallback); err != nil {
			return err
		}
		return script(cmd, args)
	}
}
