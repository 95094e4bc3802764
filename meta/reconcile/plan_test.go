package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// fakeView answers from fixed tables.
type fakeView struct {
	dead  map[int64]bool
	known map[int64]uint64
	up    map[int32]track.View // by partition
}

func (v *fakeView) Alive(id int64) bool                                { return !v.dead[id] }
func (v *fakeView) KnownVersion(id int64) uint64                       { return v.known[id] }
func (v *fakeView) Partition(_ *catalog.Table, index int32) track.View { return v.up[index] }

func (v *fakeView) Draining(int64) bool       { return false }
func (v *fakeView) Disk(int64) arion.DiskStat { return arion.DiskStat{} }

func led(term int64) track.View {
	return track.View{Term: term, Leader: catalog.Replica{ID: 1, NodeID: 1}, LeaderUp: true}
}

func state(t *testing.T, commands ...catalog.Command) *catalog.State {
	t.Helper()
	s := catalog.New()
	for i := int64(1); i <= 3; i++ {
		commands = append([]catalog.Command{&catalog.RegisterNode{Node: catalog.Node{ID: i, Boot: 1, RPCAddress: string(rune('a' + i))}}}, commands...)
	}
	commands = append([]catalog.Command{&catalog.NameCluster{Name: "c"}}, commands...)
	for i, c := range commands {
		var r catalog.Result
		s, r = s.Apply(uint64(i+1), c)
		require.Equal(t, code.OK, r.Code, r.Hint)
	}
	return s
}

func create() catalog.Command {
	return &catalog.CreateTable{Name: "t", PartitionCount: 2, ReplicaCount: 1, NowUnixSec: 1, Placement: [][]int64{{1}, {2}}}
}

func input(age time.Duration) Input {
	return Input{NowUnixSec: 100, Cluster: "c", Confirm: true,
		Young: true, Age: func(int32) time.Duration { return age }, Served: func(int32) time.Duration { return age }}
}

func TestPlan(t *testing.T) {
	ready, drop := &catalog.TableReady{TableID: 1}, &catalog.DropTable{Name: "t", NowUnixSec: 10, ReserveSec: 50}
	for _, c := range []struct {
		name  string
		state *catalog.State
		view  fakeView
		age   time.Duration
		want  []catalog.Command
	}{
		{"nothing to do", state(t), fakeView{}, 0, nil},
		{"creation waits for all partitions", state(t, create()), fakeView{up: map[int32]track.View{0: led(0)}}, 0, nil},
		{"creation is done", state(t, create()), fakeView{up: map[int32]track.View{0: led(0), 1: led(0)}}, 0, []catalog.Command{ready}},
		{"creation is given up", state(t, create()), fakeView{}, 2 * time.Minute, []catalog.Command{&catalog.AbandonTable{TableID: 1}}},
		{"a late success is a success", state(t, create()), fakeView{up: map[int32]track.View{0: led(0), 1: led(0)}}, 2 * time.Minute, []catalog.Command{ready}},
		{"a recall is never given up", state(t, create(), ready, drop, &catalog.RecallTable{TableID: 1, NowUnixSec: 20}), fakeView{}, 2 * time.Minute, nil},
		{"an expired table is purged", state(t, create(), ready, drop), fakeView{}, 0, []catalog.Command{&catalog.PurgeTables{NowUnixSec: 100}}},
		{"new terms are recorded", state(t, create(), ready), fakeView{up: map[int32]track.View{0: led(4), 1: led(0)}}, 0,
			[]catalog.Command{&catalog.ConfirmLeaders{Events: []catalog.LeaderEvent{{TableID: 1, Term: 4, ReplicaID: 1}}}}},
		{"known terms are not", state(t, create(), ready, &catalog.ConfirmLeaders{Events: []catalog.LeaderEvent{{TableID: 1, Term: 4, ReplicaID: 1}}}),
			fakeView{up: map[int32]track.View{0: led(4)}}, 0, nil},
	} {
		require.Equal(t, c.want, Make(c.state, &c.view, input(c.age)).Commands, c.name)
	}
	require.Equal(t, []catalog.Command{&catalog.NameCluster{Name: "c"}}, Make(catalog.New(), &fakeView{}, input(0)).Commands)
}

// TestSettle: leaders of a new table are asked to go where they are wanted, but nobody waits for ever.
func TestSettle(t *testing.T) {
	s := state(t, &catalog.CreateTable{Name: "t", PartitionCount: 2, ReplicaCount: 2, NowUnixSec: 1, Placement: [][]int64{{1, 2}, {2, 1}}})
	first, second := catalog.Replica{ID: 1, NodeID: 1, Voting: true}, catalog.Replica{ID: 2, NodeID: 2, Voting: true}
	v := &fakeView{up: map[int32]track.View{
		0: {Leader: second, LeaderUp: true, Followers: []catalog.Replica{first}},
		1: {Leader: catalog.Replica{ID: 1, NodeID: 2, Voting: true}, LeaderUp: true},
	}}
	p := Make(s, v, input(0))
	require.Empty(t, p.Commands)
	require.Equal(t, []Move{{TableID: 1, Partition: 0, From: s.Node(2), To: first}}, p.Moves)
	p = Make(s, v, input(2*time.Second))
	require.Equal(t, []catalog.Command{&catalog.TableReady{TableID: 1}}, p.Commands)
	require.Empty(t, p.Moves)
}

func TestPoke(t *testing.T) {
	s := state(t, create())
	v := &fakeView{dead: map[int64]bool{3: true}, known: map[int64]uint64{1: s.Version, 2: s.Version - 1}}
	p := Make(s, v, input(0))
	require.Len(t, p.Poke, 1)
	require.Equal(t, int64(2), p.Poke[0].ID)
}

func TestDesired(t *testing.T) {
	s := state(t, create(), &catalog.AddReplica{TableID: 1, Partition: 1, NodeID: 1, Why: catalog.ForRepair})
	tables, replicas, nodes := Desired(s, 1)
	require.Len(t, tables, 1)
	require.Len(t, nodes, 3)
	require.Len(t, replicas, 2)
	require.False(t, replicas[0].Join)
	require.True(t, replicas[1].Join, "a replica outside the bootstrap membership joins")
	require.Equal(t, int64(2), replicas[1].ReplicaID)
	tables, replicas, _ = Desired(s, 3)
	require.Empty(t, tables)
	require.Empty(t, replicas)
}
