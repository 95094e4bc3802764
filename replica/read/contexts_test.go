package read

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeClock is moved by tests.
type fakeClock struct{ now time.Time }

func (c *fakeClock) Now() time.Time { return c.now }

func newTable(o ContextOptions) (*ContextTable, *fakeClock) {
	clock := &fakeClock{now: time.Unix(1000, 0)}
	o.Now = clock.Now
	return NewContextTable(o), clock
}

func named(name string) *scan { return &scan{in: interval{lower: []byte(name)}} }

func TestContextIsOneShot(t *testing.T) {
	table, _ := newTable(ContextOptions{})
	p := table.Partition()
	id := p.put(named("a"))
	s, ok := p.take(id)
	require.True(t, ok)
	require.Equal(t, "a", string(s.in.lower))
	_, ok = p.take(id)
	require.False(t, ok)
	require.Zero(t, table.Stats().Bytes)
}

func TestContextBelongsToItsPartition(t *testing.T) {
	table, _ := newTable(ContextOptions{})
	p, q := table.Partition(), table.Partition()
	id := p.put(named("a"))
	_, ok := q.take(id)
	require.False(t, ok)
	q.Clear()
	_, ok = p.take(id)
	require.True(t, ok, "another partition's attempt does not use up the id")
	id = p.put(named("b"))
	p.Clear()
	_, ok = p.take(id)
	require.False(t, ok)
	require.Zero(t, table.Stats().Open)
}

func TestContextIDs(t *testing.T) {
	table, _ := newTable(ContextOptions{PerPartition: 1 << 20, Total: 1 << 20})
	p := table.Partition()
	seen := map[int64]bool{}
	high := map[int64]bool{}
	for range 2000 {
		id := p.put(named("x"))
		require.Positive(t, id>>32, "neither 0 nor negative, and not a bare counter")
		require.False(t, seen[id])
		seen[id], high[id>>32] = true, true
	}
	require.Greater(t, len(high), 1900, "the upper half is random")
}

func TestContextLifeTime(t *testing.T) {
	table, clock := newTable(ContextOptions{TTL: time.Minute})
	p := table.Partition()
	old := p.put(named("old"))
	clock.now = clock.now.Add(30 * time.Second)
	young := p.put(named("young"))
	clock.now = clock.now.Add(30 * time.Second)
	_, ok := p.take(old)
	require.False(t, ok)
	require.Equal(t, 1, p.Len())
	require.EqualValues(t, 1, table.Stats().Expired)
	_, ok = p.take(young)
	require.True(t, ok)
}

func TestLongestIdleIsEvicted(t *testing.T) {
	table, _ := newTable(ContextOptions{PerPartition: 3, Total: 4})
	p, q := table.Partition(), table.Partition()
	a, b, c := p.put(named("a")), p.put(named("b")), p.put(named("c"))
	s, ok := p.take(a) // a goes on reading
	require.True(t, ok)
	a = p.put(s)

	p.put(named("d")) // the partition is full: b goes
	require.Equal(t, 3, p.Len())
	_, ok = p.take(b)
	require.False(t, ok)

	q.put(named("e"))
	q.put(named("f")) // the process is full: c goes, the longest idle of all
	_, ok = p.take(c)
	require.False(t, ok)
	_, ok = p.take(a)
	require.True(t, ok)
	require.EqualValues(t, 2, table.Stats().Evicted)
}

func TestContextMemoryIsBounded(t *testing.T) {
	table, _ := newTable(ContextOptions{Bytes: 100_000})
	p := table.Partition()
	for range 100 {
		p.put(&scan{sortKeys: filter{pattern: bytes.Repeat([]byte("x"), 10_000)}})
		require.LessOrEqual(t, table.Stats().Bytes, 100_000)
	}
	last := p.put(&scan{sortKeys: filter{pattern: bytes.Repeat([]byte("x"), 200_000)}})
	_, ok := p.take(last)
	require.True(t, ok, "the newest stays, even if it is larger than all may be")
}

func TestContextsConcurrently(t *testing.T) {
	table := NewContextTable(ContextOptions{PerPartition: 10, Total: 30})
	var wg sync.WaitGroup
	for i := range 4 {
		p := table.Partition()
		wg.Go(func() {
			for j := range 500 {
				want := fmt.Sprint(i, j)
				id := p.put(named(want))
				if s, ok := p.take(id); ok && string(s.in.lower) != want {
					t.Errorf("got %s for %s", s.in.lower, want)
				}
				p.put(named("left behind"))
			}
			p.Clear()
		})
	}
	wg.Wait()
	require.Zero(t, table.Stats().Open)
	require.Zero(t, table.Stats().Bytes)
}
