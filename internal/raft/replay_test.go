package raft

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/statemachine"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// recorder is a state machine that forgets all it applied after index from, so that
// all of the log is replayed. It notes the sizes of its updates.
type recorder struct {
	from    uint64
	mu      sync.Mutex
	updates [][]int
	bytes   int
}

func (r *recorder) Update(entries []statemachine.Entry) ([]statemachine.Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sizes []int
	for _, e := range entries {
		sizes = append(sizes, len(e.Cmd))
		r.bytes += len(e.Cmd)
	}
	r.updates = append(r.updates, sizes)
	return entries, nil
}

func (r *recorder) seen() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes
}

func (r *recorder) Open(<-chan struct{}) (uint64, error)                 { return r.from, nil }
func (r *recorder) Lookup(any) (any, error)                              { return nil, nil }
func (r *recorder) Sync() error                                          { return nil }
func (r *recorder) PrepareSnapshot() (any, error)                        { return nil, nil }
func (r *recorder) SaveSnapshot(any, io.Writer, <-chan struct{}) error   { return nil }
func (r *recorder) RecoverFromSnapshot(io.Reader, <-chan struct{}) error { return nil }
func (r *recorder) Close() error                                         { return nil }

// A replica that replays its log takes small steps, whatever their sum. An entry
// larger than a step is a step of its own.
func TestReplayInSteps(t *testing.T) {
	for _, kind := range []LogStore{OwnLog, PebbleLog} {
		t.Run(string(kind), func(t *testing.T) { testReplayInSteps(t, kind) })
	}
}

func testReplayInSteps(t *testing.T, kind LogStore) {
	const shard, replica = 1, 1
	log := logrus.New()
	log.SetOutput(io.Discard)
	o := Options{
		Dir: filepath.Join(t.TempDir(), "raft"), Cluster: "test", NodeID: 1, Address: freeAddress(t),
		Tick: 10 * time.Millisecond, LogStore: kind, Log: logrus.NewEntry(log),
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	start := func(from uint64) (*Host, *recorder) {
		h, err := Open(o)
		require.NoError(t, err)
		r := &recorder{from: from}
		require.NoError(t, h.StartOnDisk(ctx, Group{ShardID: shard, ReplicaID: replica, Members: map[uint64]string{replica: "n0000000000000001"}},
			func(_, _ uint64) statemachine.IOnDiskStateMachine { return r }))
		return h, r
	}
	h, _ := start(0)
	require.Eventually(t, func() bool {
		leader, _, known, err := h.NodeHost().GetLeaderID(shard)
		return err == nil && known && leader == replica
	}, 20*time.Second, time.Millisecond)

	// dragonboat takes entries that are not all writes one by one. A snapshot lets it
	// forget those that made the group.
	from, err := h.NodeHost().SyncRequestSnapshot(ctx, shard, dragonboat.SnapshotOption{})
	require.NoError(t, err)

	sizes := []int{2 * applyBytes, applyBytes - 1<<10, 100 << 10, 3 * applyBytes}
	for len(sizes) < 100 {
		sizes = append(sizes, 60<<10)
	}
	total := 0
	session := h.NodeHost().GetNoOPSession(shard)
	for _, n := range sizes {
		_, err := h.NodeHost().SyncPropose(ctx, session, bytes.Repeat([]byte{1}, n))
		require.NoError(t, err)
		total += n
	}
	require.NoError(t, h.Close())

	h, r := start(from)
	defer h.Close()
	require.Eventually(t, func() bool { return r.seen() == total }, 30*time.Second, time.Millisecond,
		"not all entries are replayed")
	r.mu.Lock()
	defer r.mu.Unlock()
	var replayed []int
	for _, u := range r.updates {
		sum := 0
		for _, n := range u {
			sum += n
		}
		require.True(t, sum <= applyBytes || len(u) == 1, "a step of %d bytes in %d entries", sum, len(u))
		replayed = append(replayed, u...)
	}
	require.Equal(t, sizes, replayed)
}
