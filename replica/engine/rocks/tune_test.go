package rocks

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
)

func TestTune(t *testing.T) {
	o := newOpener(t, DefaultConfig())
	s := open(t, o, filepath.Join(t.TempDir(), "db"))
	require.NoError(t, s.Tune(engine.Tuning{Scenario: engine.ScenarioBulkLoad, MemtableBytes: 16 << 20, NoCacheFill: true}))
	for range 8 {
		fill(t, s, 100, 0)
		require.NoError(t, s.Flush())
	}
	require.EqualValues(t, 8, s.Stats().Level0Files, "twice the trigger, and nothing is compacted")
	_, found, err := s.Get([]byte("no such key"), nil)
	require.NoError(t, err)
	require.False(t, found)

	require.NoError(t, s.Tune(engine.Tuning{}))
	fill(t, s, 100, 0)
	require.NoError(t, s.Flush())
	require.Eventually(t, func() bool { return s.Stats().Level0Files < 4 }, 30*time.Second, 10*time.Millisecond, "compactions run again")
	require.Error(t, s.Tune(engine.Tuning{Scenario: 9}))
	require.NoError(t, s.Tune(engine.Tuning{Scenario: engine.ScenarioPreferWrite}))
	for _, b := range []engine.Bottom{engine.BottomOnce, engine.BottomForce, engine.BottomSkip} {
		require.NoError(t, s.Compact(context.Background(), engine.CompactOptions{Bottom: b}))
	}
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Tune(engine.Tuning{}), engine.ErrClosed)
}
