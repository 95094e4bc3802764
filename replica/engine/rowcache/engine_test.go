package rowcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/enginetest"
	"github.com/arionkv/arion/replica/engine/faulty"
	"github.com/arionkv/arion/replica/engine/mem"
)

// memory is mem as a Base.
type memory struct{ engine.Opener }

func (memory) SharedBytes() (uint64, uint64) { return 0, 0 }
func (memory) Close() error                  { return nil }

func newOpener(t testing.TB, base engine.Opener, bytes int64) *Opener {
	o, err := NewOpener(memory{base}, bytes)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	return o
}

func open(t testing.TB, o *Opener) *cached {
	e, err := o.Open(t.TempDir(), engine.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e.(*cached)
}

func write(t testing.TB, e engine.Engine, kv ...string) {
	var b engine.Batch
	for i := 0; i < len(kv); i += 2 {
		b.Put([]byte(kv[i]), []byte(kv[i+1]))
	}
	require.NoError(t, e.Apply(&b))
}

// warm reads a record, so that it is cached.
func warm(t testing.TB, o *Opener, e engine.Engine, key string) {
	before := o.Stats().Records
	_, found, err := e.Get([]byte(key), nil)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, before+1, o.Stats().Records)
}

func TestConformance(t *testing.T) { enginetest.Run(t, newOpener(t, mem.Opener{}, 1<<20)) }

func TestMetamorphic(t *testing.T) {
	o := newOpener(t, mem.Opener{}, SmallestBytes)
	enginetest.Metamorphic(t, o, enginetest.Disturb{Flush: 5, Compact: 2, Reopen: 1, Checkpoint: 1}, 2000)
	require.Greater(t, o.Stats().Hits, uint64(20), "the run must go through the cache")
}

func TestReadsComeFromTheCache(t *testing.T) {
	plan := &faulty.Plan{}
	o := newOpener(t, faulty.Opener{Base: mem.Opener{}, Plan: plan}, 1<<20)
	e := open(t, o)
	write(t, e, "a", "1", "b", "2")
	warm(t, o, e, "a")
	down := errors.New("asked the engine")
	plan.Add(faulty.Fault{Op: faulty.Get, Err: down})
	plan.Add(faulty.Fault{Op: faulty.MultiGet, Err: down})

	v, found, err := e.Get([]byte("a"), []byte("x"))
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "x1", string(v))
	var p engine.Page
	require.NoError(t, e.MultiGet([][]byte{[]byte("a")}, &p))
	require.Equal(t, "1", string(p.Value(0)))

	_, _, err = e.Get([]byte("b"), nil)
	require.ErrorIs(t, err, down)
	require.ErrorIs(t, e.MultiGet([][]byte{[]byte("a"), []byte("b")}, &p), down)
	require.NoError(t, e.Tune(engine.Tuning{NoCacheFill: true}))
	_, _, err = e.Get([]byte("a"), nil)
	require.ErrorIs(t, err, down, "the table asks to leave caches alone")
}

// Every kind of write takes what it replaces out.
func TestWritesTakeOut(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*engine.Batch)
		want   string
	}{
		"put":          {func(b *engine.Batch) { b.Put([]byte("k"), []byte("new")) }, "new"},
		"delete":       {func(b *engine.Batch) { b.Delete([]byte("k")) }, ""},
		"delete range": {func(b *engine.Batch) { b.DeleteRange([]byte("a"), []byte("z")) }, ""},
		"another key":  {func(b *engine.Batch) { b.Put([]byte("l"), nil) }, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOpener(t, mem.Opener{}, 1<<20)
			e, other := open(t, o), open(t, o)
			for _, e := range []engine.Engine{e, other} {
				write(t, e, "k", "old")
				warm(t, o, e, "k")
			}
			var b engine.Batch
			tc.change(&b)
			require.NoError(t, e.Apply(&b))
			v, found, err := e.Get([]byte("k"), nil)
			require.NoError(t, err)
			require.Equal(t, tc.want, string(v))
			require.Equal(t, tc.want != "", found)
			v, _, err = other.Get([]byte("k"), nil)
			require.NoError(t, err)
			require.Equal(t, "old", string(v), "another engine's record of the same key")
		})
	}
}

// A read that began before a write ends after it: what it found must not stay.
func TestSlowReadKeepsNothing(t *testing.T) {
	plan := &faulty.Plan{}
	o := newOpener(t, faulty.Opener{Base: mem.Opener{}, Plan: plan}, 1<<20)
	e := open(t, o)
	write(t, e, "k", "old")
	undo := plan.Add(faulty.Fault{Op: faulty.Get, AfterCall: true, Times: 1, Hook: func() { write(t, e, "k", "new") }})
	_, _, err := e.Get([]byte("k"), nil)
	require.NoError(t, err)
	undo()
	require.Zero(t, o.Stats().Records)
	v, _, err := e.Get([]byte("k"), nil)
	require.NoError(t, err)
	require.Equal(t, "new", string(v))
}

