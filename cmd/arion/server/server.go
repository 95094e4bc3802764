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
	"github.com/arionkv/arion/replica/engine/rowcache"
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
	return OpenReplicaWith(ctx, cfg, replica.Deps{Log: entry(log, "replica", cfg), Registry: obs.NewRegistry()})
}

// OpenReplicaWith is OpenReplica for tests, which bring more than a log and a
// registry.
func OpenReplicaWith(ctx context.Context, cfg *config.Config, deps replica.Deps) (Server, error) {
	opener, err := openStorage(cfg.Replica)
	if err != nil {
		return nil, fmt.Errorf("storage engine: %w", err)
	}
	if err := deps.Registry.Register(opener); err != nil {
		return nil, errors.Join(err, opener.Close())
	}
	deps.Opener = opener
	srv, err := replica.Open(ctx, cfg, deps)
	if err != nil {
		return nil, errors.Join(err, opener.Close())
	}
	return &replicaServer{Server: srv, opener: opener}, nil
}

// rowCacheShare is the part of replica.block_cache that holds single records. A
// record in it takes less room than its block, and a quarter of the time.
const rowCacheShare = 4

// openStorage divides replica.block_cache between blocks and rows. The memtables
// are charged to the blocks' part, which must exceed them.
func openStorage(c config.Replica) (*rowcache.Opener, error) {
	rows := max(min(c.BlockCache/rowCacheShare, (c.BlockCache-c.WriteBuffer)/2), rowcache.SmallestBytes)
	e := rocks.DefaultConfig()
	e.BlockCacheBytes = uint64(max(c.BlockCache-rows, c.WriteBuffer+1))
	e.MemtablesBytes = uint64(c.WriteBuffer)
	e.Threads = c.BackgroundJobs
	base, err := rocks.NewOpener(e)
	if err != nil {
		return nil, err
	}
	opener, err := rowcache.NewOpener(base, int64(rows))
	if err != nil {
		return nil, errors.Join(err, base.Close())
	}
	return opener, nil
}

// replicaServer ends with the memory and threads its databases shared.
type replicaServer struct {
	*replica.Server
	opener *rowcache.Opener
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
