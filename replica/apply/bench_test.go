package apply

import (
	"strconv"
	"testing"

	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
)

func benchmarkEntry(b *testing.B, op func(i int) command.Op) {
	ops := make([]command.Op, 100)
	for i := range ops {
		ops[i] = op(i)
	}
	raw := entry(command.Header{StampMS: stampAt(now)}, ops...)
	a, batch := New(Identity{}, State{}), new(engine.Batch)
	b.ReportAllocs()
	for range b.N {
		batch.Reset()
		e, err := command.Decode(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := a.Apply(storage{}, e, a.State().AppliedIndex+1, batch); err != nil {
			b.Fatal(err)
		}
		a.AppendState(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ops)), "ns/write")
}

func BenchmarkPut(b *testing.B) {
	benchmarkEntry(b, func(i int) command.Op { return put("hash", strconv.Itoa(i), "a value of some thirty bytes...", 0) })
}

func BenchmarkIncr(b *testing.B) {
	benchmarkEntry(b, func(i int) command.Op { return incr("hash", strconv.Itoa(i%50), 1, 0) })
}
