package main

import (
	"context"
	"fmt"
	"io"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/arionkv/arion/cmd/arion/dirlock"
	"github.com/arionkv/arion/cmd/arion/server"
	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/meta"
)

func newMetaRecover() *cobra.Command {
	var file string
	var yes bool
	cmd := &cobra.Command{
		Use:   "recover --config FILE [--yes]",
		Short: "Go on with this stopped meta server alone, when the majority is lost for good",
		Long: "Makes one stopped meta server the only member of the metas' group. The catalog stays as far as this server\n" +
			"knows it. Changes of the catalog that the lost servers made without it are lost: tables, moved replicas.\n" +
			"Without --yes it only tells what would be done. First try to bring a majority back with its directories.",
		Example: "  arion meta recover --config meta1.toml\n  arion meta recover --config meta1.toml --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, nil)
			if err == nil {
				err = cfg.ValidateMeta()
			}
			if err != nil {
				return usageError{err}
			}
			return recoverMeta(untilSignal(), cmd.OutOrStdout(), cfg, yes)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "settings of the surviving meta server")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func recoverMeta(ctx context.Context, out io.Writer, cfg *config.Config, yes bool) error {
	lock, err := dirlock.Acquire(cfg.Node.Dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	cfg.Log.Level = "error" // the log of a server is not what an operator waits for here
	log := server.NewLogger(cfg.Log)
	s, err := meta.Recover(ctx, cfg, meta.Deps{Log: logrus.NewEntry(log)}, yes)
	if err != nil {
		return fmt.Errorf("recover the metas from %s: %w", cfg.Node.Dir, err)
	}
	live := 0
	for _, t := range s.State.Tables() {
		if t.Live() {
			live++
		}
	}
	fmt.Fprintf(out, "catalog at index %d: %d tables, %d nodes\n", s.State.Index, live, len(s.State.Nodes()))
	for _, t := range s.State.Tables() {
		if t.Live() {
			fmt.Fprintf(out, "  table %d %s, %d partitions\n", t.ID, t.Name, t.PartitionCount)
		}
	}
	if yes {
		fmt.Fprintf(out, "%s is the only meta server now. Start it, look at `table list` and `doctor`, then add others:\n"+
			"`meta.add ADDR`, and start each with an empty directory and meta.join = true.\n", cfg.RPCAddress())
		return nil
	}
	fmt.Fprintf(out, "%s (replica %d) would become the only meta server, these would be removed for good: %v\n"+
		"Make sure that none of them runs, nor can be brought back with its directory: what they know and this one does not is lost.\n"+
		"Of several survivors take the one with the highest catalog index. Then the same with --yes.\n", cfg.RPCAddress(), s.ReplicaID, s.Metas)
	return nil
}
