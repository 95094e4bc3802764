package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRowsSayWhetherAPromiseIsKept(t *testing.T) {
	x := cell{1, "get", 32, 10_000, 2}
	for name, tc := range map[string]struct {
		run  pegasusRun
		want string
	}{
		"kept":    {pegasusRun{30_000, 1.9}, "| 1 | 32 | get | 10.0k/s, p99 2 ms | 30.0k/s, p99 1.9 ms | ×3.00 | yes | yes |"},
		"slower":  {pegasusRun{29_000, 1.9}, "| 1 | 32 | get | 10.0k/s, p99 2 ms | 29.0k/s, p99 1.9 ms | ×2.90 | yes | no |"},
		"p99":     {pegasusRun{50_000, 2.1}, "| 1 | 32 | get | 10.0k/s, p99 2 ms | 50.0k/s, p99 2.1 ms | ×5.00 | no | no |"},
		"no p99s": {pegasusRun{50_000, 2.1}, "| 1 | 32 | get | 10.0k/s | 50.0k/s, p99 2.1 ms | ×5.00 | – | yes |"},
	} {
		x := x
		if name == "no p99s" {
			x.p99 = 0
		}
		require.Equal(t, tc.want, x.row(tc.run), name)
	}
	require.Equal(t, 2.0, medianRun([]pegasusRun{{3, 0}, {1, 0}, {2, 0}}).perSecond)
}

// Every combination of the table is there, once.
func TestPegasusCells(t *testing.T) {
	seen := map[[3]any]bool{}
	for _, x := range pegasusCells {
		seen[[3]any{x.servers, x.work, x.inFlight}] = true
	}
	require.Len(t, seen, 2*2*4)
	require.Len(t, pegasusCells, 2*2*4)
}
