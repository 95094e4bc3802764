package enginetest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/record"
)

var seedFlag = flag.Uint64("engine.seed", 0, "seed of the random engine run; 0 takes a new one")

// Disturb says what a random run does to the engine between operations.
type Disturb struct {
	// Weights against operations of weight 100 together.
	Flush, Compact, Reopen, Checkpoint int
}

// Metamorphic runs one random list of steps on o and on mem and compares every
// answer. A failure prints the seed; -engine.seed repeats it.
func Metamorphic(t *testing.T, o engine.Opener, d Disturb, steps int) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -engine.seed=%d", seed)
	r := &run{t: t, o: o, rnd: rand.New(rand.NewPCG(seed, 1)), base: t.TempDir()}
	r.open(r.nextDir())
	model, err := mem.Opener{}.Open(t.TempDir(), engine.Options{})
	require.NoError(t, err)
	r.model = model
	menu := r.menu(d)
	for range steps {
		menu[r.rnd.IntN(len(menu))]()
	}
	r.checkAll()
	r.dropIters()
	require.NoError(t, r.sut.Close())
	require.NoError(t, r.model.Close())
}

type run struct {
	t          *testing.T
	o          engine.Opener
	rnd        *rand.Rand
	base       string
	dirs       int
	dir        string
	sut, model engine.Engine
	clock      uint32
	index      uint64
	iters      []pair
}

// pair is one view, open on both engines.
type pair struct {
	o          engine.IterOptions
	sut, model engine.Iter
}

func (r *run) menu(d Disturb) (menu []func()) {
	for _, c := range []struct {
		weight int
		step   func()
	}{
		{40, r.write}, {20, r.get}, {10, r.multiGet}, {15, r.scan}, {5, r.newIter}, {8, r.advanceIter}, {2, r.advanceClock},
		{d.Flush, func() { require.NoError(r.t, r.sut.Flush()) }},
		{d.Compact, r.compact}, {d.Reopen, r.reopen}, {d.Checkpoint, r.checkpoint},
	} {
		for range c.weight {
			menu = append(menu, c.step)
		}
	}
	return menu
}

func (r *run) write() {
	var b engine.Batch
	for range 1 + r.rnd.IntN(20) {
		switch r.rnd.IntN(30) {
		case 0:
			from, to := r.bounds()
			b.DeleteRange(from, to)
		case 1, 2, 3, 4:
			b.Delete(r.key())
		case 5:
			b.Put(append([]byte{0xff, 0xff}, byte('a'+r.rnd.IntN(3))), r.value())
		default:
			r.index++
			b.PutHeader(r.key(), record.Header{Expire: r.expire(), Index: r.index}, r.value())
		}
	}
	require.NoError(r.t, r.sut.Apply(&b))
	require.NoError(r.t, r.model.Apply(&b))
}

// repeats is how often a key is read in a row: an engine may keep what is read often.
const repeats = 3

func (r *run) get() {
	k := r.key()
	want, wantFound := r.visible(r.model, k)
	for range repeats {
		got, gotFound := r.visible(r.sut, k)
		require.Equal(r.t, wantFound, gotFound, "get %q", k)
		require.Equal(r.t, want, got, "get %q", k)
	}
}

// visible reads k and hides what a compaction may have dropped.
func (r *run) visible(e engine.Engine, k []byte) (string, bool) {
	v, found, err := e.Get(k, nil)
	require.NoError(r.t, err)
	if !found || engine.FilterDrop(k, v, r.clock) {
		return "", false
	}
	return string(v), true
}

func (r *run) multiGet() {
	var ks [][]byte
	neighbours, prefix := r.rnd.IntN(2) == 0, r.hashPrefix()
	for i := range r.rnd.IntN(30) {
		if neighbours {
			ks = append(ks, fmt.Appendf(prefix[:len(prefix):len(prefix)], "s%02d", i*r.rnd.IntN(4)))
			continue
		}
		ks = append(ks, r.key())
	}
	var got, want engine.Page
	require.NoError(r.t, r.sut.MultiGet(ks, &got))
	require.NoError(r.t, r.model.MultiGet(ks, &want))
	require.Equal(r.t, len(ks), got.Len())
	for i, k := range ks {
		if engine.FilterDrop(k, want.Value(i), r.clock) {
			continue
		}
		require.Equal(r.t, want.Found(i), got.Found(i), "multi-get %q", k)
		require.Equal(r.t, string(want.Value(i)), string(got.Value(i)), "multi-get %q", k)
	}
}

func (r *run) scan() {
	p := r.openPair()
	r.compare(p)
	p.close()
}

func (r *run) newIter() {
	const limit = 8
	if len(r.iters) < limit {
		r.iters = append(r.iters, r.openPair())
	}
}

// advanceIter finishes an older view, after whatever happened in between.
func (r *run) advanceIter() {
	if len(r.iters) == 0 {
		return
	}
	i := r.rnd.IntN(len(r.iters))
	r.compare(r.iters[i])
	r.iters[i].close()
	r.iters = slices.Delete(r.iters, i, i+1)
}

