package rocks

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

const benchRows = 200_000

func benchKey(i int) []byte { return fmt.Appendf(nil, "\x00\x08hash%04dsort%06d", i%100, i) }

func benchStore(b *testing.B) *store {
	s := open(b, newOpener(b, DefaultConfig()), b.TempDir())
	fill(b, s, benchRows, 0)
	require.NoError(b, s.Flush())
	b.ResetTimer()
	return s
}

// reportCPU reports the CPU time of the process per item, which other processes
// on the machine disturb less than they disturb the clock.
func reportCPU(b *testing.B, itemsPerOp int) (stop func()) {
	begin := cpuTime()
	return func() {
		b.ReportMetric(float64((cpuTime()-begin).Nanoseconds())/float64(b.N*itemsPerOp), "cpu-ns/item")
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkGet(b *testing.B) {
	s := benchStore(b)
	defer reportCPU(b, 1)()
	b.RunParallel(func(pb *testing.PB) {
		var buf []byte
		for pb.Next() {
			v, found, err := s.Get(benchKey(rand.IntN(benchRows)), buf[:0])
			if err != nil || !found {
				b.Error(found, err)
			}
			buf = v
		}
	})
}

func BenchmarkGetAbsent(b *testing.B) {
	s := benchStore(b)
	var buf []byte
	for b.Loop() {
		v, found, err := s.Get(benchKey(benchRows+rand.IntN(benchRows)), buf[:0])
		if err != nil || found {
			b.Error(found, err)
		}
		buf = v
	}
}

// BenchmarkMultiGetDense reads 100 records of one hash key, each step-th of them,
// from tables and from a memtable: from some distance on they are looked up
// instead of walked over.
func BenchmarkMultiGetDense(b *testing.B) {
	for _, flushed := range []bool{true, false} {
		for _, step := range []int{1, 2, 4, 8, 16} {
			b.Run(fmt.Sprintf("flushed=%v/step=%d", flushed, step), func(b *testing.B) {
				s := open(b, newOpener(b, DefaultConfig()), b.TempDir())
				fill(b, s, benchRows, 0)
				if flushed {
					require.NoError(b, s.Flush())
				}
				keys := make([][]byte, 100)
				var p engine.Page
				defer reportCPU(b, len(keys))()
				for b.Loop() {
					first := rand.IntN(benchRows)
					for i := range keys {
						keys[i] = benchKey((first + i*100*step) % benchRows)
					}
					if err := s.MultiGet(keys, &p); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkMultiGetRandom reads keys that have nothing in common, as gets that are
// pipelined on a connection do; ns/key against BenchmarkGet is what gathering them
// gains.
func BenchmarkMultiGetRandom(b *testing.B) {
	for _, n := range []int{1, 2, 4, 8, 16, 64} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := benchStore(b)
			keys := make([][]byte, n)
			var p engine.Page
			defer reportCPU(b, n)()
			for b.Loop() {
				for i := range keys {
					keys[i] = benchKey(rand.IntN(benchRows))
				}
				if err := s.MultiGet(keys, &p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkScan reads whole hash keys of 2000 records; ns/row is what counts.
func BenchmarkScan(b *testing.B) {
	for _, c := range []struct {
		name    string
		reverse bool
		prefix  int
		rows    int
	}{{"forward", false, 0, 1000}, {"reverse", true, 0, 1000}, {"headers", false, record.HeaderLen, 1000}, {"row by row", false, 0, 1}} {
		b.Run(c.name, func(b *testing.B) {
			s := benchStore(b)
			var p engine.Page
			rows := 0
			for b.Loop() {
				from := fmt.Appendf(nil, "\x00\x08hash%04d", rand.IntN(100))
				it, err := s.NewIter(engine.IterOptions{Lower: from, Upper: append(from[:len(from):len(from)], 0xff), Reverse: c.reverse, ValuePrefix: c.prefix})
				if err != nil {
					b.Fatal(err)
				}
				for {
					if err := it.Next(c.rows, 1<<20, &p); err != nil {
						b.Fatal(err)
					}
					if p.Len() == 0 {
						break
					}
					rows += p.Len()
				}
				it.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
		})
	}
}

func BenchmarkApply64(b *testing.B) {
	s := open(b, newOpener(b, DefaultConfig()), b.TempDir())
	value := make([]byte, 100)
	var batch engine.Batch
	i := 0
	for b.Loop() {
		batch.Reset()
		for range 64 {
			i++
			batch.PutHeader(benchKey(i), record.Header{Index: uint64(i)}, value)
		}
		if err := s.Apply(&batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(i), "ns/record")
}

func TestGetDoesNotAllocate(t *testing.T) {
	s := open(t, newOpener(t, DefaultConfig()), t.TempDir())
	fill(t, s, 10, 0)
	key, buf := benchKey(1), make([]byte, 0, 1024)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, found, err := s.Get(key, buf); err != nil || !found {
			t.Error(found, err)
		}
	}))
}

func TestApplyDoesNotAllocate(t *testing.T) {
	s := open(t, newOpener(t, DefaultConfig()), t.TempDir())
	var b engine.Batch
	key, value := benchKey(1), make([]byte, 100)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b.Reset()
		b.PutHeader(key, record.Header{}, value)
		if err := s.Apply(&b); err != nil {
			t.Error(err)
		}
	}))
}

// BenchmarkApplyMany writes small runs into one of many databases, as a node with
// many partitions does: puts of a few records and one that is always the same.
func BenchmarkApplyMany(b *testing.B) {
	for _, dbs := range []int{8, 256} {
		for _, puts := range []int{2, 16} {
			b.Run(fmt.Sprintf("dbs=%d/puts=%d", dbs, puts), func(b *testing.B) {
				o := newOpener(b, DefaultConfig())
				var all []*store
				for range dbs {
					all = append(all, open(b, o, b.TempDir()))
				}
				state := append(append([]byte(nil), engine.InternalPrefix...), "state"...)
				value := make([]byte, 128)
				var batch engine.Batch
				apply := func() {
					batch.Reset()
					for range puts {
						batch.PutHeader(benchKey(rand.IntN(100_000)), record.Header{Index: 1}, value)
					}
					batch.PutHeader(state, record.Header{Index: 1}, []byte{1})
					require.NoError(b, all[rand.IntN(dbs)].Apply(&batch))
				}
				for range 200_000 / puts {
					apply()
				}
				defer reportCPU(b, puts)()
				for b.Loop() {
					apply()
				}
			})
		}
	}
}
