package track

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/meta/catalog"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time       { return c.at }
func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }
func newTracker() (*Tracker, *clock) {
	c := &clock{time.Unix(1000, 0)}
	return New(4*time.Second, c.now), c
}
func (t *Tracker) sync(node, boot int64) { t.Synced(request(node, boot)) }

func request(node, boot int64, reports ...*arion.ReplicaReport) *arion.SyncRequest {
	return &arion.SyncRequest{Node: &arion.NodeEndpoint{NodeID: node, Boot: boot}, Replicas: reports}
}

func report(replica, term, leader int64) *arion.ReplicaReport {
	return &arion.ReplicaReport{TableID: 1, ReplicaID: replica, Term: term, LeaderReplicaID: leader, State: arion.ReplicaState_SERVING}
}

// table has one partition with replica i on node 10+i.
func table() *catalog.Table {
	p := catalog.Partition{}
	for i := int64(1); i <= 3; i++ {
		p.Replicas = append(p.Replicas, catalog.Replica{ID: i, NodeID: 10 + i, Voting: true})
	}
	return &catalog.Table{ID: 1, PartitionCount: 1, Partitions: []catalog.Partition{p}}
}

func TestLiveness(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(*Tracker, *clock)
		want bool
	}{
		{"never heard of", func(*Tracker, *clock) {}, false},
		{"synced just now", func(tr *Tracker, _ *clock) { tr.sync(1, 1) }, true},
		{"silent, no gossip", func(tr *Tracker, c *clock) { tr.sync(1, 1); c.pass(5 * time.Second) }, false},
		{"silent for a while, gossip vouches", func(tr *Tracker, c *clock) { tr.sync(1, 1); tr.Member(1, 1, true); c.pass(5 * time.Second) }, true},
		{"silent for long, gossip vouches", func(tr *Tracker, c *clock) { tr.sync(1, 1); tr.Member(1, 1, true); c.pass(25 * time.Second) }, false},
		{"gossip says dead, synced just now", func(tr *Tracker, _ *clock) { tr.sync(1, 1); tr.Member(1, 1, false) }, true},
		{"gossip says dead and it is silent", func(tr *Tracker, c *clock) { tr.sync(1, 1); tr.Member(1, 1, false); c.pass(2 * time.Second) }, false},
		{"the death of an earlier life", func(tr *Tracker, c *clock) {
			tr.sync(1, 2)
			tr.Member(1, 2, true)
			tr.Member(1, 1, false)
			c.pass(5 * time.Second)
		}, true},
		{"dead, then back under the next boot", func(tr *Tracker, _ *clock) { tr.Member(1, 1, false); tr.sync(1, 2) }, true},
		{"a new leader gives time", func(tr *Tracker, c *clock) { tr.sync(1, 1); c.pass(time.Minute); tr.Lead() }, true},
		{"but not for ever", func(tr *Tracker, c *clock) { tr.sync(1, 1); c.pass(time.Minute); tr.Lead(); c.pass(5 * time.Second) }, false},
		{"and not to the dead", func(tr *Tracker, c *clock) {
			tr.sync(1, 1)
			tr.Member(1, 1, false)
			c.pass(time.Minute)
			tr.Lead()
		}, false},
	} {
		tr, clk := newTracker()
		c.run(tr, clk)
		require.Equal(t, c.want, tr.Alive(1), c.name)
	}
}

func TestNewestTermWins(t *testing.T) {
	tr, clk := newTracker()
	tab := table()
	v := tr.Partition(tab, 0)
	require.Zero(t, v.Leader.ID)
	require.Zero(t, v.Term)

	tr.Synced(request(11, 1, report(1, 3, 1)))
	tr.Synced(request(12, 1, report(2, 2, 3)))
	v = tr.Partition(tab, 0)
	require.Equal(t, int64(1), v.Leader.ID)
	require.Equal(t, int64(3), v.Term)
	require.True(t, v.LeaderUp)
	require.Len(t, v.Followers, 1)

	clk.pass(time.Minute) // everybody falls silent: the claim stands, its holder does not count as up
	v = tr.Partition(tab, 0)
	require.Equal(t, int64(1), v.Leader.ID)
	require.False(t, v.LeaderUp)
	require.Empty(t, v.Followers)

	tr.Synced(request(12, 1, report(2, 4, 3))) // a follower names the new leader before that one reports
	v = tr.Partition(tab, 0)
	require.Equal(t, int64(3), v.Leader.ID)
	require.False(t, v.LeaderUp)
	tr.Synced(request(13, 1, report(3, 4, 3)))
	require.True(t, tr.Partition(tab, 0).LeaderUp)

	tr.Synced(request(12, 1, report(2, 5, 0))) // an election runs: the last known leader stays in the routes
	require.Equal(t, int64(3), tr.Partition(tab, 0).Leader.ID)
}

func TestOnlyHoldersCount(t *testing.T) {
	tr, _ := newTracker()
	tr.Synced(request(99, 1, report(1, 9, 1)))  // replica 1 lives on node 11
	tr.Synced(request(12, 1, report(2, 9, 42))) // 42 is no member
	require.Zero(t, tr.Partition(table(), 0).Leader.ID)
}

func TestGossipNeverLowers(t *testing.T) {
	tr, _ := newTracker()
	tr.Synced(request(11, 1, report(1, 5, 1)))
	tr.Heard(11, []*arion.ReplicaReport{report(1, 4, 2)})
	require.Equal(t, int64(5), tr.Partition(table(), 0).Term)
	tr.Heard(11, nil)
	require.Equal(t, int64(1), tr.Partition(table(), 0).Leader.ID)
	tr.Heard(11, []*arion.ReplicaReport{report(1, 6, 2)})
	require.Equal(t, int64(2), tr.Partition(table(), 0).Leader.ID)
	tr.Synced(request(11, 2)) // the next life holds nothing
	require.Nil(t, tr.Report(11, 1, 0, 1))
}

func TestConfirmedTermIsAFloor(t *testing.T) {
	tr, _ := newTracker()
	tab := table()
	tab.Partitions[0].Term, tab.Partitions[0].Leader = 8, 2
	tr.Synced(request(11, 1, report(1, 5, 1)))
	v := tr.Partition(tab, 0)
	require.Equal(t, int64(8), v.Term)
	require.Equal(t, int64(2), v.Leader.ID)
}
