package cluster

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Networked is a cluster of real processes, each in a network namespace of its
// own, joined by a bridge: a server can be unplugged. Packets to and from it then
// vanish, and no connection is told. Making one takes root. Without namespaces the
// servers share the loopback and cannot be cut off; see StartHosts.
type Networked struct {
	t      testing.TB
	dir    string
	arion  string
	bridge string // "" without namespaces
	subnet string
	env    []string
	port   int // first of those on the loopback
	made   int // hosts so far

	mu       sync.Mutex
	hosts    map[string]*netHost // those that were retired, too
	metas    []string
	replicas []string
}

type netHost struct {
	name, role      string
	space, plug, ip string
	port            int
	disk            string // mounted for it alone, "" = shares the disk
	cmd             *exec.Cmd
	ended           chan struct{}
	killed          bool // by the test: its end is no surprise
}

const (
	networkedMetaPort    = 34601
	networkedReplicaPort = 34801
)

// StartNetworked runs a cluster and waits until every server is ready. The test's
// end removes it. Without the right to make networks the test is skipped.
func StartNetworked(t testing.TB, o ProcessOptions) *Networked {
	t.Helper()
	n := newNetworked(t, o)
	if !n.makeBridge() {
		t.Skip("no right to make network namespaces")
	}
	n.startAll(o)
	return n
}

// StartHosts is StartNetworked that does without namespaces where they cannot be
// made.
func StartHosts(t testing.TB, o ProcessOptions) *Networked {
	t.Helper()
	n := newNetworked(t, o)
	if !n.makeBridge() {
		t.Log("no right to make network namespaces: nothing is cut off")
	}
	n.startAll(o)
	return n
}

func newNetworked(t testing.TB, o ProcessOptions) *Networked {
	t.Helper()
	if o.Binary == "" {
		o.Binary = Binary(t)
	}
	id := os.Getpid() % 100000
	return &Networked{
		t: t, dir: t.TempDir(), arion: o.Binary, hosts: map[string]*netHost{}, env: append(os.Environ(), o.Env...),
		subnet: fmt.Sprintf("10.213.%d", id%250),
	}
}

// KeepLogs copies the logs of the servers to where they outlive the test, and says
// where. A failed test does that by itself.
func (n *Networked) KeepLogs() { keepLogs(n.t, n.dir) }

// CanCut reports whether servers can be cut off from each other.
func (n *Networked) CanCut() bool { return n.bridge != "" }

func (n *Networked) makeBridge() bool {
	bridge := fmt.Sprintf("arbr%d", os.Getpid()%100000)
	if os.Geteuid() != 0 || ip("link", "add", bridge, "type", "bridge") != nil {
		return false
	}
	n.bridge = bridge
	// An address of its own, or it would change with the ports, and the servers
	// would send their answers to the old one for a while.
	n.must(ip("link", "set", bridge, "address", "02:00:00:00:00:01"))
	n.must(ip("addr", "add", n.subnet+".1/24", "dev", bridge), ip("link", "set", bridge, "up"))
	return true
}

func (n *Networked) startAll(o ProcessOptions) {
	n.t.Cleanup(n.remove)
	if o.Metas == 0 {
		o.Metas = 1
	}
	if o.Replicas == 0 {
		o.Replicas = 3
	}
	if !n.CanCut() {
		n.port = Ports(n.t, o.Metas+o.Replicas+spareHosts)
	}
	for i := range o.Metas {
		n.metas = append(n.metas, fmt.Sprintf("meta%d", i+1))
		n.must(n.newHost(n.metas[i], "meta"))
	}
	for i := range o.Replicas {
		n.replicas = append(n.replicas, fmt.Sprintf("replica%d", i+1))
		n.must(n.newHost(n.replicas[i], "replica"))
	}
	for _, name := range o.OwnDisk {
		n.must(n.giveDisk(n.hosts[name]))
	}
	for _, h := range n.hosts {
		n.must(n.writeSettings(h))
	}
	n.must(n.StartAll())
}

// spareHosts are the ports kept for servers that are added later, without
// namespaces.
const spareHosts = 60

