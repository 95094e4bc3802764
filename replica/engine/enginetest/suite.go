// Package enginetest is the conformance suite of engine.Engine: every engine
// runs the same bodies, and a random run compares it with mem step by step.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// Run runs the fixed part of the suite.
func Run(t *testing.T, o engine.Opener) {
	for _, c := range []struct {
		name string
		body func(*testing.T, engine.Opener)
	}{
		{"Get", testGet},
		{"MultiGet", testMultiGet},
		{"MultiGetNeighbours", testMultiGetNeighbours},
		{"BatchOrder", testBatchOrder},
		{"DeleteRange", testDeleteRange},
		{"Iterate", testIterate},
		{"IteratePaging", testIteratePaging},
		{"IterateFrozen", testIterateFrozen},
		{"IterateHashKey", testIterateHashKey},
		{"Reopen", testReopen},
		{"MustExist", testMustExist},
		{"BeforeFlush", testBeforeFlush},
		{"Checkpoint", testCheckpoint},
		{"CompactDropsExpired", testCompactDropsExpired},
		{"CompactCancelled", testCompactCancelled},
		{"UseAfterClose", testUseAfterClose},
		{"CloseNamesIterators", testCloseNamesIterators},
		{"CloseUnderLoad", testCloseUnderLoad},
	} {
		t.Run(c.name, func(t *testing.T) { c.body(t, o) })
	}
}

func testGet(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	big := make([]byte, 1<<20)
	for i := range big {
		big[i] = byte(i * 7)
	}
	put(t, e, "k", "v", "empty", "", "big", string(big), "", "empty key")

	v, found, err := e.Get([]byte("k"), []byte("pre"))
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "prev", string(v), "appended to dst")

	for key, want := range map[string]string{"empty": "", "big": string(big), "": "empty key"} {
		v, found, err := e.Get([]byte(key), nil)
		require.NoError(t, err)
		require.True(t, found, key)
		require.Equal(t, want, string(v))
	}
	v, found, err = e.Get([]byte("absent"), []byte("pre"))
	require.NoError(t, err)
	require.False(t, found)
	require.Equal(t, "pre", string(v))
}

func testMultiGet(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	put(t, e, "a", "1", "b", "", "c", string(make([]byte, 100_000)))
	var p engine.Page
	require.NoError(t, e.MultiGet(keys("a", "x", "b", "c", "a"), &p))
	require.Equal(t, 5, p.Len())
	for i, want := range []struct {
		found bool
		n     int
	}{{true, 1}, {false, 0}, {true, 0}, {true, 100_000}, {true, 1}} {
		require.Equal(t, want.found, p.Found(i), i)
		require.Len(t, p.Value(i), want.n)
		require.Empty(t, p.Key(i))
	}
	require.NoError(t, e.MultiGet(nil, &p))
	require.Equal(t, 0, p.Len())
}

// testMultiGetNeighbours asks for many keys of one hash key, which an engine may
// find by walking: near to each other, far apart, in any order, twice, absent, and
// with deleted records between.
func testMultiGetNeighbours(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	const rows = 2000
	name := func(i int) string { return fmt.Sprintf("\x00\x01h%06d", i) }
	var b engine.Batch
	for i := range rows {
		switch {
		case i%3 == 0: // never written
		case i >= 500 && i < 1000:
			b.Put([]byte(name(i)), []byte("deleted"))
			b.Delete([]byte(name(i)))
		default:
			b.Put([]byte(name(i)), bytes.Repeat([]byte{byte(i)}, i))
		}
		b.Put([]byte(fmt.Sprintf("\x00\x01g%06d", i)), []byte("another hash key"))
		b.Put([]byte(fmt.Sprintf("\x00\x01i%06d", i)), []byte("another hash key"))
	}
	require.NoError(t, e.Apply(&b))
	check := func(what string, numbers []int) {
		var p engine.Page
		ks := make([][]byte, len(numbers))
		for i, n := range numbers {
			ks[i] = []byte(name(n))
		}
		require.NoError(t, e.MultiGet(ks, &p), what)
		require.Equal(t, len(numbers), p.Len(), what)
		for i, n := range numbers {
			found := n < rows && n%3 != 0 && (n < 500 || n >= 1000)
			require.Equal(t, found, p.Found(i), "%s: %d", what, n)
			if found {
				require.Equal(t, bytes.Repeat([]byte{byte(n)}, n), p.Value(i), "%s: %d", what, n)
			}
			require.Empty(t, p.Key(i), what)
		}
	}
	for round := range 2 {
		for _, step := range []int{1, 2, 5, 7, 50} {
			for _, first := range []int{0, 470, 990, rows - 100} {
				var numbers []int
				for i := range 100 {
					numbers = append(numbers, first+i*step)
				}
				what := fmt.Sprint(round, " from ", first, " by ", step)
				check(what, numbers)
				slices.Reverse(numbers)
				check(what+" backwards", numbers)
				check(what+" twice", append(numbers, numbers...))
			}
		}
		check("around deleted ones", []int{490, 491, 492, 493, 494, 495, 496, 497, 1000, 1001, 1002, 1003})
		require.NoError(t, e.Flush())
	}
}

