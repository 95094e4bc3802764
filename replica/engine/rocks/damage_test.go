package rocks

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
)

// TestDamageNeverCrashes opens and reads databases with random damage in random
// files. Whatever the library's assertions think of it, the process lives, and
// the error says corruption.
func TestDamageNeverCrashes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	o := newOpener(t, tiny())
	base := t.TempDir()
	whole := filepath.Join(base, "whole")
	s := open(t, o, whole)
	for i := range 3 {
		fill(t, s, 1000+i, 0)
		require.NoError(t, s.Flush())
	}
	require.NoError(t, s.Close())
	for i := range 25 {
		dir := filepath.Join(base, fmt.Sprint(i))
		snapshotFiles(t, whole, dir)
		name := damageOne(t, rnd, dir)
		if err := readAll(o, dir, rnd.IntN(2) == 0); err != nil {
			require.ErrorIs(t, err, engine.ErrCorruption, name)
		}
	}
}

// What everything else in a table hangs on is at its end: each byte of it is damaged.
func TestDamagedTails(t *testing.T) {
	o := newOpener(t, tiny())
	base := t.TempDir()
	whole := filepath.Join(base, "whole")
	s := open(t, o, whole)
	fill(t, s, 1000, 0)
	require.NoError(t, s.Flush())
	require.NoError(t, s.Close())
	for back := 1; back <= 250; back++ {
		dir := filepath.Join(base, fmt.Sprint(back))
		snapshotFiles(t, whole, dir)
		tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
		require.NoError(t, err)
		require.NotEmpty(t, tables)
		data, err := os.ReadFile(tables[0])
		require.NoError(t, err)
		data[len(data)-back] ^= 0xff
		require.NoError(t, os.WriteFile(tables[0], data, 0o644))
		if err := readAll(o, dir, false); err != nil {
			require.ErrorIs(t, err, engine.ErrCorruption, "byte %d from the end", back)
		}
		if r, err := OpenReadOnly(dir); err == nil {
			_ = r.Each(nil, func(_, _ []byte) error { return nil }) // may find the damage
			r.Close()
		}
		require.NoError(t, os.RemoveAll(dir))
	}
}

func damageOne(t *testing.T, rnd *rand.Rand, dir string) (name string) {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.sst", "MANIFEST-*", "CURRENT"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		names = append(names, found...)
	}
	name = names[rnd.IntN(len(names))]
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	const footer = 200 // where tables keep what everything else hangs on
	switch rnd.IntN(3) {
	case 0:
		data = data[:rnd.IntN(len(data))]
	case 1:
		for range 1 + rnd.IntN(20) {
			data[rnd.IntN(len(data))] = byte(rnd.Uint32())
		}
	default:
		tail := data[max(0, len(data)-footer):]
		tail[rnd.IntN(len(tail))] ^= 0xff
	}
	require.NoError(t, os.WriteFile(name, data, 0o644))
	return name
}

func readAll(o *Opener, dir string, reverse bool) error {
	e, err := o.Open(dir, engine.Options{MustExist: true})
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }()
	it, err := e.NewIter(engine.IterOptions{Reverse: reverse})
	if err != nil {
		return err
	}
	defer it.Close()
	var p engine.Page
	for {
		if err := it.Next(10_000, 1<<20, &p); err != nil || p.Len() == 0 {
			return err
		}
	}
}

// TestFullDiskHeals fills a small file system, and gives it room again.
func TestFullDiskHeals(t *testing.T) {
	if testing.Short() {
		t.Skip("RocksDB looks for free space every five seconds")
	}
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=12m"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	s := open(t, newOpener(t, DefaultConfig()), filepath.Join(dir, "db"))
	incompressible(t, s, 6<<20)
	require.NoError(t, s.Flush())
	incompressible(t, s, 8<<20)
	require.ErrorIs(t, s.Flush(), engine.ErrNoSpace)
	require.ErrorIs(t, s.Stats().BackgroundError, engine.ErrNoSpace)
	require.ErrorIs(t, s.Apply(numbered(1)), engine.ErrNoSpace)
	_, found, err := s.Get([]byte("\x00\x01big000000"), nil)
	require.NoError(t, err)
	require.True(t, found, "reads go on")

	// RocksDB resumes only with room for a full memtable and more.
	require.NoError(t, syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, "size=300m"))
	require.Eventually(t, func() bool { return s.Apply(numbered(1)) == nil }, 60*time.Second, 100*time.Millisecond)
	require.NoError(t, s.Flush())
	require.NoError(t, s.Stats().BackgroundError)
}
