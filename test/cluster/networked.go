package cluster

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Networked is a cluster of real processes, each in a network namespace of its
// own, joined by a bridge: a server can be unplugged. Packets to and from it then
// vanish, and no connection is told. Making one takes root.
type Networked struct {
	t        testing.TB
	dir      string
	arion    string
	bridge   string
	hosts    map[string]*netHost
	metas    []string
	replicas []string
}

type netHost struct {
	name, role      string
	space, plug, ip string
	cmd             *exec.Cmd
	ended           chan struct{}
}

const (
	networkedMetaPort    = 34601
	networkedReplicaPort = 34801
)

// StartNetworked runs a cluster and waits until every server is ready. The test's
// end removes it. Without the right to make networks the test is skipped.
func StartNetworked(t testing.TB, o ProcessOptions) *Networked {
	t.Helper()
	if o.Metas == 0 {
		o.Metas = 1
	}
	if o.Replicas == 0 {
		o.Replicas = 3
	}
	if o.Binary == "" {
		o.Binary = Binary(t)
	}
	id := os.Getpid() % 100000
	n := &Networked{t: t, dir: t.TempDir(), arion: o.Binary, bridge: fmt.Sprintf("arbr%d", id), hosts: map[string]*netHost{}}
	if os.Geteuid() != 0 || ip("link", "add", n.bridge, "type", "bridge") != nil {
		t.Skip("no right to make network namespaces")
	}
	t.Cleanup(n.remove)
	subnet := fmt.Sprintf("10.213.%d", id%250)
	// Of its own, or it would change with the ports, and the servers would send
	// their answers to the old one for a while.
	n.must(ip("link", "set", n.bridge, "address", "02:00:00:00:00:01"))
	n.must(ip("addr", "add", subnet+".1/24", "dev", n.bridge), ip("link", "set", n.bridge, "up"))
	for i := range o.Metas + o.Replicas {
		name, role := fmt.Sprintf("meta%d", i+1), "meta"
		if i >= o.Metas {
			name, role = fmt.Sprintf("replica%d", i-o.Metas+1), "replica"
			n.replicas = append(n.replicas, name)
		} else {
			n.metas = append(n.metas, name)
		}
		n.hosts[name] = &netHost{
			name: name, role: role, space: fmt.Sprintf("arion-%d-%s", id, name),
			plug: fmt.Sprintf("ar%dp%d", id, i), ip: fmt.Sprintf("%s.%d", subnet, 11+i),
		}
		n.plugIn(n.hosts[name], subnet)
	}
	for _, h := range n.hosts {
		n.must(n.writeSettings(h))
	}
	for _, h := range n.hosts {
		n.must(n.launch(h))
	}
	for _, h := range n.hosts {
		n.must(n.waitReady(h))
	}
	return n
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (n *Networked) must(errs ...error) {
	n.t.Helper()
	if err := errors.Join(errs...); err != nil {
		n.t.Fatal(err)
	}
}

func (n *Networked) plugIn(h *netHost, subnet string) {
	n.must(
		ip("netns", "add", h.space),
		ip("link", "add", h.plug, "type", "veth", "peer", "name", "eth0", "netns", h.space),
		ip("link", "set", h.plug, "master", n.bridge, "up"),
		ip("-n", h.space, "addr", "add", h.ip+"/24", "dev", "eth0"),
		ip("-n", h.space, "link", "set", "lo", "up"),
		ip("-n", h.space, "link", "set", "eth0", "up"),
		ip("-n", h.space, "route", "add", "default", "via", subnet+".1"),
	)
}

func (n *Networked) writeSettings(h *netHost) error {
	text := fmt.Sprintf(`[node]
dir = %q
name = %q

[rpc]
listen = %q

[meta]
servers = ["%s"]

[replica]
block_cache = "64MB"
write_buffer = "32MB"
disk_low_water = "1MB"
`, filepath.Join(n.dir, h.name), h.name, n.Addr(h.name), strings.Join(n.Metas(), `", "`))
	return os.WriteFile(filepath.Join(n.dir, h.name+".toml"), []byte(text), 0o644)
}

func (n *Networked) launch(h *netHost) error {
	log, err := os.OpenFile(filepath.Join(n.dir, h.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	// ip becomes the server: the process is the same.
	h.cmd = exec.Command("ip", "netns", "exec", h.space, n.arion, h.role, "--config", filepath.Join(n.dir, h.name+".toml"))
	h.cmd.Stdout, h.cmd.Stderr = log, log
	if err := h.cmd.Start(); err != nil {
		return err
	}
	cmd, ended := h.cmd, make(chan struct{})
	h.ended = ended
	go func() { _ = cmd.Wait(); close(ended) }()
	return nil
}

func (n *Networked) waitReady(h *netHost) error {
	client := http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	var last error
	for end := time.Now().Add(readyTimeout); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get("http://" + n.Addr(h.name) + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(resp.Status)
		}
		last = err
	}
	return fmt.Errorf("%s is not ready after %v: %w", h.name, readyTimeout, last)
}

func (n *Networked) remove() {
	for _, h := range n.hosts {
		if h.cmd != nil {
			_ = h.cmd.Process.Kill()
			<-h.ended
		}
		_ = ip("netns", "del", h.space)
	}
	_ = ip("link", "del", n.bridge)
}

// Metas are the addresses of the meta servers.
func (n *Networked) Metas() []string {
	var list []string
	for _, name := range n.metas {
		list = append(list, n.Addr(name))
	}
	return list
}

// MetaNames lists the meta servers.
func (n *Networked) MetaNames() []string { return n.metas }

// Replicas lists the replica servers.
func (n *Networked) Replicas() []string { return n.replicas }

// Addr is the rpc address of a server, running or not.
func (n *Networked) Addr(name string) string {
	port := networkedReplicaPort
	if n.hosts[name].role == "meta" {
		port = networkedMetaPort
	}
	return net.JoinHostPort(n.hosts[name].ip, fmt.Sprint(port))
}

// Cut unplugs a server.
func (n *Networked) Cut(name string) error { return ip("link", "set", n.hosts[name].plug, "nomaster") }

// Mend plugs a server in again.
func (n *Networked) Mend(name string) error {
	return ip("link", "set", n.hosts[name].plug, "master", n.bridge)
}

// Signal sends a signal to a server.
func (n *Networked) Signal(name string, s syscall.Signal) error {
	return n.hosts[name].cmd.Process.Signal(s)
}

// Kill ends servers with SIGKILL and waits until they are gone.
func (n *Networked) Kill(names ...string) error {
	for _, name := range names {
		_ = n.Signal(name, syscall.SIGKILL) // it may have ended already
	}
	for _, name := range names {
		<-n.hosts[name].ended
	}
	return nil
}

// Restart kills a server and starts it on its data.
func (n *Networked) Restart(name string) error {
	h := n.hosts[name]
	if err := n.Kill(name); err != nil {
		return err
	}
	if err := n.launch(h); err != nil {
		return err
	}
	return n.waitReady(h)
}