func testBatchOrder(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	var b engine.Batch
	require.NoError(t, e.Apply(&b), "empty batch")
	b.Put([]byte("a"), []byte("1"))
	b.Delete([]byte("a"))
	b.Put([]byte("b"), []byte("1"))
	b.Put([]byte("b"), []byte("2"))
	b.DeleteRange([]byte("c"), []byte("d"))
	b.Put([]byte("c"), []byte("after range"))
	require.NoError(t, e.Apply(&b))
	require.Equal(t, []string{"b=2", "c=after range"}, all(t, e, engine.IterOptions{}))
}

func testDeleteRange(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	internal := string(engine.InternalPrefix) + "applied"
	put(t, e, "a", "", "b", "", "c", "", internal, "")
	var b engine.Batch
	b.DeleteRange([]byte("b"), []byte("c"))
	require.NoError(t, e.Apply(&b))
	require.Equal(t, []string{"a=", "c=", internal + "="}, all(t, e, engine.IterOptions{}))
	b.Reset()
	b.DeleteRange([]byte("a"), nil)
	require.NoError(t, e.Apply(&b))
	require.Equal(t, []string{internal + "="}, all(t, e, engine.IterOptions{}), "nil end stops before internal keys")
}

func testIterate(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	put(t, e, "a", "value-a", "b", "value-b", "bb", "value-bb", "c", "value-c", "\xff\xff1", "internal")
	for _, c := range []struct {
		name string
		o    engine.IterOptions
		want []string
	}{
		{"everything", engine.IterOptions{}, []string{"a=value-a", "b=value-b", "bb=value-bb", "c=value-c", "\xff\xff1=internal"}},
		{"users only", engine.IterOptions{Upper: engine.InternalPrefix, ValuePrefix: 1}, []string{"a=v", "b=v", "bb=v", "c=v"}},
		{"lower is inclusive", engine.IterOptions{Lower: []byte("b"), Upper: []byte("c"), ValuePrefix: 7}, []string{"b=value-b", "bb=value-b"}},
		{"between keys", engine.IterOptions{Lower: []byte("aa"), Upper: []byte("bbb"), ValuePrefix: 100}, []string{"b=value-b", "bb=value-bb"}},
		{"reverse", engine.IterOptions{Reverse: true, ValuePrefix: 1}, []string{"\xff\xff1=i", "c=v", "bb=v", "b=v", "a=v"}},
		{"reverse bounds", engine.IterOptions{Lower: []byte("b"), Upper: []byte("c"), Reverse: true, ValuePrefix: 1}, []string{"bb=v", "b=v"}},
		{"reverse between", engine.IterOptions{Lower: []byte("aa"), Upper: []byte("bba"), Reverse: true, ValuePrefix: 1}, []string{"bb=v", "b=v"}},
		{"bulk", engine.IterOptions{Lower: []byte("c"), Bulk: true, ValuePrefix: 1}, []string{"c=v", "\xff\xff1=i"}},
		{"empty range", engine.IterOptions{Lower: []byte("b"), Upper: []byte("b")}, nil},
		{"inverted range", engine.IterOptions{Lower: []byte("c"), Upper: []byte("a")}, nil},
		{"inverted reverse", engine.IterOptions{Lower: []byte("c"), Upper: []byte("a"), Reverse: true}, nil},
		{"empty upper", engine.IterOptions{Upper: []byte{}}, nil},
	} {
		require.Equal(t, c.want, all(t, e, c.o), c.name)
		require.NoError(t, e.Flush())
		require.Equal(t, c.want, all(t, e, c.o), c.name+" after flush")
	}
}

