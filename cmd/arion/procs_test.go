package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProcsFollowLoad(t *testing.T) {
	p := procs{cores: 2, now: 2}
	require.Equal(t, 2, p.next(0.1))
	require.Equal(t, 4, p.next(0.3), "busy at once")
	for range idlePeriods - 1 {
		require.Equal(t, 4, p.next(0.1), "idle for a while only")
	}
	require.Equal(t, 4, p.next(0.22), "between the two nothing changes")
	for range idlePeriods - 1 {
		require.Equal(t, 4, p.next(0.1))
	}
	require.Equal(t, 2, p.next(0.1))
}
