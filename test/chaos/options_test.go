package chaos

import (
	"context"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
)

var (
	seedFlag  = flag.Uint64("chaos.seed", 0, "seed of the run; 0 = a new one")
	killsFlag = flag.Int("chaos.kills", 2, "kills of the onebox")
	timeFlag  = flag.Duration("chaos.time", 8*time.Second, "length of a run under faults")
	runsFlag  = flag.Int("chaos.failovers", 0, "failovers to measure per kind of fault; 0 = none")
	mutants   = flag.Bool("chaos.mutants", false, "check that broken builds are caught")
)

// patience bounds waits for conditions. No test decides by time.
const patience = 2 * time.Minute

// newRand prints the seed that repeats the random choices of a run. The
// interleaving of processes cannot be repeated.
func newRand(t testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed: -chaos.seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// makeTable creates a table and waits until all its replicas serve.
func makeTable(t testing.TB, c *client.Client, name string, partitions int) *client.Table {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a := admin.New(c)
	_, err := a.CreateTable(ctx, name, admin.CreateOptions{Partitions: partitions})
	require.NoError(t, err)
	require.NoError(t, a.WaitReady(ctx, name))
	return c.Table(name)
}
