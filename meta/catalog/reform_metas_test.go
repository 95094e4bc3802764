package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/code"
)

// TestReformMetas: a new group begins with the whole catalog, above every index that the old one may have got to, and
// only a new group does.
func TestReformMetas(t *testing.T) {
	old := New()
	index := uint64(0)
	apply := func(s *State, c Command) (*State, Result) {
		index++
		c, err := Decode(Encode(c)) // as through the log
		require.NoError(t, err)
		return s.Apply(index, c)
	}
	for _, c := range []Command{
		&RegisterNode{Node{ID: 7, Boot: 1, RPCAddress: "n:1"}},
		&CreateTable{Name: "t", PartitionCount: 1, ReplicaCount: 1, Placement: [][]int64{{7}}},
		&RecordMeta{ReplicaID: 1, NodeID: 11, Address: "a:1"},
		&RecordMeta{ReplicaID: 2, NodeID: 12, Address: "b:1"},
	} {
		var r Result
		old, r = apply(old, c)
		require.Equal(t, code.OK, r.Code, r.Hint)
	}
	good := ReformMetas{Catalog: string(old.Snapshot()), ReplicaID: 3, NodeID: 12, Address: "b:1"}
	for name, change := range map[string]func(*ReformMetas){
		"damaged": func(c *ReformMetas) { c.Catalog = c.Catalog[1:] }, "old place": func(c *ReformMetas) { c.ReplicaID = 2 },
		"no node": func(c *ReformMetas) { c.NodeID = 0 }, "no address": func(c *ReformMetas) { c.Address = "" },
	} {
		bad := good
		change(&bad)
		_, r := New().Apply(1, &bad)
		require.Equal(t, code.InvalidParameters, r.Code, name)
	}
	_, r := apply(old, &good)
	require.Equal(t, code.InvalidState, r.Code)

	index = 0
	s, r := apply(New(), &good)
	require.Equal(t, code.OK, r.Code, r.Hint)
	require.Equal(t, old.Index+reformGap+1, s.Index)
	require.Equal(t, s.Index, s.Version)
	require.NotNil(t, s.TableNamed("t"))
	require.Equal(t, map[uint64]Meta{3: {NodeID: 12, Address: "b:1"}}, s.LiveMetas())
	require.Equal(t, MetaRemoved, s.Meta(1).State)
	restored, err := Restore(s.Snapshot())
	require.NoError(t, err)
	next, _ := apply(restored, &SetLevel{LevelLively})
	require.Equal(t, s.Index+1, next.Index, "the base outlives a snapshot")
}
