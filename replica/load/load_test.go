package load

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRates(t *testing.T) {
	var l Load
	start := time.Unix(1000, 0)
	require.Zero(t, l.Rates(start))
	for i := range 60 {
		l.Tick(start.Add(time.Duration(i) * time.Second))
		for range 20 {
			l.Count(Get, 100)
		}
		l.Count(Put, 7)
	}
	r := l.Rates(start.Add(60 * time.Second))
	require.InDelta(t, 20, r.Requests[Get], 1)
	require.InDelta(t, 2000, r.Bytes[Get], 100)
	require.InDelta(t, 20, r.Reads(), 1)
	require.InDelta(t, 1, r.Writes(), 0.1)
	require.EqualValues(t, 1200, l.Totals().Requests[Get])
	require.LessOrEqual(t, len(l.samples), 12)
	r = l.Rates(start.Add(200 * time.Second))
	require.Less(t, r.Reads(), 2.0, "no ticks any more, still no lie")
}

func TestManyTicks(t *testing.T) {
	var l Load
	start := time.Unix(1000, 0)
	for i := range 100000 {
		l.Tick(start.Add(time.Duration(i) * time.Millisecond))
	}
	require.LessOrEqual(t, len(l.samples), int(Window/minTick)+2)
}

func TestNames(t *testing.T) {
	for o := range Ops {
		require.NotEmpty(t, o.String())
	}
	require.False(t, Scan.Write())
	require.True(t, Put.Write())
	require.True(t, CheckAndMutate.Write())
}
