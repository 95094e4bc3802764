package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// splitting is a table of two partitions with three replicas each, told to split, and then what the test adds.
func splitting(t *testing.T, more ...catalog.Command) *catalog.State {
	t.Helper()
	return state(t, append([]catalog.Command{
		&catalog.CreateTable{Name: "t", PartitionCount: 2, ReplicaCount: 3, NowUnixSec: 1, Placement: [][]int64{{1, 2, 3}, {2, 3, 1}}},
		&catalog.TableReady{TableID: 1}, &catalog.StartSplit{Name: "t", NewCount: 4},
	}, more...)...)
}

// standing is a partition whose replicas are as given; the first leads.
func standing(s *catalog.State, index int32, replicas ...track.Replica) track.View {
	v := track.View{Term: 3, LeaderUp: true}
	for i, r := range s.Table(1).Partitions[index].Replicas {
		one := track.Replica{Replica: r, Heard: true, NodeUp: true, State: arion.ReplicaState_SERVING}
		if i < len(replicas) {
			one.Follows, one.HashCount, one.SplitAttempt, one.BaseReady = replicas[i].Follows, replicas[i].HashCount, replicas[i].SplitAttempt, replicas[i].BaseReady
		}
		v.Replicas = append(v.Replicas, one)
	}
	if len(v.Replicas) > 0 {
		v.Leader = v.Replicas[0].Replica
	}
	return v
}

func planSplit(s *catalog.State, v View, waited time.Duration) []catalog.Command {
	var p Plan
	p.split(s, v, Input{Waited: func(int32, int32, splitStage) time.Duration { return waited }})
	return p.Commands
}

func TestSplitPlan(t *testing.T) {
	well, away := track.Replica{Follows: true}, track.Replica{}
	cut := func(count, attempt int32, base bool) track.Replica {
		return track.Replica{Follows: true, HashCount: count, SplitAttempt: attempt, BaseReady: base}
	}
	done, bare, behind := cut(4, 1, true), cut(4, 1, false), cut(0, 0, false)
	cutZero := &catalog.CutPartition{TableID: 1}
	spawn := func(replicas ...int64) catalog.Command {
		return &catalog.SpawnChild{TableID: 1, Attempt: 1, Replicas: replicas}
	}
	long := time.Hour
	for _, c := range []struct {
		name     string
		state    *catalog.State
		replicas []track.Replica // of partition 0
		waited   time.Duration
		want     []catalog.Command
	}{
		{"a whole parent is cut", splitting(t), []track.Replica{well, well, well}, 0, []catalog.Command{cutZero}},
		{"one that is not waits", splitting(t), []track.Replica{well, well, away}, 0, nil},
		{"but not for ever", splitting(t), []track.Replica{well, well, away}, long, []catalog.Command{cutZero}},
		{"without a majority it does", splitting(t), []track.Replica{well, away, away}, long, nil},
		{"a paused one is left alone", splitting(t, &catalog.ControlSplit{Name: "t", Op: catalog.PauseSplit, Parent: -1}, &catalog.SettleSplit{TableID: 1}),
			[]track.Replica{well, well, well}, long, nil},
		{"pausing ends", splitting(t, &catalog.ControlSplit{Name: "t", Op: catalog.PauseSplit, Parent: -1}), nil, 0, []catalog.Command{&catalog.SettleSplit{TableID: 1}}},
		{"cancelling ends", splitting(t, &catalog.ControlSplit{Name: "t", Op: catalog.CancelSplit, OldCount: 2}), nil, 0, []catalog.Command{&catalog.SettleSplit{TableID: 1}}},
		{"all bases", splitting(t, cutZero), []track.Replica{done, done, done}, 0, []catalog.Command{spawn(1, 2, 3)}},
		{"the leader has not applied it", splitting(t, cutZero), []track.Replica{behind, done, done}, long, nil},
		{"the last base is waited for", splitting(t, cutZero), []track.Replica{done, done, behind}, 0, nil},
		{"but not for long", splitting(t, cutZero), []track.Replica{done, done, behind}, baseWait, []catalog.Command{spawn(1, 2)}},
		{"the leader needs no base", splitting(t, cutZero), []track.Replica{bare, done, done}, baseWait, []catalog.Command{spawn(2, 3)}},
		{"too few bases", splitting(t, cutZero), []track.Replica{done, bare, bare}, baseWait, nil},
		{"are made again", splitting(t, cutZero), []track.Replica{done, bare, bare}, retryWait, []catalog.Command{&catalog.RetryCut{TableID: 1, Attempt: 1}}},
		{"an earlier attempt does not count", splitting(t, cutZero, &catalog.RetryCut{TableID: 1, Attempt: 1}), []track.Replica{done, done, done}, long, nil},
		{"the child has no leader", splitting(t, cutZero, spawn(1, 2, 3)), []track.Replica{done, done, done}, long, nil},
	} {
		v := &fakeView{up: map[int32]track.View{0: standing(c.state, 0, c.replicas...), 1: {}}}
		require.Equal(t, c.want, planSplit(c.state, v, c.waited), c.name)
	}

	s := splitting(t, cutZero, spawn(1, 2, 3))
	v := &fakeView{up: map[int32]track.View{0: standing(s, 0, done, done, done), 2: standing(s, 2)}}
	require.Equal(t, []catalog.Command{&catalog.ChildReady{TableID: 1}}, planSplit(s, v, 0))
}