func testIteratePaging(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	const n = 1000
	var b engine.Batch
	for i := range n {
		b.Put(fmt.Appendf(nil, "key%04d", i), make([]byte, i%50))
	}
	b.Put([]byte("key0500"), make([]byte, 3<<20)) // more than any page
	require.NoError(t, e.Apply(&b))
	for _, reverse := range []bool{false, true} {
		for _, limit := range []struct{ rows, bytes int }{{1, 1 << 20}, {7, 1 << 20}, {5000, 100}, {5000, 1}, {100_000, 64 << 20}, {0, -1}} {
			it, err := e.NewIter(engine.IterOptions{Reverse: reverse})
			require.NoError(t, err)
			var p engine.Page
			seen := 0
			for {
				require.NoError(t, it.Next(limit.rows, limit.bytes, &p))
				if p.Len() == 0 {
					break
				}
				require.LessOrEqual(t, p.Len(), max(limit.rows, 1))
				last := len(p.Key(p.Len()-1)) + len(p.Value(p.Len()-1))
				require.Less(t, p.Bytes()-last, max(limit.bytes, 1), "the limit was reached before the last row")
				for i := range p.Len() {
					want := seen
					if reverse {
						want = n - 1 - seen
					}
					require.Equal(t, fmt.Sprintf("key%04d", want), string(p.Key(i)))
					seen++
				}
			}
			require.Equal(t, n, seen, "%+v", limit)
			require.NoError(t, it.Next(1, 1, &p), "after the end")
			require.Equal(t, 0, p.Len())
			it.Close()
			it.Close()
			require.ErrorIs(t, it.Next(1, 1, &p), engine.ErrClosed)
		}
	}
}

func testIterateFrozen(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	put(t, e, "a", "1", "b", "1", "c", "1")
	it, err := e.NewIter(engine.IterOptions{})
	require.NoError(t, err)
	defer it.Close()
	var p engine.Page
	require.NoError(t, it.Next(1, 1, &p))
	require.Equal(t, "a", string(p.Key(0)))

	var b engine.Batch
	b.DeleteRange([]byte("a"), []byte("z"))
	b.Put([]byte("d"), []byte("2"))
	require.NoError(t, e.Apply(&b))
	require.NoError(t, e.Flush())
	require.NoError(t, e.Compact(context.Background(), engine.CompactOptions{}))

	require.NoError(t, it.Next(10, 1000, &p))
	require.Equal(t, []string{"b=1", "c=1"}, rows(&p))
	require.Equal(t, []string{"d=2"}, all(t, e, engine.IterOptions{}))
}

// testIterateHashKey walks single hash keys, where an engine may skip tables by
// their filters, in and around the shapes of keys that could fool it.
func testIterateHashKey(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	hashKeys := []string{"", "a", "b", "ab", "\xff", "\xff\xff", "b\xff"}
	key := func(hash, sort string) string { return string([]byte{0, byte(len(hash))}) + hash + sort }
	for round, sort := range []string{"", "s", "\xff", "\x00"} {
		for i, h := range hashKeys {
			if i%2 == round%2 { // each table misses half of the hash keys
				put(t, e, key(h, sort), "v")
			}
		}
		require.NoError(t, e.Flush())
	}
	for _, h := range hashKeys {
		for _, lower := range []string{"", "\x00", "s", "t", "\xff", "\xff\xff"} {
			for _, reverse := range []bool{false, true} {
				var want []string
				for _, row := range all(t, e, engine.IterOptions{Reverse: reverse}) {
					if k := row[:len(row)-2]; k >= key(h, lower) && k < string(successor(key(h, ""))) {
						want = append(want, row)
					}
				}
				got := all(t, e, engine.IterOptions{Lower: []byte(key(h, lower)), Upper: successor(key(h, "")), Reverse: reverse})
				require.Equal(t, want, got, "hash key %q from %q reverse %v", h, lower, reverse)
			}
		}
	}
}

