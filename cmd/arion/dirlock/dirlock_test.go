package dirlock

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSecondHolderIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	first, err := Acquire(dir)
	require.NoError(t, err)

	_, err = Acquire(dir)
	require.ErrorContains(t, err, dir+" is in use by process "+strconv.Itoa(os.Getpid()))

	first.Release()
	first.Release()
	second, err := Acquire(dir)
	require.NoError(t, err)
	second.Release()
}

func TestKilledHolderIsWaitedFor(t *testing.T) {
	require.False(t, ending(strconv.Itoa(os.Getpid())))
	require.False(t, ending("(unknown)"))
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	pid := strconv.Itoa(cmd.Process.Pid)
	require.False(t, ending(pid))
	require.NoError(t, cmd.Process.Kill())
	require.Eventually(t, func() bool { return ending(pid) }, time.Minute, time.Millisecond, "a zombie holds nothing for long")
	require.Error(t, cmd.Wait())
	require.True(t, ending(pid))
}