// newHost makes the place for a server.
func (n *Networked) newHost(name, role string) error {
	i, id := n.made, os.Getpid()%100000
	n.made++
	h := &netHost{name: name, role: role, ip: "127.0.0.1", port: n.port + i}
	if n.CanCut() {
		h.port = networkedReplicaPort
		if role == "meta" {
			h.port = networkedMetaPort
		}
		h.space, h.plug, h.ip = fmt.Sprintf("arion-%d-%s", id, name), fmt.Sprintf("ar%dp%d", id, i), fmt.Sprintf("%s.%d", n.subnet, 11+i)
		if err := n.plugIn(h); err != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = h
	return nil
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

func (n *Networked) plugIn(h *netHost) error {
	return errors.Join(
		ip("netns", "add", h.space),
		ip("link", "add", h.plug, "type", "veth", "peer", "name", "eth0", "netns", h.space),
		ip("link", "set", h.plug, "master", n.bridge, "up"),
		ip("-n", h.space, "addr", "add", h.ip+"/24", "dev", "eth0"),
		ip("-n", h.space, "link", "set", "lo", "up"),
		ip("-n", h.space, "link", "set", "eth0", "up"),
		ip("-n", h.space, "route", "add", "default", "via", n.subnet+".1"),
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
disk_low_water = "16MB"
`, filepath.Join(n.dir, h.name), h.name, n.Addr(h.name), strings.Join(n.Metas(), `", "`))
	return os.WriteFile(filepath.Join(n.dir, h.name+".toml"), []byte(text), 0o644)
}

func (n *Networked) launch(h *netHost) error {
	log, err := os.OpenFile(filepath.Join(n.dir, h.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{n.arion, h.role, "--config", filepath.Join(n.dir, h.name+".toml")}
	if h.space != "" {
		args = append([]string{"ip", "netns", "exec", h.space}, args...) // ip becomes the server: the process is the same
	}
	cmd, ended := exec.Command(args[0], args[1:]...), make(chan struct{})
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, n.env
	if err := cmd.Start(); err != nil {
		return err
	}
	n.mu.Lock()
	h.cmd, h.ended, h.killed = cmd, ended, false
	n.mu.Unlock()
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
		if !h.runs() {
			return fmt.Errorf("%s ended while starting: %s", h.name, tail(n.Log(h.name), 2000))
		}
	}
	return fmt.Errorf("%s is not ready after %v: %w", h.name, readyTimeout, last)
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// runs reports whether the process has not ended, as far as its parent knows.
func (h *netHost) runs() bool {
	if h.cmd == nil {
		return false
	}
	select {
	case <-h.ended:
		return false
	default:
		return true
	}
}

func (n *Networked) remove() {
	for _, h := range n.hosts {
		if h.cmd != nil {
			_ = h.cmd.Process.Kill()
			<-h.ended
		}
		if h.disk != "" {
			_ = syscall.Unmount(h.disk, 0)
		}
		if h.space != "" {
			_ = ip("netns", "del", h.space)
		}
	}
	if n.CanCut() {
		_ = ip("link", "del", n.bridge)
	}
	if n.t.Failed() {
		keepLogs(n.t, n.dir)
	}
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
func (n *Networked) Replicas() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.replicas)
}

// Names lists all servers, metas first.
func (n *Networked) Names() []string { return append(slices.Clone(n.metas), n.Replicas()...) }

func (n *Networked) host(name string) *netHost {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hosts[name]
}

// Addr is the rpc address of a server, running or not.
func (n *Networked) Addr(name string) string {
	h := n.host(name)
	return net.JoinHostPort(h.ip, fmt.Sprint(h.port))
}

// Log gives what a server has logged.
func (n *Networked) Log(name string) string {
	raw, _ := os.ReadFile(filepath.Join(n.dir, name+".log"))
	return string(raw)
}

// Cut unplugs servers.
func (n *Networked) Cut(names ...string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, ip("link", "set", n.host(name).plug, "nomaster"))
	}
	return errors.Join(errs...)
}

// Mend plugs servers in again.
func (n *Networked) Mend(names ...string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, ip("link", "set", n.host(name).plug, "master", n.bridge))
	}
	return errors.Join(errs...)
}

// CutOneWay loses what a server sends to another; what it is sent arrives.
func (n *Networked) CutOneWay(from, to string) error {
	return ip("-n", n.host(from).space, "route", "add", "blackhole", n.host(to).ip)
}

// MendOneWay ends CutOneWay.
func (n *Networked) MendOneWay(from, to string) error {
	return ip("-n", n.host(from).space, "route", "del", "blackhole", n.host(to).ip)
}

// Delay holds up what a server sends; 0 ends it. It fails where the kernel lacks
// netem.
func (n *Networked) Delay(name string, d time.Duration) error {
	args := []string{"-n", n.host(name).space, "qdisc", "replace", "dev", "eth0", "root", "netem", "delay", d.String()}
	if d == 0 {
		args = []string{"-n", n.host(name).space, "qdisc", "del", "dev", "eth0", "root"}
	}
	out, err := exec.Command("tc", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("tc %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Signal sends a signal to a server.
func (n *Networked) Signal(name string, s syscall.Signal) error {
	h := n.host(name)
	n.mu.Lock()
	defer n.mu.Unlock()
	return h.cmd.Process.Signal(s)
}

// Kill ends servers with SIGKILL and waits until they are gone.
func (n *Networked) Kill(names ...string) error {
	n.end(syscall.SIGKILL, names)
	return nil
}

// end signals servers, which may have ended already, and waits until they are gone.
func (n *Networked) end(s syscall.Signal, names []string) {
	for _, name := range names {
		n.mu.Lock()
		n.hosts[name].killed = true
		n.mu.Unlock()
		_ = n.Signal(name, s)
	}
	for _, name := range names {
		<-n.host(name).ended
	}
}

// Stop asks servers to end and waits until they have.
func (n *Networked) Stop(names ...string) { n.end(syscall.SIGTERM, names) }

// Died lists the servers that have ended and were not told to.
func (n *Networked) Died() []string {
	var list []string
	for _, name := range n.Names() {
		h := n.host(name)
		n.mu.Lock()
		if h.cmd != nil && !h.killed && !h.runs() {
			list = append(list, name)
		}
		n.mu.Unlock()
	}
	return list
}

// Restart kills a server and starts it on its data.
func (n *Networked) Restart(name string) error {
	if err := n.Kill(name); err != nil {
		return err
	}
	return n.StartAll()
}

// StartAll starts what does not run and waits until everything is ready. A server
// that ended and was not told to is an error.
func (n *Networked) StartAll() error {
	var errs []error
	if died := n.Died(); len(died) > 0 {
		return fmt.Errorf("ended by themselves: %v; the first said: %s", died, tail(n.Log(died[0]), 2000))
	}
	for _, name := range n.Names() {
		if h := n.host(name); !h.runs() {
			errs = append(errs, n.launch(h))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, name := range n.Names() {
		errs = append(errs, n.waitReady(n.host(name)))
	}
	return errors.Join(errs...)
}

// Wipe kills a server and empties its directory.
func (n *Networked) Wipe(name string) error {
	if err := n.Kill(name); err != nil {
		return err
	}
	entries, err := os.ReadDir(n.DataDir(name))
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(n.DataDir(name), e.Name())))
	}
	return err
}

// DataDir is the directory of a server.
func (n *Networked) DataDir(name string) string { return filepath.Join(n.dir, name) }

// Retire kills a replica server and removes it for good.
func (n *Networked) Retire(name string) error {
	if err := n.Wipe(name); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.replicas = slices.DeleteFunc(n.replicas, func(s string) bool { return s == name })
	return nil
}

// Add makes a fresh replica server, with an address of its own, for StartAll.
func (n *Networked) Add() (name string, err error) {
	name = fmt.Sprintf("replica%d", n.made-len(n.metas)+1)
	if err := n.newHost(name, "replica"); err != nil {
		return "", err
	}
	if err := n.writeSettings(n.host(name)); err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.replicas = append(n.replicas, name)
	return name, nil
}

// ownDisk is the size of a disk of a server's own: room for the files that are
// reserved at full size, and quickly full.
const ownDisk = 1 << 30

// giveDisk mounts a small file system for a server. Where that is not allowed it
// shares the disk of the others.
func (n *Networked) giveDisk(h *netHost) error {
	dir := n.DataDir(h.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", ownDisk)); err != nil {
		n.t.Logf("no disk of its own for %s: %v", h.name, err)
		return nil
	}
	h.disk = dir
	return nil
}

// OwnDisks lists the servers that have a disk of their own.
func (n *Networked) OwnDisks() []string {
	var list []string
	for _, name := range n.Names() {
		if n.host(name).disk != "" {
			list = append(list, name)
		}
	}
	return list
}

const ballast = "ballast"

// FillDisk leaves so many bytes on the disk of a server.
func (n *Networked) FillDisk(name string, leave int64) error {
	dir := n.host(name).disk
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, ballast))
	if err != nil {
		return err
	}
	defer f.Close()
	err = syscall.Fallocate(int(f.Fd()), 0, 0, max(1, int64(st.Bavail)*st.Bsize-leave))
	if errors.Is(err, syscall.ENOSPC) { // the server was faster
		return nil
	}
	return err
}

// EmptyDisk ends FillDisk.
func (n *Networked) EmptyDisk(name string) error {
	return os.Remove(filepath.Join(n.host(name).disk, ballast))
}
