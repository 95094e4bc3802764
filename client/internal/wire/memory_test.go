package wire

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsUsedAgain(t *testing.T) {
	require.Eventually(t, func() bool { // the pool drops some under the race detector, and at a collection
		b := TakeMemory(100 << 10)
		require.Len(t, b, 100<<10)
		GiveMemory(b)
		again := TakeMemory(60 << 10)
		require.Len(t, again, 60<<10)
		return &again[0] == &b[0]
	}, time.Minute, time.Microsecond)
	GiveMemory(make([]byte, 100<<10))
	require.Less(t, cap(TakeMemory(49<<10)), 100<<10, "more than twice as much as asked for")
	GiveMemory(make([]byte, maxIdleMemory+1))
	require.Equal(t, maxIdleMemory, cap(TakeMemory(maxIdleMemory)))
	GiveMemory(nil)
}
