package rocks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
)

// applied is where the test keeps the number of the last batch, as a partition
// keeps its applied index.
var applied = []byte("\xff\xffapplied")

// numbered is batch n: the number, a key of its own, and one rewritten always.
func numbered(n uint64) *engine.Batch {
	var b engine.Batch
	v := binary.BigEndian.AppendUint64(nil, n)
	b.Put(applied, v)
	b.Put(fmt.Appendf(nil, "\x00\x01own%010d", n), append(v, make([]byte, n%500)...))
	b.Put([]byte("\x00\x01shared"), v)
	return &b
}

// requirePrefix checks that e holds exactly batches 1..n for some n, returned.
func requirePrefix(t *testing.T, e engine.Engine) uint64 {
	t.Helper()
	last, found, err := e.Get(applied, nil)
	require.NoError(t, err)
	if !found {
		last = make([]byte, 8)
	}
	n := binary.BigEndian.Uint64(last)
	shared, _, err := e.Get([]byte("\x00\x01shared"), nil)
	require.NoError(t, err)
	if found {
		require.Equal(t, last, shared)
	}
	it, err := e.NewIter(engine.IterOptions{Lower: []byte("\x00\x01own"), Upper: []byte("\x00\x01owo")})
	require.NoError(t, err)
	defer it.Close()
	var p engine.Page
	seen := uint64(0)
	for {
		require.NoError(t, it.Next(1000, 1<<20, &p))
		if p.Len() == 0 {
			require.Equal(t, n, seen, "own keys up to the applied number, and none beyond")
			return n
		}
		for i := range p.Len() {
			seen++
			require.Equal(t, seen, binary.BigEndian.Uint64(p.Value(i)))
		}
	}
}

// snapshotFiles copies the directory as a crash would leave it. RocksDB writes
// tables before the manifest that names them and deletes them after, so a copy
// during which the manifest did not change is what a crash could leave.
func snapshotFiles(t *testing.T, from, to string) {
	t.Helper()
	for {
		before := manifest(t, from)
		require.NoError(t, os.MkdirAll(to, 0o755))
		for _, pattern := range []string{"CURRENT", "MANIFEST-*", "*.sst", "*.log"} {
			copyMatching(t, from, to, pattern)
		}
		if bytes.Equal(before, manifest(t, from)) {
			return
		}
		require.NoError(t, os.RemoveAll(to))
	}
}

func copyMatching(t *testing.T, from, to, pattern string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(from, pattern))
	require.NoError(t, err)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile; the manifest tells whether it mattered
		}
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, filepath.Base(name)), data, 0o644))
	}
}

func manifest(t *testing.T, dir string) []byte {
	t.Helper()
	current, err := os.ReadFile(filepath.Join(dir, "CURRENT"))
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(dir, strings.TrimSpace(string(current))))
	require.NoError(t, err)
	return data
}

func TestCrashKeepsWhatWasFlushed(t *testing.T) {
	o := newOpener(t, DefaultConfig())
	base := t.TempDir()
	dir := filepath.Join(base, "db")
	s := open(t, o, dir)
	for n := range uint64(100) {
		require.NoError(t, s.Apply(numbered(n+1)))
	}
	snapshotFiles(t, dir, filepath.Join(base, "unflushed"))
	require.NoError(t, s.Flush())
	snapshotFiles(t, dir, filepath.Join(base, "flushed"))
	require.NoError(t, s.Apply(numbered(101)))
	snapshotFiles(t, dir, filepath.Join(base, "later"))

	require.Zero(t, requirePrefix(t, open(t, o, filepath.Join(base, "unflushed"))), "nothing was durable yet")
	require.EqualValues(t, 100, requirePrefix(t, open(t, o, filepath.Join(base, "flushed"))))
	require.EqualValues(t, 100, requirePrefix(t, open(t, o, filepath.Join(base, "later"))), "an unflushed batch is not durable")
}

