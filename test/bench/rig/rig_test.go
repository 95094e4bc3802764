package rig

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProcesses(t *testing.T) {
	p := Processes{Dir: t.TempDir()}
	defer p.Stop()
	s, err := p.Launch("server", []string{"WORD=ready"}, "/bin/sh", "-c", "echo $WORD; exec sleep 600")
	require.NoError(t, err)
	require.NoError(t, s.AwaitText("ready"))
	require.True(t, s.Running())
	n, err := statusBytes(s.PID(), "VmHWM")
	require.NoError(t, err)
	require.Positive(t, n)
	_, err = statusBytes(s.PID(), "Nothing")
	require.ErrorContains(t, err, "no Nothing")
	p.Stop()
	require.False(t, s.Running())
	p.Stop()
}

func TestAProcessThatEndsIsToldWithItsLastWords(t *testing.T) {
	p := Processes{Dir: t.TempDir()}
	defer p.Stop()
	s, err := p.Launch("server", nil, "/bin/sh", "-c", "echo port is taken; exit 1")
	require.NoError(t, err)
	require.ErrorContains(t, s.AwaitText("ready"), "server ended while starting: port is taken")
	_, err = p.Launch("other", nil, filepath.Join(p.Dir, "missing"))
	require.ErrorContains(t, err, "start other")
}

func TestDiskBytesAreThoseAllocated(t *testing.T) {
	dir := t.TempDir()
	const size = 100_000
	data, err := os.Create(filepath.Join(dir, "data"))
	require.NoError(t, err)
	_, err = data.Write(make([]byte, size))
	require.NoError(t, err)
	require.NoError(t, data.Sync()) // blocks are allocated now
	require.NoError(t, data.Close())
	holes, err := os.Create(filepath.Join(dir, "holes"))
	require.NoError(t, err)
	require.NoError(t, holes.Truncate(1<<30))
	require.NoError(t, holes.Close())
	n, err := diskBytes(dir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, int64(size))
	require.Less(t, n, int64(1<<20), "a hole takes nothing")
}
