package onebox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/arionkv/arion/cmd/arion/server"
	"github.com/arionkv/arion/config"
)

// startTimeout bounds the time from the first server to the last table. A
// restart after a crash replays raft logs, which may take some seconds.
const startTimeout = 2 * time.Minute

// Run starts the servers, makes the tables, prints READY and serves until ctx
// ends. cfg gives the settings that all servers share.
func Run(ctx context.Context, o *Options, cfg *config.Config, log *logrus.Logger, out io.Writer) error {
	if err := o.checkPorts(); err != nil {
		return err
	}
	if err := o.record(); err != nil {
		return err
	}
	b := &box{options: o, shared: cfg, log: log}
	err := b.start(ctx)
	if err == nil {
		fmt.Fprintf(out, "READY %s\n", strings.Join(o.metaList(), ","))
		<-ctx.Done()
		log.Info("stopping")
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // asked to stop while starting
	}
	return errors.Join(err, b.close())
}

// box is a running onebox.
type box struct {
	options *Options
	shared  *config.Config
	log     *logrus.Logger

	metas, replicas []server.Server
}

// start brings the servers up, metas first: replica servers register with them.
func (b *box) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		fmt.Errorf("not ready after %s, see the log", startTimeout))
	defer cancel()
	begin := time.Now()
	var err error
	if b.metas, err = b.open(ctx, b.options.metas(), server.OpenMeta); err != nil {
		return err
	}
	if b.replicas, err = b.open(ctx, b.options.replicas(), server.OpenReplica); err != nil {
		return err
	}
	if err := b.waitReady(ctx); err != nil {
		return err
	}
	if err := b.makeTables(ctx); err != nil {
		return err
	}
	b.log.WithField("took", time.Since(begin).Round(time.Millisecond)).Info("onebox ready")
	return nil
}

// open starts servers of one role side by side: a meta group elects its leader
// only once a majority runs. What was opened is returned with an error, too.
func (b *box) open(ctx context.Context, nodes []node, open server.Open) ([]server.Server, error) {
	servers := make([]server.Server, len(nodes))
	var group errgroup.Group
	for i, n := range nodes {
		group.Go(func() error {
			srv, err := open(ctx, b.config(n), b.log)
			if err != nil {
				return fmt.Errorf("start %s on %s: %w", n.name, n.addr, err)
			}
			servers[i] = srv
			return nil
		})
	}
	err := group.Wait()
	return compact(servers), err
}

func compact(servers []server.Server) []server.Server {
	var opened []server.Server
	for _, s := range servers {
		if s != nil {
			opened = append(opened, s)
		}
	}
	return opened
}

// config derives one server's settings from the shared ones. Memory budgets
// are meant for the process, so the replica servers divide them.
func (b *box) config(n node) *config.Config {
	c := *b.shared
	c.Node.Dir = filepath.Join(b.options.Dir, n.name)
	c.Node.Name = n.name
	c.RPC.Listen, c.RPC.Advertise = n.addr, ""
	c.Raft.Listen, c.Raft.Advertise = "", ""
	c.Gossip.Listen, c.Gossip.Advertise = "", ""
	c.Meta.Servers = b.options.metaList()
	share := config.Size(b.options.Replicas)
	c.Replica.BlockCache = max(c.Replica.BlockCache/share, smallestCache)
	c.Replica.WriteBuffer = max(c.Replica.WriteBuffer/share, smallestBuffer)
	return &c
}

// Below these RocksDB works in crumbs: each partition of a node wants a piece of
// the buffer. The cache must exceed the buffer, which is charged to it.
const (
	smallestCache  = 32 * config.MB
	smallestBuffer = 8 * config.MB
)

// waitReady waits until every server says that it can serve.
func (b *box) waitReady(ctx context.Context) error {
	return poll(ctx, func() error {
		for _, s := range append(b.metas[:len(b.metas):len(b.metas)], b.replicas...) {
			if err := s.Ready(); err != nil {
				return fmt.Errorf("%s is not ready: %w", s.Addr(), err)
			}
		}
		return nil
	})
}

// pollInterval is short against an election (0.5 s) and costs nothing.
const pollInterval = 20 * time.Millisecond

// poll repeats check until it gives nil; when ctx ends first, the error holds
// the last one of check.
func poll(ctx context.Context, check func() error) error {
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(pollInterval):
		}
	}
}

// close stops the replica servers, then the metas they report to.
func (b *box) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), server.CloseTimeout)
	defer cancel()
	return errors.Join(closeAll(ctx, b.replicas), closeAll(ctx, b.metas))
}

func closeAll(ctx context.Context, servers []server.Server) error {
	var group errgroup.Group
	for _, s := range servers {
		group.Go(func() error {
			if err := s.Close(ctx); err != nil {
				return fmt.Errorf("stop %s: %w", s.Addr(), err)
			}
			return nil
		})
	}
	return group.Wait()
}
