package main

import (
	"context"
	"os"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/arionkv/arion/cmd/arion/dirlock"
	"github.com/arionkv/arion/cmd/arion/onebox"
	"github.com/arionkv/arion/cmd/arion/server"
	"github.com/arionkv/arion/config"
)

func newOnebox() *cobra.Command {
	var o onebox.Options
	var tables []string
	var file string
	cmd := &cobra.Command{
		Use:   "onebox --dir DIR",
		Short: "Run a whole cluster in one process on 127.0.0.1",
		Long: `Runs meta and replica servers on consecutive ports of 127.0.0.1. Prints READY
and the meta list once every named table serves. Data is kept in --dir and is
there again at the next start.`,
		Example: "  arion onebox --dir data/onebox --table temp:8",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := cmd.Flags().Changed
			flags := onebox.Flags{
				Metas: given("metas"), Replicas: given("replicas"),
				MetaPort: given("meta-port"), ReplicaPort: given("replica-port"),
			}
			for _, text := range tables {
				t, err := onebox.ParseTable(text)
				if err != nil {
					return usageError{err}
				}
				o.Tables = append(o.Tables, t)
			}
			return runOnebox(untilSignal(), &o, flags, file)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Dir, "dir", "", "data directory, created when missing (required)")
	f.IntVar(&o.Metas, "metas", 1, "meta servers: 1, 3 or 5")
	f.IntVar(&o.Replicas, "replicas", 3, "replica servers")
	f.IntVar(&o.MetaPort, "meta-port", 34601, "port of the first meta server; the others follow")
	f.IntVar(&o.ReplicaPort, "replica-port", 34801, "port of the first replica server; the others follow")
	f.StringArrayVar(&tables, "table", []string{"temp:8"}, "table to have, name:partitions[:replicas]; repeatable")
	f.StringVar(&file, "config", "", "settings for all servers; addresses and directories are set by the onebox")
	return cmd
}

func runOnebox(ctx context.Context, o *onebox.Options, given onebox.Flags, file string) error {
	if o.Dir == "" {
		return usageError{o.Validate()}
	}
	lock, err := dirlock.Acquire(o.Dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := o.Recall(given); err != nil {
		return usageError{err}
	}
	if err := o.Validate(); err != nil {
		return usageError{err}
	}
	cfg, err := config.Load(file, nil)
	if err != nil {
		return usageError{err}
	}
	log := server.NewLogger(cfg.Log)
	log.WithFields(logrus.Fields(cfg.Effective())).WithField("go_heap_limit", cfg.LimitHeap().String()).Info("settings shared by all servers")
	followLoad(ctx)
	return onebox.Run(ctx, o, cfg, log, os.Stdout)
}
