// Package compat opens data directories of other releases: older ones with all
// their data, newer ones not at all.
package compat

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/test/cluster"
)

const (
	// golden is a onebox of the first formats, of one meta server and one replica
	// server, that was killed: its last two writes are in the raft log only.
	//
	//	raft settings and log 1 (Pebble), node.json 1, meta.json 1 without what was
	//	added, replica.json 1, records 1, engine state 1, commands 1 in the logs
	golden = "testdata/onebox-1.tar.gz"
	// goldenMeta is in the directory: a onebox keeps its ports.
	goldenMeta = "127.0.0.1:21050"

	patience = 2 * time.Minute
)

// unpack puts the golden directory somewhere.
func unpack(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Open(golden)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		require.NoError(t, err)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			require.NoError(t, os.MkdirAll(path, 0o755))
		case tar.TypeSymlink:
			require.NoError(t, os.Symlink(h.Linkname, path))
		default:
			content, err := io.ReadAll(in)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, content, 0o644))
		}
	}
}

// box is a onebox on a directory.
type box struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when it says so
	ended chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// Write takes the log of the process.
func (b *box) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(text)
}

func (b *box) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

func start(t *testing.T, dir string) *box {
	t.Helper()
	b := &box{ready: make(chan struct{}), ended: make(chan struct{})}
	b.cmd = exec.Command(cluster.Binary(t), "onebox", "--dir", dir, "--table", "kept:2")
	b.cmd.Env = append(os.Environ(), "ARION_REPLICA_DISK_LOW_WATER=1MB")
	out, err := b.cmd.StdoutPipe()
	require.NoError(t, err)
	b.cmd.Stderr = b
	require.NoError(t, b.cmd.Start())
	go func() {
		said := make([]byte, len("READY"))
		if _, err := io.ReadFull(out, said); err == nil && string(said) == "READY" {
			close(b.ready)
		}
		_, _ = io.Copy(io.Discard, out)
		_ = b.cmd.Wait()
		close(b.ended)
	}()
	t.Cleanup(b.kill)
	return b
}

func (b *box) kill() {
	_ = b.cmd.Process.Kill()
	<-b.ended
}

func (b *box) awaitReady(t *testing.T) {
	t.Helper()
	select {
	case <-b.ready:
	case <-b.ended:
		t.Fatalf("it ended:\n%s", b.logged())
	case <-time.After(patience):
		b.kill()
		t.Fatalf("not ready after %v:\n%s", patience, b.logged())
	}
}

// awaitLine waits for a line of the log with a text in it. A server that cannot
// open one replica goes on with the others, so it need not end.
func (b *box) awaitLine(t *testing.T, part string) string {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ended := false
		select {
		case <-b.ended:
			ended = true
		default:
		}
		for _, line := range strings.Split(b.logged(), "\n") {
			if strings.Contains(line, part) {
				return line
			}
		}
		if ended {
			break
		}
	}
	b.kill()
	t.Fatalf("%q is not in the log:\n%s", part, b.logged())
	return ""
}

// TestOlderOpens: everything is there, also what only the raft log knows, and is
// there again when this build has written to the directory.
func TestOlderOpens(t *testing.T) {
	dir := unpack(t)
	want := map[[2]string]string{{"user1", "name"}: "Ada", {"counters", "n"}: "42", {"late", "s"}: "only in the log"}
	for i := range 20 {
		want[[2]string{fmt.Sprintf("row%d", i+1), "s"}] = fmt.Sprintf("value%d", i+1)
	}
	for life := range 3 {
		b := start(t, dir)
		b.awaitReady(t)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, err := client.Open(ctx, []string{goldenMeta})
		require.NoError(t, err)
		table := c.Table("kept")
		for k, v := range want {
			got, err := table.Get(ctx, []byte(k[0]), []byte(k[1]))
			require.NoError(t, err, "%v in life %d", k, life)
			require.Equal(t, v, string(got), "%v in life %d", k, life)
		}
		n, err := table.Incr(ctx, []byte("counters"), []byte("n"), 1)
		require.NoError(t, err)
		want[[2]string{"counters", "n"}] = fmt.Sprint(n)
		require.NoError(t, table.Set(ctx, []byte("new"), []byte("s"), []byte("v")))
		want[[2]string{"new", "s"}] = "v"
		require.NoError(t, c.Close())
		b.kill()
	}
}

const newerFormat = 99

// TestNewerRefused: a file of a newer format is named with what it has, what this
// build knows, and what to do.
func TestNewerRefused(t *testing.T) {
	for _, file := range []string{
		"onebox.json",
		"meta1/node.json", "meta1/meta.json", "meta1/raft/settings.json",
		"replica1/node.json", "replica1/raft/settings.json", "replica1/partitions/1.0.1/replica.json",
	} {
		t.Run(file, func(t *testing.T) {
			dir := unpack(t)
			path := filepath.Join(dir, filepath.FromSlash(file))
			raise(t, path)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			b := start(t, dir)
			line := b.awaitLine(t, path+" has format 99")
			require.Contains(t, line, "this build knows")
			require.Contains(t, line, "release")
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(before), string(after), "it stays as it is")
		})
	}
}

// raise gives a file of JSON a format of the future.
func raise(t *testing.T, path string) {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	fields := map[string]any{}
	require.NoError(t, json.Unmarshal(raw, &fields))
	require.Contains(t, fields, "format")
	fields["format"] = newerFormat
	raw, err = json.Marshal(fields)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, raw, 0o644))
}
