package rocks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
)

func TestConfigValidate(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	err := Config{}.Validate()
	for _, field := range []string{"BlockCacheBytes", "MemtablesBytes", "MemtableBytes", "OpenFiles", "Threads", "PeriodicCompaction"} {
		require.ErrorContains(t, err, field)
	}
	_, err = NewOpener(Config{})
	require.Error(t, err)
}

func TestOpenerCloseNamesDatabases(t *testing.T) {
	o, err := NewOpener(DefaultConfig())
	require.NoError(t, err)
	dir := t.TempDir()
	e, err := o.Open(dir, engine.Options{})
	require.NoError(t, err)
	require.ErrorContains(t, o.Close(), dir)
	require.NoError(t, e.Close())
	require.NoError(t, o.Close())
	require.NoError(t, o.Close())
	require.Equal(t, Usage{}, o.Usage())
	_, err = o.Open(dir, engine.Options{})
	require.ErrorIs(t, err, engine.ErrClosed)
}

func TestMemtablesStayInBudget(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MemtablesBytes = 4 << 20
	o := newOpener(t, cfg)
	base := t.TempDir()
	var all []*store
	for i := range 8 {
		all = append(all, open(t, o, filepath.Join(base, fmt.Sprint(i))))
	}
	// Seven hold a little and go idle; the last writes many times the budget.
	for _, s := range all[:7] {
		fill(t, s, 2000, 0)
	}
	peak := uint64(0)
	for range 60 {
		fill(t, all[7], 5000, 0)
		peak = max(peak, o.Usage().MemtableBytes)
	}
	require.Less(t, peak, 3*cfg.MemtablesBytes, "flushes in progress count too")
	require.Less(t, all[7].Stats().TableFiles, uint64(60), "no flood of tiny tables")
}

func TestCompactCancelledMidway(t *testing.T) {
	cfg := DefaultConfig()
	cfg.WriteBytesPerSec = 4 << 20 // flush and compaction take about a second each
	o := newOpener(t, cfg)
	s := open(t, o, t.TempDir())
	incompressible(t, s, 4<<20)
	require.NoError(t, s.Flush())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Compact(ctx, engine.CompactOptions{}) }()
	require.Eventually(t, func() bool { return s.Stats().RunningCompactions > 0 }, 20*time.Second, time.Millisecond)
	cancel()
	select {
	case err := <-done:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(20 * time.Second):
		t.Fatal("not cancelled")
	}
}

func incompressible(t *testing.T, e engine.Engine, bytes int) {
	t.Helper()
	f, err := os.Open("/dev/urandom")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	var b engine.Batch
	value := make([]byte, 64<<10)
	for i := range bytes / len(value) {
		_, err := f.Read(value)
		require.NoError(t, err)
		b.Put(fmt.Appendf(nil, "\x00\x01big%06d", i), value)
	}
	require.NoError(t, e.Apply(&b))
}

func TestOpenInParallel(t *testing.T) {
	o := newOpener(t, DefaultConfig())
	base := t.TempDir()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			e, err := o.Open(filepath.Join(base, fmt.Sprint(i)), engine.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			fill(t, e, 100, 0)
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Zero(t, o.Usage().Databases)
}

func residentBytes(t *testing.T) int {
	data, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var total, resident int
	_, err = fmt.Sscan(string(data), &total, &resident)
	require.NoError(t, err)
	return resident * os.Getpagesize()
}

// TestNoLeak repeats everything that allocates in C and watches the process.
func TestNoLeak(t *testing.T) {
	o := newOpener(t, tiny())
	dir := t.TempDir()
	round := func() {
		e, err := o.Open(dir, engine.Options{})
		require.NoError(t, err)
		fill(t, e, 200, 0)
		var p engine.Page
		keys := make([][]byte, 100)
		for i := range keys {
			keys[i] = fmt.Appendf(nil, "\x00\x08hash%04dsort%06d", i, i)
		}
		for range 50 {
			require.NoError(t, e.MultiGet(keys, &p))
			it, err := e.NewIter(engine.IterOptions{})
			require.NoError(t, err)
			require.NoError(t, it.Next(1000, 1<<20, &p))
			it.Close()
			_ = e.Stats()
		}
		cp := filepath.Join(dir, "cp")
		require.NoError(t, e.Checkpoint(cp))
		require.Error(t, e.Checkpoint(cp))
		require.NoError(t, os.RemoveAll(cp))
		require.NoError(t, e.Compact(context.Background(), engine.CompactOptions{}))
		require.NoError(t, e.Close())
	}
	for range 15 {
		round()
	}
	before := residentBytes(t)
	for range 30 {
		round()
	}
	grown := residentBytes(t) - before
	require.Less(t, grown, 30*100<<10, "under 100 KB a round")
	require.Zero(t, o.Usage().MemtableBytes)
}

func TestIdleDatabaseIsSmall(t *testing.T) {
	o := newOpener(t, DefaultConfig())
	base := t.TempDir()
	before := residentBytes(t)
	const n = 50
	for i := range n {
		open(t, o, filepath.Join(base, fmt.Sprint(i)))
	}
	require.Less(t, (residentBytes(t)-before)/n, 600<<10)
}
