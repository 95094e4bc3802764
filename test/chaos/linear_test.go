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
	loaders    = 12
	// judgePatience bounds the search for an order of one hash key's history.
	judgePatience = time.Minute
	// The log is truncated every few seconds, so that a replica that was away
	// needs a snapshot.
	snapshotEntries = 150
)

// Servers are cut off from each other, in one process; clients reach them all.
func TestLinearizableUnderCuts(t *testing.T) {
	rng := newRand(t)
	c := cluster.Start(t, cluster.Options{Change: func(_ string, cfg *config.Config) {
		cfg.Raft.SnapshotEntries = snapshotEntries
	}})
	length := *timeFlag
	if length > longForm {
		length = max(longForm, length/4) // the other run has these faults, too
	}
	torment(t, rng, length, 16, c, func(v View) []Fault { return NetworkFaults(c, v, rng) }, nil)
}

// Servers of both roles are killed, paused, restarted, cut off, filled up, wiped
// and replaced; every server is a process, on a host of its own where root allows.
func TestLinearizableUnderKills(t *testing.T) {
	rng := newRand(t)
	n := cluster.StartHosts(t, cluster.ProcessOptions{Metas: 3, Replicas: 4, OwnDisk: []string{"replica1"}, Env: []string{
		fmt.Sprintf("ARION_RAFT_SNAPSHOT_ENTRIES=%d", snapshotEntries),
		fmt.Sprintf("ARION_META_REPLACE_AFTER=%v", repairDelay),
	}})
	torment(t, rng, *timeFlag, 80, n, func(v View) []Fault {
		h := &hostFaults{n: n, v: v, rng: rng, want: allPartitions, long: *timeFlag >= longForm}
		return h.list()
	}, func() error {
		if died := n.Died(); len(died) > 0 {
			return fmt.Errorf("%v ended without being told", died)
		}
		return nil
	})
	if *timeFlag >= longForm && !t.Failed() {
		n.KeepLogs() // a long time without writes is worth a look
	}
}

const (
	expiringPartitions = 2
	volumePartitions   = 8
	// longForm is from when on faults are made that take long, and told of.
	longForm      = time.Minute
	allPartitions = partitions + expiringPartitions + volumePartitions
)

// torment runs load and faults, and then judges: every history must have an
// order, no record may have gone back, every partition must have its replicas
// back, and all replicas the same content.
func torment(t *testing.T, rng *rand.Rand, length time.Duration, volumeWorkers int, s System, faults func(View) []Fault, check func() error) {
	patient := cluster.Connect(t, s.Metas(), append(Options(), client.WithKeepalive(time.Minute, time.Minute))...)
	quick := cluster.Connect(t, s.Metas(), Options()...)
	table := makeTable(t, quick, "chaos", partitions)
	expiring := makeTable(t, quick, "expiring", expiringPartitions)
	many := makeTable(t, quick, "volume", volumePartitions)
	v := View{System: s, Admin: admin.New(quick)}
	nemesis := &Nemesis{Rand: rng, Faults: faults(v), Check: check}
	if length >= longForm {
		nemesis.Log = t.Logf
	}
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
	meter := NewMeter()
	volume := NewVolume(seed, many, volumePartitions, volumeWorkers, meter)

	ctx, stop := context.WithTimeout(context.Background(), length)
	defer stop()
	var wg sync.WaitGroup
	for _, run := range []func(){
		func() { load.Run(ctx) }, func() { Churn(ctx, seed, expiring, 4) }, func() { volume.Run(ctx) },
	} {
		wg.Add(1)
		go func() { defer wg.Done(); run() }()
	}
	err = nemesis.Run(ctx)
	stop()
	over := time.Now()
	wg.Wait()
	require.NoError(t, err)

	well, cancel := context.WithTimeout(context.Background(), healing)
	defer cancel()
	for err = v.Whole(well, allPartitions, copies); err != nil && well.Err() == nil; err = v.Whole(well, allPartitions, copies) {
		time.Sleep(20 * time.Millisecond)
	}
	require.NoError(t, err, "not whole %v after the last fault", healing)
	healed := time.Since(over)
	require.NoError(t, load.Finish(well))
	require.NoError(t, volume.Finish(well))
	violations, total := volume.Violations()
	for _, bad := range violations {
		t.Error(bad)
	}
	disorders := judge(t, load, v)
	t.Logf("%v of faults, whole again %v after the last\n%shistories: %d operations, %d of unknown outcome, %d violations\nvolume: %v; %d violations",
		length, healed.Round(time.Millisecond), nemesis.Report(meter.Gaps()), load.History.Len(), load.History.Unknown(), disorders, volume, total)
}

func judge(t *testing.T, load *Load, v View) (violations int) {
	dir, err := os.MkdirTemp("", "arion-history-")
	require.NoError(t, err)
	for _, violation := range load.History.Check(judgePatience, dir) {
		t.Error(violation.Error())
		violations++
	}
	if !t.Failed() {
		os.RemoveAll(dir)
	}
	cluster.Eventually(t, patience, "replicas at the same index", func() error {
		err := v.Agreement(context.Background(), copies)
		if err != nil && !errors.Is(err, errNotYet) {
			t.Fatal(err)
		}
		return err
	})
	require.Positive(t, load.History.Len())
	return violations
}
