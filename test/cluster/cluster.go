// Package cluster runs whole clusters for tests, in one process: real servers,
// real sockets on loopback, real directories. Servers can be stopped and started
// again on their data; for crashes use scripts/cluster.sh and real processes.
package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/cmd/arion/server"
	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/raft"
	"github.com/arionkv/arion/replica"
)

// readyTimeout bounds the start of a cluster. Generous: the race detector and a
// busy machine slow elections down, and no test decides by time.
const readyTimeout = 90 * time.Second

// Options of a cluster. Zero values: one meta, three replica servers.
type Options struct {
	Metas, Replicas int
	// Change edits the settings of a server before it starts.
	Change func(name string, cfg *config.Config)
}

// Cluster is a set of servers.
type Cluster struct {
	t     testing.TB
	dir   string
	metas []string // rpc addresses
	nodes map[string]*node
	order []string
	log   *logrus.Logger
	net   *network
}

type node struct {
	name string
	role string
	cfg  *config.Config
	mu   sync.Mutex
	srv  server.Server
}

// Start runs a cluster and waits until every server is ready. The test's end
// stops it.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Metas == 0 {
		o.Metas = 1
	}
	if o.Replicas == 0 {
		o.Replicas = 3
	}
	c := &Cluster{t: t, dir: t.TempDir(), nodes: map[string]*node{}, log: testLog(t), net: newNetwork()}
	first := Ports(t, o.Metas+o.Replicas)
	for i := range o.Metas {
		c.metas = append(c.metas, address(first+i))
	}
	for i := range o.Metas + o.Replicas {
		p := first + i
		name, role := fmt.Sprintf("meta%d", i+1), "meta"
		if i >= o.Metas {
			name, role = fmt.Sprintf("replica%d", i-o.Metas+1), "replica"
		}
		n := &node{name: name, role: role, cfg: c.config(name, p)}
		if o.Change != nil {
			o.Change(name, n.cfg)
		}
		c.nodes[name] = n
		c.order = append(c.order, name)
		c.net.byAddr[n.cfg.RaftAddress()] = name
	}
	t.Cleanup(c.stopAll)
	c.startAll()
	c.WaitReady()
	return c
}

func testLog(t testing.TB) *logrus.Logger {
	level := "error"
	if v := os.Getenv("ARION_TEST_LOG"); v != "" {
		level = v
	}
	log := obs.NewLogger(level, "text", os.Stderr)
	obs.InstallRaftLogger(log.WithField("component", "raft"))
	return log
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (c *Cluster) config(name string, port int) *config.Config {
	cfg := config.Default()
	cfg.Node.Dir, cfg.Node.Name, cfg.Node.Cluster = filepath.Join(c.dir, name), name, "test"
	cfg.RPC.Listen = address(port)
	cfg.Meta.Servers = c.metas
	cfg.Replica.BlockCache, cfg.Replica.WriteBuffer = 64*config.MB, 32*config.MB
	cfg.Replica.DiskLowWater = 1 * config.MB
	return cfg
}

// MetaList is the comma-separated list that clients are given.
func (c *Cluster) MetaList() string { return strings.Join(c.metas, ",") }

// Metas are the addresses of the meta servers.
func (c *Cluster) Metas() []string { return c.metas }

// Addr is the rpc address of a server, running or not.
func (c *Cluster) Addr(name string) string { return c.nodes[name].cfg.RPC.Listen }

// Names lists the servers, metas first.
func (c *Cluster) Names() []string { return c.order }

// MetaNames lists the meta servers.
func (c *Cluster) MetaNames() []string { return c.order[:len(c.metas)] }

// Replicas lists the replica servers.
func (c *Cluster) Replicas() []string { return c.order[len(c.metas):] }

func (c *Cluster) startAll() {
	var wg sync.WaitGroup
	errs := make([]error, len(c.order))
	for i, name := range c.order {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = c.nodes[name].start(c)
		}()
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			c.t.Fatalf("start %s: %v", c.order[i], err)
		}
	}
}

func (n *node) start(c *Cluster) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	open := c.openReplica
	if n.role == "meta" {
		open = server.OpenMeta
	}
	srv, err := open(context.Background(), n.cfg, c.log)
	if err == nil {
		n.srv = srv
	}
	return err
}

// openReplica is server.OpenReplica with a network that can fail.
func (c *Cluster) openReplica(ctx context.Context, cfg *config.Config, log *logrus.Logger) (server.Server, error) {
	return server.OpenReplicaWith(ctx, cfg, replica.Deps{
		Log: log.WithField("node", cfg.Node.Name), Registry: obs.NewRegistry(),
		Fault: raft.LinkFault(func(to string) bool { return c.net.pass(cfg.Node.Name, to) }),
	})
}

func (n *node) stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.srv == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	err := n.srv.Close(ctx)
	n.srv = nil
	return err
}

// Stop closes a server cleanly.
func (c *Cluster) Stop(name string) {
	c.t.Helper()
	if err := c.nodes[name].stop(); err != nil {
		c.t.Errorf("stop %s: %v", name, err)
	}
}

// Restart starts a stopped server on its data.
func (c *Cluster) Restart(name string) {
	c.t.Helper()
	if err := c.nodes[name].start(c); err != nil {
		c.t.Fatalf("restart %s: %v", name, err)
	}
}

func (c *Cluster) stopAll() {
	// Replica servers first: they report to the metas.
	for i := len(c.order) - 1; i >= 0; i-- {
		if err := c.nodes[c.order[i]].stop(); err != nil {
			c.t.Errorf("stop %s: %v", c.order[i], err)
		}
	}
}

// WaitReady waits until every running server says that it can serve.
func (c *Cluster) WaitReady() {
	c.t.Helper()
	c.Eventually("servers are ready", func() error {
		for _, name := range c.order {
			n := c.nodes[name]
			n.mu.Lock()
			srv := n.srv
			n.mu.Unlock()
			if srv == nil {
				continue
			}
			if err := srv.Ready(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
}

// Eventually repeats check until it is nil, and fails the test when it never is.
func (c *Cluster) Eventually(what string, check func() error) {
	c.t.Helper()
	Eventually(c.t, readyTimeout, what, check)
}

// Eventually repeats check until it is nil, and fails the test when that takes longer than patience.
func Eventually(t testing.TB, patience time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not reached within %v: %s: %v", patience, what, err)
		}
		time.Sleep(20 * time.Millisecond) // between looks at a condition
	}
}

// Connect opens a client that the test's end closes.
func Connect(t testing.TB, metas []string, o ...client.Option) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	c, err := client.Open(ctx, metas, o...)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}
