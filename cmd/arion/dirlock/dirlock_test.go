package dirlock

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

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
