package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Processes is a cluster of real processes, made by scripts/cluster.sh, which can
// be killed and paused.
type Processes struct {
	t        testing.TB
	Dir      string
	arion    string
	env      []string
	metas    []string
	replicas []string
	addrs    map[string]string
}

// ProcessOptions of a cluster. Zero values: one meta, three replica servers.
type ProcessOptions struct {
	Metas, Replicas int
	// Binary is the program, "" = built from this tree.
	Binary string
	// Env are settings for all servers, ARION_SECTION_KEY=value.
	Env []string
	// OwnDisk are servers that get a small disk of their own where root allows;
	// of StartHosts and StartNetworked only.
	OwnDisk []string
}

// smallDisk lets tests run where production would refuse writes.
const smallDisk = "ARION_REPLICA_DISK_LOW_WATER=1MB"

var build struct {
	sync.Once
	path string
	err  error
}

// Binary builds the arion of this tree, or gives that of ARION_BIN.
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("ARION_BIN"); path != "" {
		return path
	}
	build.Do(func() { build.path, build.err = Build("arion", "") })
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

// Root is the directory of the module.
func Root() string {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "."
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// Build builds the program into .build/test/name, with replaced source files if
// overlay names a list of them (go help build).
func Build(name, overlay string) (string, error) {
	root := Root()
	path := filepath.Join(root, ".build", "test", name)
	args := []string{"build", "-trimpath", "-buildvcs=false", "-tags", "grocksdb_no_link", "-o", path}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.Command("go", append(args, "./cmd/arion")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// StartProcesses runs a cluster and waits until every server is ready. The test's
// end stops it.
func StartProcesses(t testing.TB, o ProcessOptions) *Processes {
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
	first := Ports(t, o.Metas+o.Replicas)
	p := &Processes{t: t, Dir: t.TempDir(), arion: o.Binary, addrs: map[string]string{}}
	p.env = append(append(os.Environ(), "ARION="+o.Binary, smallDisk), o.Env...)
	for i := range o.Metas {
		p.metas = append(p.metas, fmt.Sprintf("meta%d", i+1))
		p.addrs[p.metas[i]] = address(first + i)
	}
	for i := range o.Replicas {
		p.replicas = append(p.replicas, fmt.Sprintf("replica%d", i+1))
		p.addrs[p.replicas[i]] = address(first + o.Metas + i)
	}
	t.Cleanup(func() {
		if t.Failed() {
			keepLogs(t, p.Dir)
		}
		_, _ = p.script("stop")
	})
	p.must("start", "--metas", strconv.Itoa(o.Metas), "--replicas", strconv.Itoa(o.Replicas),
		"--meta-port", strconv.Itoa(first), "--replica-port", strconv.Itoa(first+o.Metas))
	return p
}

// keepLogs copies the logs of a failed test to where they outlive it.
func keepLogs(t testing.TB, dir string) {
	keep, err := os.MkdirTemp("", "arion-failed-")
	if err != nil {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, path := range logs {
		if content, err := os.ReadFile(path); err == nil {
			_ = os.WriteFile(filepath.Join(keep, filepath.Base(path)), content, 0o644)
		}
	}
	t.Logf("server logs are kept in %s", keep)
}

func (p *Processes) script(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*readyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(Root(), "scripts", "cluster.sh"), append([]string{"--dir", p.Dir}, args...)...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("cluster.sh %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func (p *Processes) must(args ...string) {
	p.t.Helper()
	if _, err := p.script(args...); err != nil {
		p.t.Fatal(err)
	}
}

// Metas are the addresses of the meta servers.
func (p *Processes) Metas() []string {
	var list []string
	for _, name := range p.metas {
		list = append(list, p.addrs[name])
	}
	return list
}

// MetaNames lists the meta servers.
func (p *Processes) MetaNames() []string { return p.metas }

// Replicas lists the replica servers.
func (p *Processes) Replicas() []string { return p.replicas }

// Addr is the rpc address of a server, running or not.
func (p *Processes) Addr(name string) string { return p.addrs[name] }

// Pid is the process of a server, 0 if the cluster has not started it.
func (p *Processes) Pid(name string) int {
	raw, err := os.ReadFile(filepath.Join(p.Dir, name+".pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
	return pid
}

// Signal sends a signal to a server.
func (p *Processes) Signal(name string, s syscall.Signal) error {
	pid := p.Pid(name)
	if pid == 0 {
		return fmt.Errorf("%s has no process", name)
	}
	return syscall.Kill(pid, s)
}

// Kill ends a server with SIGKILL and waits until it is gone.
func (p *Processes) Kill(names ...string) error {
	var errs []error
	for _, name := range names {
		if err := p.Signal(name, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("kill %s: %w", name, err))
		}
	}
	for _, name := range names {
		errs = append(errs, p.waitGone(name))
	}
	return errors.Join(errs...)
}

func (p *Processes) waitGone(name string) error {
	for end := time.Now().Add(readyTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if syscall.Kill(p.Pid(name), 0) != nil || zombie(p.Pid(name)) {
			return nil
		}
	}
	return fmt.Errorf("%s is still there after %v", name, readyTimeout)
}

// zombie tells a process that only its parent has not noticed to have ended.
func zombie(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return strings.HasPrefix(rest, "Z")
}

// Restart starts a server, ending it before if it runs, and waits until it is
// ready.
func (p *Processes) Restart(name string) error {
	_, err := p.script("restart", name)
	return err
}

// StartAll starts what does not run and waits until everything is ready.
func (p *Processes) StartAll() error {
	_, err := p.script("start")
	return err
}

// Log gives what a server has logged.
func (p *Processes) Log(name string) string {
	raw, _ := os.ReadFile(filepath.Join(p.Dir, name+".log"))
	return string(raw)
}

// Onebox is `arion onebox` as a child process.
type Onebox struct {
	t     testing.TB
	Dir   string
	arion string
	port  int
	table string
	cmd   *exec.Cmd
	Meta  string
}

// NewOnebox prepares a onebox with one table, written as for --table. Start runs
// it.
func NewOnebox(t testing.TB, table string) *Onebox {
	t.Helper()
	o := &Onebox{t: t, Dir: t.TempDir(), arion: Binary(t), port: Ports(t, 4), table: table}
	t.Cleanup(o.Kill)
	return o
}

// Start runs the onebox and waits for READY.
func (o *Onebox) Start() {
	o.t.Helper()
	log, err := os.OpenFile(filepath.Join(o.Dir, "onebox.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		o.t.Fatal(err)
	}
	defer log.Close()
	o.cmd = exec.Command(o.arion, "onebox", "--dir", filepath.Join(o.Dir, "data"), "--table", o.table,
		"--meta-port", strconv.Itoa(o.port), "--replica-port", strconv.Itoa(o.port+1))
	o.cmd.Env = append(os.Environ(), smallDisk)
	o.cmd.Stderr = log
	out, err := o.cmd.StdoutPipe()
	if err == nil {
		err = o.cmd.Start()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if meta, ok := strings.CutPrefix(lines.Text(), "READY "); ok {
			o.Meta = meta
			return
		}
	}
	text, _ := os.ReadFile(log.Name())
	o.t.Fatalf("onebox ended before it was ready: %v\n%s", o.cmd.Wait(), text)
}

// Kill ends it with SIGKILL.
func (o *Onebox) Kill() {
	if o.cmd == nil {
		return
	}
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
	o.cmd = nil
}
