package main

import (
	"context"
	"fmt"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/arionkv/arion/cmd/arion/dirlock"
	"github.com/arionkv/arion/cmd/arion/server"
	"github.com/arionkv/arion/config"
)

func newMeta() *cobra.Command {
	cmd := newServe("meta", "Run a meta server", (*config.Config).ValidateMeta, server.OpenMeta)
	cmd.AddCommand(newMetaRecover())
	return cmd
}

func newReplica() *cobra.Command {
	return newServe("replica", "Run a replica server", (*config.Config).Validate, server.OpenReplica)
}

func newServe(role, short string, check func(*config.Config) error, open server.Open) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   role + " --config FILE",
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, nil)
			if err == nil {
				err = check(cfg)
			}
			if err != nil {
				return usageError{err}
			}
			return serve(untilSignal(), cfg, role, open)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "settings, see config/samples; the environment (ARION_SECTION_KEY) wins over the file")
	return cmd
}

// serve runs one server until ctx ends, then closes it.
func serve(ctx context.Context, cfg *config.Config, role string, open server.Open) error {
	lock, err := dirlock.Acquire(cfg.Node.Dir)
	if err != nil {
		return err
	}
	defer lock.Release()

	log := server.NewLogger(cfg.Log)
	log.WithFields(logrus.Fields(cfg.Effective())).WithField("go_heap_limit", cfg.LimitHeap().String()).Info("settings")
	followLoad(ctx)
	srv, err := open(ctx, cfg, log)
	if err != nil {
		return fmt.Errorf("start %s server on %s: %w", role, cfg.RPC.Listen, err)
	}
	log.WithFields(logrus.Fields{"role": role, "address": srv.Addr()}).Info("serving")

	<-ctx.Done()
	log.Info("stopping")
	closing, cancel := context.WithTimeout(context.Background(), server.CloseTimeout)
	defer cancel()
	return srv.Close(closing)
}
