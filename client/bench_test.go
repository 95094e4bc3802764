package client_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

// TestAllocations holds the promise of the hot path: a pipelined get costs the
// Deferred and the value. It counts the whole process, so the fake server answers
// from a canned frame without allocating.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	tab := echoTable(t)
	ctx := context.Background()
	hash, sort := b("hash-key"), b("sort-key")
	const depth = 512
	ds := make([]*client.Deferred[[]byte], depth)
	round := func() {
		for i := range ds {
			ds[i] = tab.GetAsync(ctx, hash, sort)
		}
		for _, d := range ds {
			_, err := d.Wait(ctx)
			require.NoError(t, err)
		}
	}
	round()
	perGet := testing.AllocsPerRun(20, round) / depth
	t.Logf("%.3f allocations per async get", perGet)
	require.Less(t, perGet, 2.5)

	value := make([]byte, 128)
	sets := make([]*client.Deferred[struct{}], depth)
	round = func() {
		for i := range sets {
			sets[i] = tab.SetAsync(ctx, hash, sort, value)
		}
		for _, d := range sets {
			_, err := d.Wait(ctx)
			require.NoError(t, err)
		}
	}
	perSet := testing.AllocsPerRun(20, round) / depth
	t.Logf("%.3f allocations per async set", perSet)
	require.Less(t, perSet, 2.5)
}

// BenchmarkGetPipelined shows the client's own cost: the peer answers without
// looking.
func BenchmarkGetPipelined(b *testing.B) {
	for _, depth := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("depth=", depth), func(b *testing.B) {
			tab := echoTable(b)
			b.ReportAllocs()
			pipeline(b, depth, func() *client.Deferred[[]byte] {
				return tab.GetAsync(context.Background(), []byte("hash-key"), []byte("sort-key"))
			})
		})
	}
}

func BenchmarkSetPipelined(b *testing.B) {
	tab := echoTable(b)
	value := make([]byte, 128)
	b.ReportAllocs()
	pipeline(b, 1024, func() *client.Deferred[struct{}] {
		return tab.SetAsync(context.Background(), []byte("hash-key"), []byte("sort-key"), value)
	})
}

// BenchmarkGetCallbacks uses callbacks, not waiting.
func BenchmarkGetCallbacks(b *testing.B) {
	for _, workers := range []int{0, 4} {
		b.Run(fmt.Sprint("workers=", workers), func(b *testing.B) {
			tab := echoTable(b, client.WithCallbackWorkers(workers), client.WithMaxInFlight(1024, 1<<30, client.Block))
			b.ReportAllocs()
			var wg sync.WaitGroup
			for range b.N {
				wg.Add(1)
				tab.GetAsync(context.Background(), []byte("hash-key"), []byte("sort-key")).AddBoth(func(v []byte, err error) ([]byte, error) {
					wg.Done()
					return v, err
				})
			}
			wg.Wait()
		})
	}
}

func BenchmarkGetParallel(b *testing.B) {
	tab := echoTable(b)
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := tab.Get(context.Background(), []byte("hash-key"), []byte("sort-key")); err != nil {
				b.Error(err)
			}
		}
	})
}

func pipeline[T any](b *testing.B, depth int, call func() *client.Deferred[T]) {
	ring := make([]*client.Deferred[T], depth)
	for i := range b.N {
		if d := ring[i%depth]; d != nil {
			if _, err := d.Wait(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		ring[i%depth] = call()
	}
	for _, d := range ring {
		if d != nil {
			_, _ = d.Wait(context.Background())
		}
	}
}

// A page of a scan that reuses memory costs the same whatever it holds.
func TestScanAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	resp := &rrdb.ScanResponse{}
	for i := range 1000 {
		k := key.Append(nil, []byte("hash"), fmt.Appendf(nil, "%04d", i))
		resp.Kvs = append(resp.Kvs, &rrdb.KeyValue{Key: base.BlobOf(k), Value: base.BlobOf(make([]byte, 100))})
	}
	r, err := wire.ParseReply(frame.AppendReply(nil, &frame.Header{}, "ERR_OK", resp))
	require.NoError(t, err)
	s := (*client.Table)(nil).Scan([]byte("hash"), client.Range{}, client.ScanOptions{Reuse: true})
	perPage := testing.AllocsPerRun(100, func() {
		n, err := s.DecodeForTest(r.Body)
		if n != 1000 || err != nil {
			panic(fmt.Sprint(n, " rows, ", err))
		}
	})
	require.LessOrEqual(t, perPage, 2.0)
}
