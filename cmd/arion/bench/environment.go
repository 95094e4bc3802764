package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/arionkv/arion/internal/version"
)

// Environment says where the run was made.
type Environment struct {
	Processors int     `json:"processors"`
	CPU        string  `json:"cpu"`
	Kernel     string  `json:"kernel"`
	Go         string  `json:"go"`
	Load       string  `json:"load_average"`
	Time       string  `json:"time"`
	Client     string  `json:"client"`
	Server     string  `json:"server"`
	Partitions int     `json:"partitions"`
	Replicas   int     `json:"replicas"`
	Durability string  `json:"durability"`
	SyncP50    float64 `json:"sync_p50_us,omitempty"` // of a write of 4 KB to a growing file
	SyncP99    float64 `json:"sync_p99_us,omitempty"`
	Loopback   float64 `json:"loopback_p50_us"` // of a byte there and back
}

func newEnvironment(ctx context.Context, r *run) Environment {
	e := Environment{
		Processors: runtime.NumCPU(),
		CPU:        procLine("/proc/cpuinfo", "model name"),
		Kernel:     procLine("/proc/sys/kernel/osrelease", ""),
		Go:         runtime.Version(),
		Load:       procLine("/proc/loadavg", ""),
		Time:       time.Now().UTC().Format(time.RFC3339),
		Client:     version.Line(),
		Server:     "unknown",
		Durability: "unknown",
	}
	if routing, err := r.clients[0].QueryRouting(ctx, r.o.Table); err == nil {
		e.Partitions = int(routing.PartitionCount)
		if len(routing.Partitions) > 0 {
			e.Replicas = int(routing.Partitions[0].MaxReplicaCount)
			e.Durability = durability(ctx, routing.Partitions[0].Primary.AddrPort().String())
		}
	}
	for _, addr := range r.o.Metas {
		if line, err := serverVersion(ctx, addr); err == nil {
			e.Server = line
			break
		}
	}
	if r.o.FsyncDir != "" {
		e.SyncP50, e.SyncP99 = probeSync(r.o.FsyncDir)
	}
	e.Loopback = probeLoopback()
	return e
}

// durability is what the server says that an acknowledged write means.
func durability(ctx context.Context, addr string) string {
	var setting struct{ Value string }
	if ask(ctx, addr, "/config?name=raft.sync_interval", &setting) != nil {
		return "unknown"
	}
	if every, err := time.ParseDuration(setting.Value); err != nil || every != 0 {
		return "in files of a majority of replicas, synced every " + setting.Value
	}
	return "synced by a majority of replicas"
}

func serverVersion(ctx context.Context, addr string) (string, error) {
	var v struct{ Version, GitCommit string }
	if err := ask(ctx, addr, "/version", &v); err != nil {
		return "", err
	}
	return v.Version + " (" + v.GitCommit + ")", nil
}

// ask decodes what a server's HTTP side answers, which is on the same port.
func ask(ctx context.Context, addr, path string, v any) error {
	const patience, most = 2 * time.Second, 4 << 10
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s: %s", addr, path, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(v)
}

func (e *Environment) write(b *strings.Builder) {
	fmt.Fprintf(b, "%d processors, %s, Linux %s, %s, load %s, %s\n", e.Processors, e.CPU, e.Kernel, e.Go, e.Load, e.Time)
	fmt.Fprintf(b, "%d partitions, %d replicas each, writes %s, server %s", e.Partitions, e.Replicas, e.Durability, e.Server)
	if e.SyncP50 > 0 {
		fmt.Fprintf(b, ", a sync takes %.0f us (p99 %.0f)", e.SyncP50, e.SyncP99)
	}
	fmt.Fprintf(b, ", a round trip on loopback %.0f us\n", e.Loopback)
}

// procLine gives what follows the colon of the first line that begins with name,
// or the first line when name is empty.
func procLine(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name == "" {
			return strings.TrimSpace(line)
		}
		if strings.HasPrefix(line, name) {
			_, value, _ := strings.Cut(line, ":")
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
