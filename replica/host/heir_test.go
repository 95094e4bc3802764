package host

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/raft"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/rocks"
	"github.com/arionkv/arion/replica/partition"
)

const (
	estateNode     = 7
	estatePatience = 30 * time.Second
	estateWrites   = 20
)

// TestSettleEstate: a replica that was killed, with its writes in the raft log
// only, has them in its engine before its heir begins with that.
func TestSettleEstate(t *testing.T) {
	obs.InstallRaftLogger(obs.Discard())
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	nodeHost, err := raft.Open(raft.Options{Dir: filepath.Join(dir, "raft"), Cluster: "test", NodeID: estateNode, Address: addr,
		Tick: 40 * time.Millisecond, Log: obs.Discard()})
	require.NoError(t, err)
	defer func() { require.NoError(t, nodeHost.Close()) }()
	opener, err := rocks.NewOpener(rocks.DefaultConfig())
	require.NoError(t, err)
	defer func() { require.NoError(t, opener.Close()) }()

	metrics, err := partition.NewMetrics(nil)
	require.NoError(t, err)
	opened := 0
	h := &Host{log: logrus.NewEntry(logrus.New()), o: Options{Dir: dir}, ctx: context.Background()}
	h.log.Logger.SetOutput(obs.Discard().Logger.Out)
	h.o.Open = func(a *arion.ReplicaAssignment, dir string, changed func()) (*partition.Partition, error) {
		opened++
		return partition.Open(context.Background(), partition.Options{Assignment: a, Dir: dir, Raft: nodeHost, Opener: opener,
			Server: "127.0.0.1:1", Metrics: metrics, Log: obs.Discard(), Changed: func(*partition.Partition) { changed() }})
	}
	member := []*arion.ReplicaMember{{ReplicaID: 3, NodeID: estateNode, Voting: true}}
	old := &arion.ReplicaAssignment{TableID: 1, ReplicaID: 3, InitialMembers: member}
	p, err := h.o.Open(old, h.dirOf(old), func() {})
	require.NoError(t, err)
	for i := range estateWrites {
		require.Eventually(t, func() bool { return put(p, byte(i)) == nil }, estatePatience, time.Millisecond)
	}
	// What is on the disk now is what a kill would leave.
	killed := filepath.Join(t.TempDir(), "killed")
	require.NoError(t, os.CopyFS(killed, os.DirFS(h.dirOf(old))))
	applied := p.AppliedIndex()
	require.NoError(t, p.Close())
	require.NoError(t, os.RemoveAll(h.dirOf(old)))
	require.NoError(t, os.CopyFS(h.dirOf(old), os.DirFS(killed)))
	require.Less(t, engineIndex(t, opener, h.dirOf(old)), applied, "the engine must lack something, or this shows nothing")

	heir := arion.ReplicaAssignment{TableID: 1, ReplicaID: 4, HeirOf: 3, InitialMembers: member}
	opened = 0
	for name, change := range map[string]func(*arion.ReplicaAssignment){
		"no heir": func(a *arion.ReplicaAssignment) { a.HeirOf = 0 }, "joins": func(a *arion.ReplicaAssignment) { a.Join = true },
		"of one that is not here": func(a *arion.ReplicaAssignment) { a.HeirOf = 2 },
	} {
		a := heir
		change(&a)
		h.settleEstate(&a)
		require.Zero(t, opened, name)
	}
	h.settleEstate(&heir)
	require.Equal(t, 1, opened)
	require.GreaterOrEqual(t, engineIndex(t, opener, h.dirOf(old)), applied)

	// An heir that has begun is not touched again.
	require.NoError(t, os.MkdirAll(h.dirOf(&heir), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(h.dirOf(&heir), "CURRENT"), []byte("db-000001\n"), 0o644))
	h.settleEstate(&heir)
	require.Equal(t, 1, opened)
}

func put(p *partition.Partition, i byte) error {
	done := make(chan error, 1)
	arg := &rrdb.UpdateRequest{Key: &base.Blob{Data: key.Append(nil, []byte{i}, nil)}, Value: &base.Blob{Data: []byte("v")}}
	p.Write(command.Put, frame.AppendMessage(nil, arg), func(_ apply.Result, err error) { done <- err })
	return <-done
}

// engineIndex is the applied index that the engine of a closed replica holds.
func engineIndex(t *testing.T, opener engine.Opener, dir string) uint64 {
	i, err := partition.Inspect(dir)
	require.NoError(t, err)
	db, err := opener.Open(i.Engine, engine.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	state, err := apply.Load(db)
	require.NoError(t, err)
	return state.AppliedIndex
}
