package rocks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

func TestFilterTwins(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	short := func(n int) []byte {
		b := make([]byte, rnd.IntN(n))
		for i := range b {
			b[i] = [...]byte{0, 1, 2, 0xfe, 0xff, byte(rnd.Uint32())}[rnd.IntN(6)]
		}
		return b
	}
	drops := 0
	for range 300_000 {
		key, stored := short(5), short(2*record.HeaderLen)
		clock := rnd.Uint32() >> rnd.IntN(32)
		got, want := filterDrops(key, stored, clock), engine.FilterDrop(key, stored, clock)
		if got != want {
			t.Fatalf("key %x stored %x clock %d: C++ %v, Go %v", key, stored, clock, got, want)
		}
		if got {
			drops++
		}
	}
	require.Greater(t, drops, 1000, "the input reaches both answers")
}

func FuzzFilterTwins(f *testing.F) {
	f.Add([]byte("\x00\x01a"), record.Append(nil, record.Header{Expire: 5}, []byte("v")), uint32(6))
	f.Add([]byte{0xff, 0xff}, []byte{1}, uint32(0))
	f.Fuzz(func(t *testing.T, key, stored []byte, clock uint32) {
		if got, want := filterDrops(key, stored, clock), engine.FilterDrop(key, stored, clock); got != want {
			t.Fatalf("C++ %v, Go %v", got, want)
		}
	})
}

func fill(t testing.TB, e engine.Engine, n int, expire uint32) {
	t.Helper()
	var b engine.Batch
	value := make([]byte, 100)
	for i := range n {
		b.PutHeader(fmt.Appendf(nil, "\x00\x08hash%04dsort%06d", i%100, i), record.Header{Expire: expire, Index: uint64(i)}, value)
		if b.Len() == 1000 || i == n-1 {
			require.NoError(t, e.Apply(&b))
			b.Reset()
		}
	}
}

func TestExpiredSpaceComesBackByCompact(t *testing.T) {
	s := open(t, newOpener(t, DefaultConfig()), t.TempDir())
	fill(t, s, 20_000, 100)
	require.NoError(t, s.Flush())
	require.Greater(t, s.Stats().SizeBytes, uint64(100_000))
	s.SetClock(101)
	require.NoError(t, s.Compact(context.Background(), engine.CompactOptions{}))
	st := s.Stats()
	require.Zero(t, st.SizeBytes)
	require.Zero(t, st.TableFiles)
	require.EqualValues(t, 20_000, st.FilterDropped)
}

// TestExpiredSpaceComesBackAlone: an idle database gives expired space back
// without an operator.
func TestExpiredSpaceComesBackAlone(t *testing.T) {
	cfg := DefaultConfig()
	cfg.PeriodicCompaction = time.Second
	s := open(t, newOpener(t, cfg), t.TempDir())
	fill(t, s, 1000, 100)
	require.NoError(t, s.Flush())
	s.SetClock(101)
	require.Eventually(t, func() bool { return s.Stats().SizeBytes == 0 }, 30*time.Second, 50*time.Millisecond)
}

func TestForeignTwins(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	foreign := 0
	for range 200_000 {
		k := make([]byte, rnd.IntN(12))
		for i := range k {
			k[i] = byte(rnd.Uint32())
		}
		if len(k) > 1 && rnd.IntN(8) > 0 {
			k[0], k[1] = 0, byte(rnd.IntN(len(k)))
		}
		count := int32(1) << rnd.IntN(5)
		index := rnd.Int32N(count)
		if rnd.IntN(20) == 0 {
			count = 0
		}
		got, want := filterForeign(k, index, count), engine.FilterForeign(k, index, count)
		if got != want {
			t.Fatalf("key %x of %d/%d: C++ %v, Go %v", k, index, count, got, want)
		}
		if got {
			foreign++
		}
	}
	require.Greater(t, foreign, 10_000)
}

// TestForeignSpaceComesBack: what a split left behind is gone after a compaction,
// and nothing else is.
func TestForeignSpaceComesBack(t *testing.T) {
	s := open(t, newOpener(t, DefaultConfig()), t.TempDir())
	fill(t, s, 20_000, 0)
	require.NoError(t, s.Flush())
	before := s.Stats().SizeBytes
	s.Purge(1, 4)
	require.NoError(t, s.Compact(context.Background(), engine.CompactOptions{}))
	require.Less(t, s.Stats().SizeBytes, before/2)
	it, err := s.NewIter(engine.IterOptions{})
	require.NoError(t, err)
	defer it.Close()
	var p engine.Page
	kept := 0
	for {
		require.NoError(t, it.Next(1000, 1<<20, &p))
		if p.Len() == 0 {
			break
		}
		for i := range p.Len() {
			require.False(t, engine.FilterForeign(p.Key(i), 1, 4))
			kept++
		}
	}
	want := 0
	for i := range 20_000 {
		if !engine.FilterForeign(fmt.Appendf(nil, "\x00\x08hash%04dsort%06d", i%100, i), 1, 4) {
			want++
		}
	}
	require.Equal(t, want, kept)
	require.EqualValues(t, 20_000-want, s.Stats().FilterDropped)
}
