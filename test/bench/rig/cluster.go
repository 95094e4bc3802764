package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/cmd/arion/bench"
)

// Options of a cluster.
type Options struct {
	Arion    string // the binary
	Dir      string // for data and logs
	Port     int    // of the meta server; the replica servers follow
	Replicas int    // replica servers
	// Settings of the replica servers, such as ARION_NODE_MEMORY=1GB.
	Settings []string
}

// Cluster is a meta server and replica servers, each a process of its own, as in
// production: a onebox would spare them the switches between processes, and its
// memory could not be told apart.
type Cluster struct {
	Processes
	o        Options
	replicas []*Process
}

// Start runs a cluster and waits until every server is ready.
func Start(o Options) (*Cluster, error) {
	c := &Cluster{Processes: Processes{Dir: o.Dir}, o: o}
	if err := c.start(); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start() error {
	if err := os.MkdirAll(c.o.Dir, 0o755); err != nil {
		return err
	}
	if _, err := c.launch("meta", "meta", c.o.Port, nil); err != nil {
		return err
	}
	for i := range c.o.Replicas {
		s, err := c.launch("replica", "replica"+strconv.Itoa(i+1), c.o.Port+1+i, c.o.Settings)
		if err != nil {
			return err
		}
		c.replicas = append(c.replicas, s)
	}
	return nil
}

func (c *Cluster) launch(role, name string, port int, settings []string) (*Process, error) {
	addr := address(port)
	env := append([]string{
		"ARION_NODE_DIR=" + filepath.Join(c.o.Dir, name), "ARION_NODE_NAME=" + name,
		"ARION_RPC_LISTEN=" + addr, "ARION_META_SERVERS=" + c.Meta(), "ARION_NODE_CLUSTER=bench-" + strconv.Itoa(c.o.Port),
	}, settings...)
	s, err := c.Launch(name, env, c.o.Arion, role)
	if err != nil {
		return nil, err
	}
	return s, s.await(func() bool { return ready(addr) })
}

func ready(addr string) bool {
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get("http://" + addr + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Meta is the meta server's address.
func (c *Cluster) Meta() string { return address(c.o.Port) }

// CreateTable makes a table and waits until all replicas are there.
func (c *Cluster) CreateTable(ctx context.Context, name string, partitions, replicas int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	a, err := admin.Open(ctx, []string{c.Meta()})
	if err != nil {
		return err
	}
	defer a.Close()
	if _, err := a.CreateTable(ctx, name, admin.CreateOptions{Partitions: partitions, Replicas: replicas}); err != nil {
		return err
	}
	return a.WaitReady(ctx, name)
}

// lastAnswers is how long a load that was interrupted may wait for answers.
const lastAnswers = 30 * time.Second

// Bench runs `arion bench` against a table. When ctx ends, what was measured until
// then is the result.
func (c *Cluster) Bench(ctx context.Context, table, workload string, args ...string) (*bench.Report, error) {
	var pids []string
	for _, s := range c.replicas {
		pids = append(pids, strconv.Itoa(s.PID()))
	}
	args = append([]string{"bench", "--meta", c.Meta(), "--table", table, "--workload", workload, "--quiet", "-o", "json",
		"--server-pid", strings.Join(pids, ",")}, args...)
	cmd := exec.CommandContext(ctx, c.o.Arion, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay, cmd.Stderr = lastAnswers, os.Stderr
	out, err := cmd.Output()
	// Having been interrupted is no failure when the report is there all the same.
	if err != nil && !errors.Is(err, ctx.Err()) {
		return nil, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	r := new(bench.Report)
	if err := json.Unmarshal(out, r); err != nil {
		return nil, fmt.Errorf("%s: report: %w", strings.Join(args, " "), err)
	}
	return r, c.alive()
}

// alive reports a replica server that has ended.
func (c *Cluster) alive() error {
	for _, s := range c.replicas {
		if !s.Running() {
			return fmt.Errorf("%s has ended: %s", s.name, s.lastWords())
		}
	}
	return nil
}
