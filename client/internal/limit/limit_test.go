package limit

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBounds(t *testing.T) {
	l := New(2, 100)
	require.True(t, l.TryAcquire(60))
	require.False(t, l.TryAcquire(60), "too many bytes")
	require.True(t, l.TryAcquire(40))
	require.False(t, l.TryAcquire(0), "too many calls")
	l.Force(1000)
	l.Release(1000)
	l.Release(60)
	l.Release(40)
	require.True(t, l.TryAcquire(1000), "alone, anything fits")
	l.Release(1000)
	calls, bytes := l.InFlight()
	require.Zero(t, calls)
	require.Zero(t, bytes)
}

func TestWaitersInOrder(t *testing.T) {
	l := New(1, 100)
	require.True(t, l.TryAcquire(1))
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if l.Acquire(context.Background(), 1) != nil {
				t.Error("refused")
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			l.Release(1)
		}()
		require.Eventually(t, func() bool { return l.waiting.Load() == int64(i+1) }, time.Minute, time.Millisecond)
	}
	require.False(t, l.TryAcquire(1), "nobody jumps the queue")
	l.Release(1)
	wg.Wait()
	require.Equal(t, []int{0, 1, 2, 3, 4}, order)
}

func TestGivingUp(t *testing.T) {
	l := New(1, 100)
	require.True(t, l.TryAcquire(1))
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.Acquire(ctx, 1), context.DeadlineExceeded)
	l.Release(1)
	require.True(t, l.TryAcquire(1))
}

func TestNobodyIsForgotten(t *testing.T) {
	l := New(4, 1000)
	var wg sync.WaitGroup
	for range 32 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 500 {
				ctx, cancel := context.WithCancel(context.Background())
				if rand.N(4) == 0 {
					ctx, cancel = context.WithTimeout(ctx, rand.N(50*time.Microsecond))
				}
				n := rand.Int64N(600)
				if l.Acquire(ctx, n) == nil {
					l.Release(n)
				}
				cancel()
			}
		}()
	}
	wg.Wait()
	calls, bytes := l.InFlight()
	require.Zero(t, calls)
	require.Zero(t, bytes)
	require.Zero(t, l.waiting.Load())
}
