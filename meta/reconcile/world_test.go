package reconcile

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// world is a cluster in thought: a catalog, raft groups that obey raft's rules about memberships, nodes that open what the
// catalog gives them. It answers a planner as the tracker would, and carries out what is planned, or loses it.
type world struct {
	t      *testing.T
	r      *rand.Rand
	s      *catalog.State
	nodes  map[int64]*worldNode
	groups map[partitionID]*group
	now    int64
	young  bool
}

type worldNode struct {
	alive bool
	lost  map[string]bool // replicas whose disk was wiped, by table.partition.id
}

// group is a raft group.
type group struct {
	members []*arion.ReplicaMember
	index   int64 // of the membership
	term    int64
	leader  int64
	barred  map[int64]bool // ids that were removed
}

func newWorld(t *testing.T, seed int64, nodes int, zones ...string) *world {
	w := &world{t: t, r: rand.New(rand.NewSource(seed)), s: catalog.New(), nodes: map[int64]*worldNode{}, groups: map[partitionID]*group{}, now: 1000}
	for i := range nodes {
		w.join(int64(i)+1, zones...)
	}
	w.apply(&catalog.NameCluster{Name: "c"})
	return w
}

func (w *world) join(id int64, zones ...string) {
	n := catalog.Node{ID: id, Boot: 1, RPCAddress: fmt.Sprintf("node%d", id)}
	if len(zones) > 0 {
		n.Zone = zones[int(id)%len(zones)]
	}
	w.apply(&catalog.RegisterNode{Node: n})
	w.nodes[id] = &worldNode{alive: true, lost: map[string]bool{}}
}

func (w *world) apply(c catalog.Command) catalog.Result {
	var r catalog.Result
	w.s, r = w.s.Apply(w.s.Index+1, c)
	return r
}

func (w *world) must(c catalog.Command) {
	w.t.Helper()
	require.Equal(w.t, code.OK, w.apply(c).Code)
}

// create makes a table and its groups.
func (w *world) create(name string, placement [][]int64) int32 {
	r := w.apply(&catalog.CreateTable{Name: name, PartitionCount: int32(len(placement)), ReplicaCount: int32(len(placement[0])), NowUnixSec: 1, Placement: placement})
	require.Equal(w.t, code.OK, r.Code, r.Hint)
	w.must(&catalog.TableReady{TableID: r.TableID})
	for i, p := range w.s.Table(r.TableID).Partitions {
		w.groups[partitionID{r.TableID, int32(i)}] = &group{members: members(p.Initial), index: 1, term: 1, leader: 1, barred: map[int64]bool{}}
	}
	return r.TableID
}

func (w *world) works(id partitionID, m *arion.ReplicaMember) bool {
	n := w.nodes[m.NodeID]
	p := w.s.Partition(id.table, id.index)
	_, assigned := p.Find(m.ReplicaID)
	return n != nil && n.alive && !n.lost[fmt.Sprint(id.table, id.index, m.ReplicaID)] && assigned
}

// quorum reports whether the group can commit.
func (w *world) quorum(id partitionID, g *group) bool {
	voters, working := 0, 0
	for _, m := range g.members {
		if m.Voting {
			voters++
			if w.works(id, m) {
				working++
			}
		}
	}
	return 2*working > voters
}

func (g *group) find(replica int64) *arion.ReplicaMember {
	at := slices.IndexFunc(g.members, func(m *arion.ReplicaMember) bool { return m.ReplicaID == replica })
	if at < 0 {
		return nil
	}
	return g.members[at]
}

// elect gives groups with a quorum a leader.
func (w *world) elect() {
	for id, g := range w.groups {
		if m := g.find(g.leader); m != nil && m.Voting && w.works(id, m) && w.quorum(id, g) {
			continue
		}
		g.leader = 0
		for _, m := range g.members {
			if m.Voting && w.works(id, m) && w.quorum(id, g) {
				g.leader, g.term = m.ReplicaID, g.term+1
			}
		}
	}
}

// The View of the planner.

func (w *world) Alive(id int64) bool       { return w.nodes[id] != nil && w.nodes[id].alive }
func (w *world) KnownVersion(int64) uint64 { return w.s.Version }
func (w *world) Draining(int64) bool       { return false }
func (w *world) Disk(int64) arion.DiskStat { return arion.DiskStat{} }

func (w *world) Partition(t *catalog.Table, index int32) track.View {
	id, p := partitionID{t.ID, index}, &t.Partitions[index]
	g := w.groups[id]
	v := track.View{Term: g.term, Members: g.members, ConfigIndex: g.index}
	v.Leader, _ = p.Find(g.leader)
	v.LeaderUp = v.Leader.ID != 0
	for _, r := range p.Replicas {
		one := track.Replica{Replica: r, Heard: w.Alive(r.NodeID), NodeUp: w.Alive(r.NodeID), Applied: 10, State: arion.ReplicaState_SERVING}
		if one.NodeUp && w.nodes[r.NodeID].lost[fmt.Sprint(id.table, id.index, r.ID)] {
			one.State = arion.ReplicaState_LOST
		}
		one.Follows = one.NodeUp && one.State == arion.ReplicaState_SERVING && v.LeaderUp && g.find(r.ID) != nil
		v.Replicas = append(v.Replicas, one)
	}
	return v
}

