package main

import "github.com/spf13/cobra"

func newOffline() *cobra.Command {
	return &cobra.Command{Use: "offline", Short: "Look into the data directory of a stopped node"}
}
