package durable

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplaceFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, content := range []string{"first, and longer", "second"} {
		require.NoError(t, ReplaceFile(path, []byte(content)))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
		require.NoFileExists(t, path+TmpSuffix)
	}
}

func TestFailureKeepsTheOldContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, ReplaceFile(path, []byte("old")))
	require.NoError(t, os.Mkdir(path+TmpSuffix, 0o755)) // in the way
	require.Error(t, ReplaceFile(path, []byte("new")))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
	require.Error(t, SyncDir(filepath.Join(path, "none")))
}