func testReopen(t *testing.T, o engine.Opener) {
	dir := filepath.Join(t.TempDir(), "new", "deep")
	e := open(t, o, dir)
	put(t, e, "a", "1")
	require.NoError(t, e.Flush())
	put(t, e, "b", "2")
	require.NoError(t, e.Close())
	e = open(t, o, dir)
	require.Equal(t, []string{"a=1", "b=2"}, all(t, e, engine.IterOptions{}), "Close makes durable")
	require.NoError(t, e.Close())
}

func testMustExist(t *testing.T, o engine.Opener) {
	dir := filepath.Join(t.TempDir(), "db")
	_, err := o.Open(dir, engine.Options{MustExist: true})
	require.ErrorIs(t, err, engine.ErrNotExist)
	require.NoDirExists(t, dir)
	require.NoError(t, open(t, o, dir).Close())
	e, err := o.Open(dir, engine.Options{MustExist: true})
	require.NoError(t, err)
	require.NoError(t, e.Close())
}

// testBeforeFlush makes writes durable in every way there is: each asks first.
func testBeforeFlush(t *testing.T, o engine.Opener) {
	base := t.TempDir()
	var asked atomic.Int64
	e, err := o.Open(filepath.Join(base, "db"), engine.Options{BeforeFlush: func() { asked.Add(1) }})
	require.NoError(t, err)
	for _, tc := range []struct {
		name    string
		durable func() error
	}{
		{"flush", e.Flush},
		{"checkpoint", func() error { return e.Checkpoint(filepath.Join(base, "checkpoint")) }},
		{"close", e.Close},
	} {
		put(t, e, tc.name, "value")
		asked.Store(0)
		require.NoError(t, tc.durable())
		require.NotZero(t, asked.Load(), tc.name)
	}
}

func testCheckpoint(t *testing.T, o engine.Opener) {
	base := t.TempDir()
	e := open(t, o, filepath.Join(base, "db"))
	put(t, e, "a", "1")
	require.NoError(t, e.Flush())
	put(t, e, "b", "not flushed")
	cp := filepath.Join(base, "checkpoint")
	require.NoError(t, e.Checkpoint(cp))
	require.Error(t, e.Checkpoint(cp), "the directory exists")
	put(t, e, "a", "later", "c", "later")

	moved := filepath.Join(base, "moved")
	require.NoError(t, os.Rename(cp, moved))
	copied := open(t, o, moved)
	require.Equal(t, []string{"a=1", "b=not flushed"}, all(t, copied, engine.IterOptions{}))
	put(t, copied, "a", "copy")
	require.NoError(t, copied.Close())
	require.NoError(t, os.RemoveAll(moved))

	require.NoError(t, e.Compact(context.Background(), engine.CompactOptions{}))
	require.Equal(t, []string{"a=later", "b=not flushed", "c=later"}, all(t, e, engine.IterOptions{}))
}

func testCompactDropsExpired(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	internal := append([]byte{0xff, 0xff}, "state"...)
	var b engine.Batch
	for i, expire := range []uint32{0, 99, 100, 101} {
		b.PutHeader(fmt.Appendf(nil, "\x00\x01k%d", i), record.Header{Expire: expire}, []byte("v"))
	}
	b.PutHeader(internal, record.Header{Expire: 1}, nil)
	b.Put([]byte("\x00\x01other"), []byte("\x02unknown format, long enough for a header"))
	require.NoError(t, e.Apply(&b))
	compacted := func() int {
		require.NoError(t, e.Compact(context.Background(), engine.CompactOptions{}))
		return len(all(t, e, engine.IterOptions{}))
	}
	require.Equal(t, 6, compacted(), "no clock, nothing dropped")
	e.SetClock(99)
	require.Equal(t, 6, compacted(), "expiring now is not before the clock")
	e.SetClock(100)
	require.Equal(t, 5, compacted())
	e.SetClock(50)
	require.Equal(t, 5, compacted(), "the clock does not go back")
	e.SetClock(1 << 30)
	require.Equal(t, 3, compacted())
	require.EqualValues(t, 3, e.Stats().FilterDropped)
	_, found, err := e.Get(internal, nil)
	require.NoError(t, err)
	require.True(t, found)
}

