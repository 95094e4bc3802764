package raft

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/statemachine"
	"github.com/lni/vfs"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// tightDisk has no room for files while full is set.
type tightDisk struct {
	config.IFS
	full    atomic.Bool
	refused atomic.Int64
}

type tightFile struct {
	vfs.File
	disk *tightDisk
}

func (d *tightDisk) Create(name string) (vfs.File, error) {
	f, err := d.IFS.Create(name)
	return tightFile{f, d}, err
}

// Write has room for half.
func (f tightFile) Write(b []byte) (int, error) {
	if !f.disk.full.Load() {
		return f.File.Write(b)
	}
	f.disk.refused.Add(1)
	n, err := f.File.Write(b[:len(b)/2])
	if err == nil {
		err = &os.PathError{Op: "write", Err: syscall.ENOSPC}
	}
	return n, err
}

func silent() *logrus.Entry {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return logrus.NewEntry(l)
}

type sum struct{ of atomic.Uint64 }

func (s *sum) Update(statemachine.Entry) (statemachine.Result, error) {
	return statemachine.Result{Value: s.of.Add(1)}, nil
}
func (s *sum) Lookup(any) (any, error) { return s.of.Load(), nil }
func (s *sum) SaveSnapshot(w io.Writer, _ statemachine.ISnapshotFileCollection, _ <-chan struct{}) error {
	_, err := w.Write(make([]byte, 100))
	return err
}
func (s *sum) RecoverFromSnapshot(io.Reader, []statemachine.SnapshotFile, <-chan struct{}) error {
	return nil
}
func (s *sum) Close() error { return nil }

// A group goes on while there is no room for its snapshots, and saves one later.
func TestSnapshotOnFullDisk(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	disk := &tightDisk{IFS: vfs.Default}
	dir := t.TempDir()
	h, err := Open(Options{Dir: dir, Cluster: "test", Address: address, Tick: 10 * time.Millisecond, Log: silent(), files: disk})
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Close()) }()
	conf := h.Config(Group{ShardID: 1, ReplicaID: 1, SnapshotEntries: 5, CompactionOverhead: 1})
	require.NoError(t, h.NodeHost().StartReplica(map[uint64]string{1: string(h.Self())}, false,
		func(uint64, uint64) statemachine.IStateMachine { return &sum{} }, conf))

	write := func() {
		require.Eventually(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := h.NodeHost().SyncPropose(ctx, h.NodeHost().GetNoOPSession(1), []byte("x"))
			return err == nil
		}, 30*time.Second, time.Millisecond)
	}
	until := func(done func() bool) {
		for end := time.Now().Add(30 * time.Second); !done(); {
			require.True(t, time.Now().Before(end))
			write()
		}
	}
	saved := func() bool {
		found, err := filepath.Glob(filepath.Join(dir, "*", "*", "snapshot*", "*", "*", "*.gbsnap"))
		require.NoError(t, err)
		return len(found) > 0
	}
	disk.full.Store(true)
	until(func() bool { return disk.refused.Load() > 2 })
	require.False(t, saved())
	disk.full.Store(false)
	until(saved)
}

// What another replica sends waits for space, and arrives whole.
func TestReceivedSnapshotWaitsForSpace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snapshot-1-2"+receivedSuffix)
	synctest.Test(t, func(t *testing.T) {
		disk := &tightDisk{IFS: vfs.Default}
		fs := snapshotFS{disk, silent()}
		require.NoError(t, fs.MkdirAll(dir, 0o755))
		f, err := fs.Create(filepath.Join(dir, "a"))
		require.NoError(t, err)
		disk.full.Store(true)
		done := make(chan error, 1)
		go func() {
			_, err := f.Write([]byte("0123456789"))
			done <- err
		}()
		time.Sleep(3 * spaceRetry / 2)
		synctest.Wait()
		require.Empty(t, done, "written without space")
		disk.full.Store(false)
		require.NoError(t, <-done)
		require.NoError(t, f.Close())
	})
	got, err := os.ReadFile(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(got))
}

// Other files are none of its business.
func TestFullDiskElsewhere(t *testing.T) {
	disk := &tightDisk{IFS: vfs.Default}
	disk.full.Store(true)
	f, err := snapshotFS{disk, silent()}.Create(filepath.Join(t.TempDir(), "a"))
	require.NoError(t, err)
	_, err = f.Write([]byte("0123456789"))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NotErrorIs(t, err, statemachine.ErrSnapshotAborted)
	require.NoError(t, f.Close())
}
