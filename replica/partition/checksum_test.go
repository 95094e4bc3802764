package partition

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/record"
)

func checksums(t *testing.T, c *cluster) []Checksum {
	var sums []Checksum
	for _, n := range c.nodes {
		s, err := n.partition(0).Checksum(context.Background())
		require.NoError(t, err)
		sums = append(sums, s)
	}
	return sums
}

// Replicas at the same index agree, and one that differs by a bit does not.
func TestChecksumsAgree(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.openAll(0)
	for i := range 50 {
		c.put(0, fmt.Sprintf("k%d", i), "v")
	}
	var sums []Checksum
	eventually(t, "equal index everywhere", func() bool {
		sums = checksums(t, c)
		return sums[0].AppliedIndex == sums[1].AppliedIndex && sums[1].AppliedIndex == sums[2].AppliedIndex
	})
	require.Equal(t, sums[0], sums[1])
	require.Equal(t, sums[1], sums[2])
	require.EqualValues(t, 50, sums[0].Records)
	require.Positive(t, sums[0].ClockMS)

	h, err := c.nodes[0].partition(0).Acquire()
	require.NoError(t, err)
	defer h.Release()
	name := key.Append(nil, []byte("k7"), nil)
	stored, found, err := h.Get(name, nil)
	require.NoError(t, err)
	require.True(t, found)
	stored[len(stored)-1] ^= 1
	var b engine.Batch
	b.Put(name, stored)
	require.NoError(t, h.Apply(&b))
	damaged := checksums(t, c)
	require.NotEqual(t, damaged[0].Sum, damaged[1].Sum)
	require.Equal(t, damaged[1], damaged[2])
}

// A replica that has purged what expired agrees with one that has not.
func TestChecksumIgnoresExpired(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 3)
	c.openAll(0)
	c.put(0, "stays", "v")
	_, leader := c.leader(0)
	past := record.SecondsAt(uint64(time.Now().UnixMilli())) - 10
	_, err := do(leader, command.Put, frame.AppendMessage(nil, &rrdb.UpdateRequest{
		Key:   &base.Blob{Data: key.Append(nil, []byte("gone"), nil)},
		Value: &base.Blob{Data: []byte("v")}, ExpireTsSeconds: int32(past),
	}))
	require.NoError(t, err)
	require.NoError(t, leader.Compact(context.Background(), engine.CompactOptions{}))
	var sums []Checksum
	eventually(t, "equal index everywhere", func() bool {
		sums = checksums(t, c)
		return sums[0].AppliedIndex == sums[1].AppliedIndex && sums[1].AppliedIndex == sums[2].AppliedIndex
	})
	require.Equal(t, sums[0], sums[1])
	require.Equal(t, sums[1], sums[2])
	require.EqualValues(t, 1, sums[0].Records)
}
