package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStockSizes(t *testing.T) {
	require.EqualValues(t, [...]uint64{512, 96, 64 << 20, 64, 64 << 20, 16, 2048, 1024}, stock,
		"dragonboat no longer has one of these variables, or sets it otherwise")
	require.EqualValues(t, inMemEntries, entrySliceSize)
	require.EqualValues(t, inMemFree, minEntrySliceSize)
	require.EqualValues(t, applyBytes, maxEntriesToApplySize)
	require.EqualValues(t, applySteps, taskQueueBusyCap)
	require.EqualValues(t, sendBytes, maxEntrySize)
	require.EqualValues(t, proposalTables, pendingProposalShards)
	require.EqualValues(t, queueLength, incomingProposalsMaxLen)
	require.EqualValues(t, queueLength, receiveQueueLen)
}