// While a batch is applied nothing is taken in: nobody knows whether the engine
// showed the old or the new.
func TestNothingIsKeptDuringAWrite(t *testing.T) {
	plan := &faulty.Plan{}
	o := newOpener(t, faulty.Opener{Base: mem.Opener{}, Plan: plan}, 1<<20)
	e := open(t, o)
	write(t, e, "k", "old")
	plan.Add(faulty.Fault{Op: faulty.Apply, Times: 1, Hook: func() {
		var p engine.Page
		for range 3 {
			_, _, err := e.Get([]byte("k"), nil)
			require.NoError(t, err)
			require.NoError(t, e.MultiGet([][]byte{[]byte("k")}, &p))
		}
		require.Zero(t, o.Stats().Records)
	}})
	write(t, e, "k", "new")
	warm(t, o, e, "k")
}

// A batch that stands between two rows of a MultiGet is seen in all or in none.
func TestMultiGetIsOneView(t *testing.T) {
	plan := &faulty.Plan{}
	o := newOpener(t, faulty.Opener{Base: mem.Opener{}, Plan: plan}, 1<<20)
	e := open(t, o)
	write(t, e, "a", "1", "b", "1")
	warm(t, o, e, "a")
	// a is found in the cache; then both change; then b is asked of the engine.
	plan.Add(faulty.Fault{Op: faulty.MultiGet, Times: 1, Hook: func() { write(t, e, "a", "2", "b", "2") }})
	var p engine.Page
	require.NoError(t, e.MultiGet([][]byte{[]byte("a"), []byte("b"), []byte("none")}, &p))
	require.Equal(t, "2 2", fmt.Sprintf("%s %s", p.Value(0), p.Value(1)))
	require.False(t, p.Found(2))
}

// Readers of counters that only grow, two of which change together, see them neither
// shrink nor differ within one view.
func TestReadsNeverGoBack(t *testing.T) {
	o := newOpener(t, mem.Opener{}, SmallestBytes)
	e := open(t, o)
	keys := make([][]byte, 20)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key-%d", i)
	}
	set := func(n uint64) {
		var b engine.Batch
		for _, k := range keys {
			b.Put(k, binary.BigEndian.AppendUint64(nil, n))
		}
		require.NoError(t, e.Apply(&b))
	}
	set(0)
	var written atomic.Uint64 // acknowledged
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for r := range 4 {
		readers.Go(func() {
			var p engine.Page
			var buf []byte
			for i := r; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				least := written.Load()
				var got uint64
				if r%2 == 0 {
					var err error
					buf, _, err = e.Get(keys[i%len(keys)], buf[:0])
					if err != nil || len(buf) != 8 {
						t.Errorf("get: %v, %x", err, buf)
						return
					}
					got = binary.BigEndian.Uint64(buf)
				} else {
					from := i % (len(keys) - 3)
					if err := e.MultiGet(keys[from:from+3], &p); err != nil {
						t.Errorf("multi-get: %v", err)
						return
					}
					got = binary.BigEndian.Uint64(p.Value(0))
					for j := range 3 {
						if n := binary.BigEndian.Uint64(p.Value(j)); n != got {
							t.Errorf("one view holds %d and %d", got, n)
							return
						}
					}
				}
				if got < least {
					t.Errorf("read %d after %d was written", got, least)
					return
				}
			}
		})
	}
	for n := uint64(1); n <= 5_000 && !t.Failed(); n++ {
		set(n)
		written.Store(n)
		for range n % 16 { // let readers fill the cache between some writes
			_, _, _ = e.Get(keys[n%20], nil) // judged by the readers
		}
	}
	close(stop)
	readers.Wait()
	require.Positive(t, o.Stats().Hits)
}

func TestClosedEngineIsSilent(t *testing.T) {
	o := newOpener(t, mem.Opener{}, 1<<20)
	e, err := o.Open(t.TempDir(), engine.Options{})
	require.NoError(t, err)
	write(t, e, "k", "v")
	warm(t, o, e, "k")
	require.NoError(t, e.Close())
	_, _, err = e.Get([]byte("k"), nil)
	require.ErrorIs(t, err, engine.ErrClosed)
	var p engine.Page
	require.ErrorIs(t, e.MultiGet([][]byte{[]byte("k")}, &p), engine.ErrClosed)
}

func TestGetDoesNotAllocate(t *testing.T) {
	o := newOpener(t, mem.Opener{}, 1<<20)
	e := open(t, o)
	write(t, e, "k", "v")
	warm(t, o, e, "k")
	buf, keys := make([]byte, 0, 64), [][]byte{[]byte("k")}
	var p engine.Page
	require.NoError(t, e.MultiGet(keys, &p))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, _, _ = e.Get(keys[0], buf)
		_ = e.MultiGet(keys, &p)
	}))
}

// BenchmarkMultiGet is hot reads as they come in bursts, of a set of records that
// processor caches do not hold.
func BenchmarkMultiGet(b *testing.B) {
	o := newOpener(b, mem.Opener{}, 64<<20)
	e := open(b, o)
	const records, burst = 100_000, 16
	keys := make([][]byte, records)
	var batch engine.Batch
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "user-%010d-field", i)
		batch.Put(keys[i], make([]byte, 128))
	}
	require.NoError(b, e.Apply(&batch))
	for _, k := range keys {
		warm(b, o, e, string(k))
	}
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var p engine.Page
		for i := rand.IntN(records - burst); pb.Next(); i = (i + burst) % (records - burst) {
			_ = e.MultiGet(keys[i:i+burst], &p)
		}
	})
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*burst), "ns/record")
}