// TestSplitLimit: of many parents some at a time.
func TestSplitLimit(t *testing.T) {
	placement := make([][]int64, 16)
	for i := range placement {
		placement[i] = []int64{1, 2, 3}
	}
	s := state(t, &catalog.CreateTable{Name: "t", PartitionCount: 16, ReplicaCount: 3, NowUnixSec: 1, Placement: placement},
		&catalog.TableReady{TableID: 1}, &catalog.StartSplit{Name: "t", NewCount: 32}, &catalog.CutPartition{TableID: 1, Partition: 7})
	v := &fakeView{up: map[int32]track.View{}}
	for i := range int32(16) {
		v.up[i] = standing(s, i, track.Replica{Follows: true}, track.Replica{Follows: true}, track.Replica{Follows: true})
	}
	require.Len(t, planSplit(s, v, 0), maxCuts-1)
	var p Plan
	p.split(s, v, Input{Young: true})
	require.Empty(t, p.Commands, "a young leader decides nothing")
}

// TestSplitAssignments: what nodes are told at each stage.
func TestSplitAssignments(t *testing.T) {
	of := func(s *catalog.State, node int64, index int32) *arion.ReplicaAssignment {
		_, all, _ := Desired(s, node)
		for _, a := range all {
			if a.PartitionIndex == index {
				return a
			}
		}
		return nil
	}
	s := splitting(t)
	a := of(s, 1, 0)
	require.Zero(t, a.SplitCount)
	require.EqualValues(t, 2, a.PurgeCount)
	require.Nil(t, a.Base)
	require.Nil(t, of(s, 1, 2), "nobody has the child yet")

	s = splitting(t, &catalog.CutPartition{TableID: 1}, &catalog.RetryCut{TableID: 1, Attempt: 1})
	a = of(s, 1, 0)
	require.EqualValues(t, []int32{4, 2, 2}, []int32{a.SplitCount, a.SplitAttempt, a.PurgeCount}, "the other half is nowhere else")
	require.Zero(t, of(s, 1, 1).SplitCount)

	commands := []catalog.Command{&catalog.CutPartition{TableID: 1}, &catalog.SpawnChild{TableID: 1, Attempt: 1, Replicas: []int64{1, 2}}}
	s = splitting(t, commands...)
	require.EqualValues(t, 2, of(s, 1, 0).PurgeCount, "nor before the child has a leader")
	child := of(s, 2, 2)
	require.Equal(t, &arion.SplitBase{Count: 4, Attempt: 1, ParentReplicaID: 2}, child.Base)
	require.False(t, child.Join)
	require.Zero(t, child.SplitCount)
	require.EqualValues(t, 4, child.PurgeCount)

	s = splitting(t, append(commands, &catalog.ChildReady{TableID: 1})...)
	a = of(s, 1, 0)
	require.EqualValues(t, []int32{4, 1, 4}, []int32{a.SplitCount, a.SplitAttempt, a.PurgeCount})

	s, _ = s.Apply(s.Index+1, &catalog.AddReplica{TableID: 1, Partition: 2, NodeID: 3})
	a = of(s, 3, 2)
	require.True(t, a.Join)
	require.NotNil(t, a.Base, "a replica that joins must know that the log is not all")
}