// step carries out one round; what fraction of the plan gets lost is up to lossy.
func (w *world) step(lossy float64) Plan {
	w.elect()
	w.now += 2
	dead := map[int64]bool{}
	for _, n := range w.s.Nodes() {
		if !w.Alive(n.ID) && away(n, w.now) > 60 {
			dead[n.ID] = away(n, w.now).Seconds() > 60
		}
	}
	p := Make(w.s, w, Input{
		NowUnixSec: w.now, Cluster: "c", Young: w.young, Knobs: Knobs{RepairDelay: 60e9, CopiesPerNode: 2, Copies: 5, BalanceMoves: 2}, Dead: dead,
		CaughtUp: func(*partitionView, track.Replica) bool { return w.r.Intn(2) == 0 },
		Resting:  func() bool { return true },
	})
	for _, c := range p.Commands {
		if w.r.Float64() >= lossy {
			w.apply(c)
		}
	}
	for _, c := range p.Changes {
		if w.r.Float64() >= lossy {
			w.change(c, lossy)
		}
	}
	for _, m := range p.Moves {
		if w.r.Float64() >= lossy {
			w.transfer(m)
		}
	}
	w.check()
	return p
}

func (w *world) transfer(m Move) {
	id := partitionID{m.TableID, m.Partition}
	g := w.groups[id]
	if to := g.find(m.To.ID); to != nil && to.Voting && w.works(id, to) && w.quorum(id, g) && g.leader != 0 {
		g.leader, g.term = m.To.ID, g.term+1
	}
}

// change does what a leader and raft do with a request.
func (w *world) change(c Change, lossy float64) {
	id := partitionID{c.TableID, c.Partition}
	g := w.groups[id]
	leader := g.find(g.leader)
	if leader == nil || leader.NodeID != c.On.ID || !w.works(id, leader) || !w.quorum(id, g) {
		return
	}
	m := g.find(c.Replica.ID)
	done := c.Op == arion.MemberOp_ADD_NONVOTING && m != nil || c.Op == arion.MemberOp_PROMOTE && m != nil && m.Voting || c.Op == arion.MemberOp_REMOVE && m == nil
	if !done {
		if c.ConfigIndex != g.index {
			return
		}
		w.reconfigure(id, g, c, m)
	}
	if c.Done != nil && w.r.Float64() >= lossy { // the answer may get lost
		w.apply(c.Done)
	}
}

func (w *world) reconfigure(id partitionID, g *group, c Change, m *arion.ReplicaMember) {
	g.index++
	g.members = slices.Clone(g.members)
	switch c.Op {
	case arion.MemberOp_ADD_NONVOTING:
		require.False(w.t, g.barred[c.Replica.ID], "an id that was removed comes back")
		g.members = append(g.members, &arion.ReplicaMember{ReplicaID: c.Replica.ID, NodeID: c.Replica.NodeID})
	case arion.MemberOp_PROMOTE:
		g.members[slices.Index(g.members, m)] = &arion.ReplicaMember{ReplicaID: m.ReplicaID, NodeID: m.NodeID, Voting: true}
	case arion.MemberOp_REMOVE:
		require.NotEqual(w.t, g.leader, c.Replica.ID, "a leader is removed")
		g.barred[c.Replica.ID] = true
		g.members = slices.DeleteFunc(g.members, func(o *arion.ReplicaMember) bool { return o.ReplicaID == c.Replica.ID })
	}
	require.True(w.t, w.quorum(id, g), "a change took the quorum away: %v of %+v", c.Op, g.members)
}

// check holds what must be true at every moment.
func (w *world) check() {
	for _, t := range w.s.Tables() {
		for i := range t.Partitions {
			p, unsettled := &t.Partitions[i], 0
			g := w.groups[partitionID{t.ID, int32(i)}]
			for _, r := range p.Replicas {
				if !r.Settled() {
					unsettled++
				}
				if r.Voting && !r.Leaving {
					m := g.find(r.ID)
					require.True(w.t, m != nil && m.Voting, "the catalog believes in a vote that raft has not given")
				}
			}
			require.LessOrEqual(w.t, unsettled, 1)
		}
	}
}

// settle runs rounds until nothing is planned and nothing is wrong, and returns how many it took.
func (w *world) settle(limit int, lossy float64) int {
	w.t.Helper()
	for i := range limit {
		p := w.step(lossy)
		if len(p.Commands)+len(p.Changes)+len(p.Moves) == 0 && w.troubles() == "" {
			return i
		}
	}
	w.t.Fatalf("not settled after %d rounds: %s", limit, w.troubles())
	return 0
}

func (w *world) troubles() string {
	text := ""
	for _, t := range Troubles(w.s, w, Knobs{RepairDelay: 60e9}, w.now) {
		text += fmt.Sprintf("%d.%d %s\n", t.TableID, t.Partition, t.Text)
	}
	return text
}