func testCompactCancelled(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	put(t, e, "a", "1")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, e.Compact(ctx, engine.CompactOptions{}), context.Canceled)
	require.NoError(t, e.Compact(context.Background(), engine.CompactOptions{From: []byte("a"), To: []byte("b")}))
	require.Equal(t, []string{"a=1"}, all(t, e, engine.IterOptions{}))
}

func testUseAfterClose(t *testing.T, o engine.Opener) {
	dir := t.TempDir()
	e := open(t, o, dir)
	put(t, e, "a", "1")
	require.NoError(t, e.Close())
	require.NoError(t, e.Close(), "twice")
	for name, err := range calls(e, filepath.Join(t.TempDir(), "cp")) {
		require.ErrorIs(t, err, engine.ErrClosed, name)
	}
	e.SetClock(1)
	require.Equal(t, engine.Stats{}, e.Stats())
}

func testCloseNamesIterators(t *testing.T, o engine.Opener) {
	dir := t.TempDir()
	e := open(t, o, dir)
	put(t, e, "a", "1")
	it, err := e.NewIter(engine.IterOptions{Label: "forgotten", Lower: []byte("low")})
	require.NoError(t, err)
	closed, err := e.NewIter(engine.IterOptions{Label: "closed"})
	require.NoError(t, err)
	closed.Close()
	require.Equal(t, 1, e.Stats().OpenIters)

	var left *engine.OpenItersError
	require.ErrorAs(t, e.Close(), &left)
	require.Len(t, left.Iters, 1)
	require.Equal(t, "forgotten", left.Iters[0].Label)
	require.Equal(t, "low", string(left.Iters[0].Lower))
	var p engine.Page
	require.ErrorIs(t, it.Next(1, 1, &p), engine.ErrClosed)
	it.Close()
	require.Equal(t, []string{"a=1"}, all(t, open(t, o, dir), engine.IterOptions{}), "closed in spite of it")
}

// testCloseUnderLoad closes while every call is going on.
func testCloseUnderLoad(t *testing.T, o engine.Opener) {
	e := open(t, o, t.TempDir())
	put(t, e, "a", "1", "b", "2")
	base := t.TempDir()
	var wg, warm sync.WaitGroup
	for worker := range 4 {
		wg.Add(1)
		warm.Add(1)
		go func() {
			defer wg.Done()
			for round := 0; ; round++ {
				if round == 2 {
					warm.Done()
				}
				stopped := 0
				errs := calls(e, filepath.Join(base, fmt.Sprintf("%d.%d", worker, round)))
				for name, err := range errs {
					if errors.Is(err, engine.ErrClosed) {
						stopped++
					} else if err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
				}
				if stopped == len(errs) {
					return
				}
			}
		}()
	}
	warm.Wait()
	err := e.Close()
	var left *engine.OpenItersError // an iterator may have been open just then
	if err != nil && !errors.As(err, &left) {
		t.Errorf("close: %v", err)
	}
	wg.Wait()
}

// calls makes one call of each kind that returns an error.
func calls(e engine.Engine, cp string) map[string]error {
	var p engine.Page
	var b engine.Batch
	b.Put([]byte("b"), []byte("2"))
	_, _, getErr := e.Get([]byte("a"), nil)
	it, iterErr := e.NewIter(engine.IterOptions{})
	if iterErr == nil {
		iterErr = it.Next(10, 1000, &p)
		it.Close()
	}
	return map[string]error{
		"get": getErr, "iter": iterErr,
		"multi-get":  e.MultiGet(keys("a"), &p),
		"apply":      e.Apply(&b),
		"flush":      e.Flush(),
		"checkpoint": e.Checkpoint(cp),
		"compact":    e.Compact(context.Background(), engine.CompactOptions{}),
	}
}
