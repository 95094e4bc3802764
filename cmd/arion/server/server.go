// Package server opens one meta or replica server from its settings: it adds
// what only the process knows, the log, the metrics registry and the engine.
package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/meta"
	"github.com/arionkv/arion/replica"
	"github.com/arionkv/arion/replica/engine/rocks"
)

// CloseTimeout bounds a clean stop: handing leaders over, draining requests
// and flushing take well under a second each.
const CloseTimeout = 10 * time.Second

// Server is a running meta or replica server.
type Server interface {
	Addr() string
	Ready() error // nil once it can serve
	Close(context.Context) error
}

// Open starts a server of one role.
type Open func(ctx context.Context, cfg *config.Config, log *logrus.Logger) (Server, error)

// OpenMeta starts a meta server.
func OpenMeta(ctx context.Context, cfg *config.Config, log *logrus.Logger) (Server, error) {
	return meta.Open(ctx, cfg, meta.Deps{
		Log:      entry(log, "meta", cfg),
		Registry: obs.NewRegistry(),
	})
}

// OpenReplica starts a replica server on RocksDB.
func OpenReplica(ctx context.Context, cfg *config.Config, log *logrus.Logger) (Server, error) {
	opener, err := rocks.NewOpener(engineConfig(cfg.Replica))
	if err != nil {
		return nil, fmt.Errorf("storage engine: %w", err)
	}
	srv, err := replica.Open(ctx, cfg, replica.Deps{
		Log:      entry(log, "replica", cfg),
		Registry: obs.NewRegistry(),
		Opener:   opener,
	})
	if err != nil {
		return nil, errors.Join(err, opener.Close())
	}
	return &replicaServer{Server: srv, opener: opener}, nil
}

func engineConfig(c config.Replica) rocks.Config {
	e := rocks.DefaultConfig()
	e.BlockCacheBytes = uint64(c.BlockCache)
	e.MemtablesBytes = uint64(c.WriteBuffer)
	e.Threads = c.BackgroundJobs
	return e
}

// replicaServer ends with the memory and threads its databases shared.
type replicaServer struct {
	*replica.Server
	opener *rocks.Opener
}

func (s *replicaServer) Close(ctx context.Context) error {
	return errors.Join(s.Server.Close(ctx), s.opener.Close())
}

func entry(log *logrus.Logger, role string, cfg *config.Config) *logrus.Entry {
	name := cfg.Node.Name
	if name == "" {
		name = cfg.RPCAddress()
	}
	return log.WithFields(logrus.Fields{"role": role, "node": name})
}

// NewLogger makes the log of the process, on standard error.
func NewLogger(cfg config.Log) *logrus.Logger {
	log := obs.NewLogger(cfg.Level, cfg.Format, os.Stderr)
	// dragonboat takes one logger for the whole process, so it is given before
	// the first server starts and carries no node.
	obs.InstallRaftLogger(log.WithField("component", "raft"))
	return log
}