// TestFlushAsksFirst takes copies while memtables flush by themselves: a copy
// never holds more than was there when a flush last asked.
func TestFlushAsksFirst(t *testing.T) {
	o := newOpener(t, tiny())
	base := t.TempDir()
	var written, asked atomic.Uint64
	e, err := o.Open(filepath.Join(base, "db"), engine.Options{BeforeFlush: func() { asked.Store(written.Load()) }})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	flushed := uint64(0)
	for n := uint64(1); flushed < 500; n++ {
		require.Less(t, n, uint64(1_000_000), "memtables do not flush")
		require.NoError(t, e.Apply(numbered(n)))
		written.Store(n)
		if n%500 != 0 {
			continue
		}
		dir := filepath.Join(base, fmt.Sprint(n))
		snapshotFiles(t, filepath.Join(base, "db"), dir)
		limit := asked.Load()
		flushed = requirePrefix(t, open(t, o, dir))
		require.LessOrEqual(t, flushed, limit)
	}
}

// TestCrashAnyTime takes copies while memtables fill, switch, flush and compact
// in the background, and demands a prefix of the batches in each.
func TestCrashAnyTime(t *testing.T) {
	o := newOpener(t, tiny())
	base := t.TempDir()
	dir := filepath.Join(base, "db")
	s := open(t, o, dir)
	rnd := rand.New(rand.NewPCG(3, 4))
	durable, copies := uint64(0), 0
	for n := uint64(1); n <= 900; n++ {
		require.NoError(t, s.Apply(numbered(n)))
		if rnd.IntN(300) == 0 {
			require.NoError(t, s.Flush())
			durable = n
		}
		if rnd.IntN(60) != 0 {
			continue
		}
		copies++
		to := filepath.Join(base, fmt.Sprint("copy", copies))
		snapshotFiles(t, dir, to)
		e, err := o.Open(to, engine.Options{MustExist: true})
		require.NoError(t, err)
		got := requirePrefix(t, e)
		require.GreaterOrEqual(t, got, durable, "everything flushed survives")
		require.LessOrEqual(t, got, n)
		require.NoError(t, e.Close())
	}
	require.Positive(t, copies)
}

func TestOpenRefusesWhatWasLost(t *testing.T) {
	o := newOpener(t, DefaultConfig())
	dir := t.TempDir()
	s := open(t, o, dir)
	fill(t, s, 1000, 0)
	require.NoError(t, s.Flush())
	require.NoError(t, s.Close())

	require.NoError(t, os.Rename(filepath.Join(dir, "CURRENT"), filepath.Join(dir, "lost")))
	_, err := o.Open(dir, engine.Options{})
	require.ErrorIs(t, err, engine.ErrCorruption, "tables without CURRENT")
	require.NoError(t, os.Rename(filepath.Join(dir, "lost"), filepath.Join(dir, "CURRENT")))

	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	require.NoError(t, os.Remove(tables[0]))
	_, err = o.Open(dir, engine.Options{})
	require.ErrorIs(t, err, engine.ErrCorruption, "a table is missing")
}

func TestDamagedTableIsCorruption(t *testing.T) {
	o := newOpener(t, DefaultConfig())
	dir := t.TempDir()
	s := open(t, o, dir)
	fill(t, s, 10_000, 0)
	require.NoError(t, s.Close())
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	data, err := os.ReadFile(tables[0])
	require.NoError(t, err)
	for i := range len(data) / 2 {
		data[i] ^= 0x55
	}
	require.NoError(t, os.WriteFile(tables[0], data, 0o644))

	s = open(t, o, dir)
	it, err := s.NewIter(engine.IterOptions{})
	require.NoError(t, err)
	defer it.Close()
	var p engine.Page
	require.ErrorIs(t, it.Next(1<<20, 1<<30, &p), engine.ErrCorruption)
	_, _, err = s.Get([]byte("\x00\x08hash0000sort000000"), nil)
	require.ErrorIs(t, err, engine.ErrCorruption)
	require.ErrorIs(t, s.MultiGet([][]byte{[]byte("\x00\x08hash0000sort000000")}, &p), engine.ErrCorruption)
}
