package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInMemoryEntries(t *testing.T) {
	require.EqualValues(t, 512, stockEntries, "dragonboat no longer has this variable, or sets it otherwise")
	require.EqualValues(t, inMemEntries, entrySliceSize)
	require.EqualValues(t, inMemFree, minEntrySliceSize)
}
