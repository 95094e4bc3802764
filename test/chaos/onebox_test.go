package chaos

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/test/cluster"
)

// The onebox is killed under a write load, again and again. After each restart
// every acknowledged write is there and counters are exact.
func TestOneboxKilled(t *testing.T) {
	rng := newRand(t)
	box := cluster.NewOnebox(t, "chaos:8")
	box.Start()
	c := cluster.Connect(t, strings.Split(box.Meta, ","))
	ledger := NewLedger(c.Table("chaos"), 16)
	for kill := range *killsFlag {
		loadUntil(t, ledger, 200, func() {
			time.Sleep(time.Duration(rng.IntN(700)) * time.Millisecond) // a random moment, not a wait
			box.Kill()
		})
		start := time.Now()
		box.Start()
		ready := time.Since(start)
		require.NoError(t, ledger.Verify(context.Background()), "after kill %d", kill+1)
		t.Logf("kill %d: %v; ready again after %v", kill+1, ledger, ready.Round(time.Millisecond))
	}
}
