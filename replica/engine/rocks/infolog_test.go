package rocks

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
)

// The info log goes on in one file, and puts a long one aside.
func TestInfoLog(t *testing.T) {
	o := newOpener(t, DefaultConfig())
	dir := t.TempDir()
	path := filepath.Join(dir, "LOG")
	size := func() int64 {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Size()
	}
	require.NoError(t, open(t, o, dir).Close())
	once := size()
	require.Positive(t, once)
	require.NoError(t, open(t, o, dir).Close())
	require.Greater(t, size(), once)

	const most = 4 << 20 // kMaxBytes
	require.NoError(t, os.Truncate(path, most))
	require.NoError(t, open(t, o, dir).Close())
	require.Less(t, size(), int64(most))
	old, err := os.Stat(path + ".old")
	require.NoError(t, err)
	require.GreaterOrEqual(t, old.Size(), int64(most))

	// Without a log there is a database all the same.
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o755))
	s, err := o.Open(dir, engine.Options{})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}
