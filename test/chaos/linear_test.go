package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/test/cluster"
)

const (
	partitions = 4
	copies     = 3
	loaders    = 12
	// judgePatience bounds the search for an order of one hash key's history.
	judgePatience = time.Minute
	// The log is truncated every few seconds, so that a replica that was away
	// needs a snapshot.
	snapshotEntries, compactionOverhead = 300, 20
)

// Servers are cut off from each other, in one process; clients reach them all.
func TestLinearizableUnderCuts(t *testing.T) {
	rng := newRand(t)
	c := cluster.Start(t, cluster.Options{Change: func(_ string, cfg *config.Config) {
		cfg.Raft.SnapshotEntries, cfg.Raft.CompactionOverhead = snapshotEntries, compactionOverhead
	}})
	torment(t, rng, c, func(v View) []Fault { return NetworkFaults(c, v, rng) })
}

// Servers are killed, paused and restarted; every server is a process.
func TestLinearizableUnderKills(t *testing.T) {
	rng := newRand(t)
	p := cluster.StartProcesses(t, cluster.ProcessOptions{Metas: 3, Env: []string{
		fmt.Sprintf("ARION_RAFT_SNAPSHOT_ENTRIES=%d", snapshotEntries),
		fmt.Sprintf("ARION_RAFT_COMPACTION_OVERHEAD=%d", compactionOverhead),
	}})
	torment(t, rng, p, func(v View) []Fault { return ProcessFaults(p, v, rng) })
}

// torment runs load and faults, and then judges: every history must have an
// order, every partition its replicas back, and all replicas the same content.
func torment(t *testing.T, rng *rand.Rand, s System, faults func(View) []Fault) {
	patient := connect(t, s.Metas(), append(Options(), client.WithKeepalive(time.Minute, time.Minute))...)
	quick := connect(t, s.Metas(), Options()...)
	table := makeTable(t, quick, "chaos", partitions)
	expiring := makeTable(t, quick, "expiring", 2)
	v := View{System: s, Admin: admin.New(quick)}
	nemesis := &Nemesis{Rand: rng, Faults: faults(v)}
	// A client that clings to its connections meets leaders that were deposed.
	seed := rng.Uint64()
	load := NewLoad(seed, loaders, s.Metas(), table, patient.Table("chaos"))
	routing, err := v.Admin.QueryTable(context.Background(), "chaos")
	require.NoError(t, err)
	var servers []string
	for _, name := range s.Replicas() {
		servers = append(servers, s.Addr(name))
	}
	load.Probe(servers, routing.ID, partitions)

	ctx, stop := context.WithTimeout(context.Background(), *timeFlag)
	defer stop()
	var wg sync.WaitGroup
	wg.Add(2)
	go func() { defer wg.Done(); load.Run(ctx) }()
	go func() { defer wg.Done(); Churn(ctx, seed, expiring, 4) }()
	err = nemesis.Run(ctx)
	stop()
	wg.Wait()
	require.NoError(t, err)

	well, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, name := range []string{"chaos", "expiring"} {
		require.NoError(t, v.Admin.WaitReady(well, name), "partitions of %s are not well after the faults", name)
	}
	require.NoError(t, load.Finish(well))
	t.Logf("%d operations, %d of unknown outcome; %v", load.History.Len(), load.History.Unknown(), nemesis)
	judge(t, load, v)
}

func judge(t *testing.T, load *Load, v View) {
	dir, err := os.MkdirTemp("", "arion-history-")
	require.NoError(t, err)
	for _, violation := range load.History.Check(judgePatience, dir) {
		t.Error(violation.Error())
	}
	if !t.Failed() {
		os.RemoveAll(dir)
	}
	eventually(t, "replicas at the same index", func() error {
		err := v.Agreement(context.Background(), copies)
		if err != nil && !errors.Is(err, errNotYet) {
			t.Fatal(err)
		}
		return err
	})
	require.Positive(t, load.History.Len())
}
