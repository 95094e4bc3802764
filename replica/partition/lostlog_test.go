package partition

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine/mem"
)

// A replica that crashed before its engine ever flushed has an index of 0, like
// one that never ran. Without its log it has forgotten votes and entries that it
// acknowledged all the same, and must not come back under its id.
func TestLostLogOfUnflushedReplica(t *testing.T) {
	var crash atomic.Bool
	c := newCluster(t, crashing{&crash}, 3)
	c.openAll(0)
	c.put(0, "k", "v")
	n := c.nodes[0]
	eventually(t, "replication", func() bool { v, _ := peek(n.partition(0), "k"); return v == "v" })
	crash.Store(true)
	n.kill()
	crash.Store(false)
	require.NoError(t, os.RemoveAll(filepath.Join(n.dir, "raft")))
	n.start()
	_, err := n.tryOpen(0, false)
	require.ErrorIs(t, err, ErrLogLost)
}

// An old copy of the log lacks entries and votes, too. The data tells: it is ahead.
func TestOldCopyOfLog(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.openAll(0)
	c.put(0, "k", "v")
	n := c.nodes[0]
	eventually(t, "replication", func() bool { v, _ := peek(n.partition(0), "k"); return v == "v" })
	n.kill()
	raftDir, copied := filepath.Join(n.dir, "raft"), filepath.Join(t.TempDir(), "raft")
	require.NoError(t, exec.Command("cp", "-a", raftDir, copied).Run())
	n.start()
	n.open(0)
	c.put(0, "k", "w")
	eventually(t, "replication", func() bool { v, _ := peek(n.partition(0), "k"); return v == "w" })
	n.kill()
	require.NoError(t, os.RemoveAll(raftDir))
	require.NoError(t, os.Rename(copied, raftDir))
	n.start()
	_, err := n.tryOpen(0, false)
	require.ErrorIs(t, err, ErrLogLost)
	require.ErrorContains(t, err, "the log ends with entry")
}
