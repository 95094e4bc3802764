package identity

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpenKeepsIDAndCountsBoots(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	first, err := Open(dir, RoleReplica, "c")
	require.NoError(t, err)
	require.Positive(t, int64(first.NodeID))
	require.EqualValues(t, 1, first.Boot)

	second, err := Open(dir, RoleReplica, "c")
	require.NoError(t, err)
	require.Equal(t, first.NodeID, second.NodeID)
	require.EqualValues(t, 2, second.Boot)
}

func TestWipedDirectoryIsANewNode(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(dir, RoleMeta, "c")
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, FileName)))
	second, err := Open(dir, RoleMeta, "c")
	require.NoError(t, err)
	require.NotEqual(t, first.NodeID, second.NodeID)
}

func TestOpenRefuses(t *testing.T) {
	good := `{"format":1,"node_id":"00000000000000aa","role":"meta","boot":3,"cluster":"c"}`
	for name, tc := range map[string]struct{ content, want string }{
		"other role":    {good, "belongs to a meta server"},
		"newer format":  {`{"format":9,"node_id":"aa","role":"replica","cluster":"c"}`, "newer release"},
		"no id":         {`{"format":1,"role":"replica","cluster":"c"}`, "no node id"},
		"zero id":       {`{"format":1,"node_id":"0","role":"replica"}`, "damaged"},
		"cut off":       {good[:20], "damaged"},
		"other cluster": {`{"format":1,"node_id":"aa","role":"replica","cluster":"d"}`, `cluster "d"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, FileName), []byte(tc.content), 0o644))
			_, err := Open(dir, RoleReplica, "c")
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestDataWithoutIdentityIsRefused(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "raft", "x"), 0o755))
	_, err := Open(dir, RoleReplica, "c")
	require.ErrorContains(t, err, "holds data in raft")
}