func (r *run) openPair() pair {
	o := engine.IterOptions{Reverse: r.rnd.IntN(3) == 0, Bulk: r.rnd.IntN(4) == 0}
	o.Lower, o.Upper = r.bounds()
	if r.rnd.IntN(4) == 0 {
		o.Lower = nil
	}
	if r.rnd.IntN(4) == 0 {
		o.Upper = nil
	}
	if r.rnd.IntN(3) == 0 {
		o.ValuePrefix = record.HeaderLen
	}
	sut, err := r.sut.NewIter(o)
	require.NoError(r.t, err)
	model, err := r.model.NewIter(o)
	require.NoError(r.t, err)
	return pair{o, sut, model}
}

func (p pair) close() {
	p.sut.Close()
	p.model.Close()
}

func (r *run) compare(p pair) {
	got, want := r.drain(p.sut), r.drain(p.model)
	require.Equal(r.t, want, got, "scan [%q, %q) reverse %v", p.o.Lower, p.o.Upper, p.o.Reverse)
}

func (r *run) drain(it engine.Iter) (out []string) {
	var p engine.Page
	for {
		require.NoError(r.t, it.Next(1+r.rnd.IntN(50), 1+r.rnd.IntN(10_000), &p))
		if p.Len() == 0 {
			return out
		}
		for i := range p.Len() {
			if !engine.FilterDrop(p.Key(i), p.Value(i), r.clock) {
				out = append(out, fmt.Sprintf("%q=%q", p.Key(i), p.Value(i)))
			}
		}
	}
}

func (r *run) advanceClock() {
	r.clock += uint32(r.rnd.IntN(50))
	r.sut.SetClock(r.clock)
	r.model.SetClock(r.clock)
}

func (r *run) compact() {
	o := engine.CompactOptions{}
	if r.rnd.IntN(2) == 0 {
		o.From, o.To = r.bounds()
	}
	require.NoError(r.t, r.sut.Compact(context.Background(), o))
}

func (r *run) reopen() {
	r.dropIters()
	require.NoError(r.t, r.sut.Close())
	r.open(r.dir)
	r.checkAll()
}

// checkpoint goes on in the copy.
func (r *run) checkpoint() {
	dir := r.nextDir()
	require.NoError(r.t, r.sut.Checkpoint(dir))
	r.dropIters()
	require.NoError(r.t, r.sut.Close())
	r.open(dir)
	r.checkAll()
}

func (r *run) open(dir string) {
	e, err := r.o.Open(dir, engine.Options{})
	require.NoError(r.t, err)
	e.SetClock(r.clock)
	r.sut, r.dir = e, dir
}

func (r *run) nextDir() string {
	r.dirs++
	return filepath.Join(r.base, fmt.Sprint("db", r.dirs))
}

func (r *run) checkAll() {
	for _, reverse := range []bool{false, true} {
		o := engine.IterOptions{Reverse: reverse}
		sut, err := r.sut.NewIter(o)
		require.NoError(r.t, err)
		model, err := r.model.NewIter(o)
		require.NoError(r.t, err)
		p := pair{o, sut, model}
		r.compare(p)
		p.close()
	}
}

func (r *run) dropIters() {
	for _, p := range r.iters {
		p.close()
	}
	r.iters = nil
}

var hashKeys = []string{"", "a", "ab", "b", "user", "zz\xff", "\xff", "\xff\xff"}

func (r *run) hashPrefix() []byte {
	h := hashKeys[r.rnd.IntN(len(hashKeys))]
	if r.rnd.IntN(4) == 0 { // many hash keys of one record each
		h = fmt.Sprint("h", r.rnd.IntN(200))
	}
	return append([]byte{0, byte(len(h))}, h...)
}

func (r *run) key() []byte {
	k := r.hashPrefix()
	switch r.rnd.IntN(4) {
	case 0:
		return k
	case 1:
		return append(k, byte(r.rnd.IntN(256)))
	default:
		return fmt.Appendf(k, "s%02d", r.rnd.IntN(100))
	}
}

// bounds is mostly a range within one hash key, whole or in part.
func (r *run) bounds() (lower, upper []byte) {
	switch r.rnd.IntN(4) {
	case 0:
		a, b := r.key(), r.key()
		if bytes.Compare(a, b) > 0 {
			a, b = b, a
		}
		return a, b
	case 1:
		p := r.hashPrefix()
		return append(bytes.Clone(p), fmt.Sprintf("s%02d", r.rnd.IntN(100))...), successor(string(p))
	case 2:
		p := r.hashPrefix()
		lo := r.rnd.IntN(100)
		return fmt.Appendf(bytes.Clone(p), "s%02d", lo), fmt.Appendf(bytes.Clone(p), "s%02d", lo+r.rnd.IntN(10))
	default:
		p := r.hashPrefix()
		return p, successor(string(p))
	}
}

func (r *run) expire() uint32 {
	if r.rnd.IntN(2) == 0 {
		return 0
	}
	return r.clock + uint32(r.rnd.IntN(200))
}

func (r *run) value() []byte {
	n := r.rnd.IntN(30)
	if r.rnd.IntN(10) == 0 {
		n = r.rnd.IntN(5000)
	}
	v := make([]byte, n)
	for i := range v {
		v[i] = byte(r.rnd.Uint32())
	}
	return v
}
