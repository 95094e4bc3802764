package host

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/internal/obs"
)

func TestDiskSwitch(t *testing.T) {
	d := &Disk{log: obs.Discard()}
	d.SetLowWater(800)
	for _, step := range []struct {
		available int64
		full      bool
	}{
		{1000, false}, {800, false}, {799, true},
		{850, true}, // not yet: within the hysteresis of an eighth
		{901, false}, {850, false}, {0, true},
	} {
		d.judge(step.available)
		require.Equal(t, step.full, d.Full(), "%d available", step.available)
	}
}

func TestDiskMeasuresARealFileSystem(t *testing.T) {
	d := NewDisk(t.TempDir(), 0, obs.Discard())
	capacity, available := d.Space()
	require.Positive(t, capacity)
	require.LessOrEqual(t, available, capacity)
}

func TestSweepTrash(t *testing.T) {
	dir, now := t.TempDir(), time.Unix(2_000_000_000, 0)
	require.NoError(t, SweepTrash(dir, now), "no trash")
	name := func(age time.Duration) string {
		return filepath.Join(dir, "trash", fmt.Sprintf("1.2.3.%d", now.Add(-age).Unix()))
	}
	old, young, foreign := name(trashKeep+time.Second), name(trashKeep-time.Second), filepath.Join(dir, "trash", "notes")
	for _, p := range []string{old, young, foreign} {
		require.NoError(t, os.MkdirAll(p, 0o755))
	}
	require.NoError(t, SweepTrash(dir, now))
	require.NoDirExists(t, old)
	require.DirExists(t, young)
	require.DirExists(t, foreign)
}
