package chaos

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/test/cluster"
)

// A server whose log is synced at intervals loses power: the end of its log is
// gone, on which leaders count. The others have everything, and replace its
// replicas by themselves.
func TestPowerLossBetweenSyncs(t *testing.T) {
	newRand(t)
	p := cluster.StartProcesses(t, cluster.ProcessOptions{Env: []string{"ARION_RAFT_SYNC_INTERVAL=10s"}})
	c := cluster.Connect(t, p.Metas())
	v := View{System: p, Admin: admin.New(c)}
	ledger := NewLedger(makeTable(t, c, "power", partitions), 16)
	loadUntil(t, ledger, 300, nil)
	agreed(t, v)
	logs, err := filepath.Glob(filepath.Join(p.Dir, "replica1", "raft/host/*/log"))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	synced := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.CopyFS(synced, os.DirFS(logs[0])))

	loadUntil(t, ledger, 300, nil)
	require.NoError(t, p.Kill("replica1"))
	require.NoError(t, os.RemoveAll(logs[0]))
	require.NoError(t, os.CopyFS(logs[0], os.DirFS(synced)))
	require.NoError(t, p.Restart("replica1"))
	require.NoError(t, ledger.Verify(context.Background()))
	loadUntil(t, ledger, 100, nil)
	whole(t, v)
	agreed(t, v)
	require.NoError(t, p.Kill("replica2"))
	require.NoError(t, ledger.Verify(context.Background()))
}

func whole(t *testing.T, v View) {
	t.Helper()
	cluster.Eventually(t, patience, "all replicas to vote", func() error { return v.Whole(context.Background(), partitions, copies) })
}
