package reconcile

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

const (
	// maxCuts parents split at a time, in all tables: each is without half of its hashes for an election, and opens engines
	// on all of its nodes.
	maxCuts = 4
	// wholeWait is how long a parent waits for its missing replicas before it splits without them. Their part of the child
	// is then copied to them.
	wholeWait = 30 * time.Second
	// baseWait is the same for bases, once the leader has applied the split: followers are some milliseconds behind, and
	// the child's hashes are refused meanwhile.
	baseWait = 1500 * time.Millisecond
	// retryWait is how long too few bases are waited for before they are made again.
	retryWait = 10 * time.Second
)

// splitStage is what a parent waits for.
type splitStage struct {
	state   catalog.SplitState
	attempt int32
	applied bool // by the leader
}

type stageID struct {
	partitionID
	splitStage
}

// waited is how long this leader has seen a parent at a stage. The first question begins it.
func (l *Loop) waited(table, parent int32, stage splitStage, now time.Time) time.Duration {
	id := stageID{partitionID{table, parent}, stage}
	since, seen := l.stages[id]
	if !seen {
		l.stages[id], since = now, now
	}
	return now.Sub(since)
}

// forgetStages drops what is over.
func (l *Loop) forgetStages(s *catalog.State) {
	for id := range l.stages {
		if t := s.Table(id.table); t == nil || !t.Splitting() || id.index >= t.SplitFrom || t.Partitions[id.index].Split != id.state {
			delete(l.stages, id)
		}
	}
}

func (l *Loop) tellSplit(c catalog.Command) {
	at := func(table, parent int32) *logrus.Entry {
		return l.o.Log.WithFields(logrus.Fields{"table": table, "partition": parent})
	}
	switch c := c.(type) {
	case *catalog.CutPartition:
		at(c.TableID, c.Partition).Info("partition is to split")
	case *catalog.RetryCut:
		at(c.TableID, c.Partition).WithField("attempt", c.Attempt).Warn("too few replicas could keep the data of a split, they try again")
	case *catalog.SpawnChild:
		at(c.TableID, c.Partition).WithField("replicas", len(c.Replicas)).Info("partition has split, its child begins")
	case *catalog.ChildReady:
		at(c.TableID, c.Partition).Info("child of a split serves")
	}
}

// split drives every parent of every split to its next step, from what the catalog and the reports say now.
func (p *Plan) split(s *catalog.State, v View, in Input) {
	cuts := 0
	for _, t := range s.Tables() {
		cuts += cutting(t)
	}
	mayCut := s.Settings.Level > catalog.LevelFreezed && !in.Young
	for _, t := range s.Tables() {
		if !t.Splitting() || t.Status != catalog.StatusAvailable {
			continue
		}
		p.settleSplit(t)
		for i := range t.SplitFrom {
			switch t.Partitions[i].Split {
			case catalog.SplitCut:
				p.goOnSplitting(t, i, v, in)
			case catalog.SplitWaiting:
				if mayCut && cuts < maxCuts && cuttable(t, i, v, in) {
					p.command(&catalog.CutPartition{TableID: t.ID, Partition: i})
					cuts++
				}
			}
		}
	}
}

func cutting(t *catalog.Table) int {
	n := 0
	for i := range t.SplitFrom {
		if t.Partitions[i].Split == catalog.SplitCut {
			n++
		}
	}
	return n
}

func (p *Plan) settleSplit(t *catalog.Table) {
	for i := range t.SplitFrom {
		if st := t.Partitions[i].Split; st == catalog.SplitPausing || st == catalog.SplitCanceling {
			p.command(&catalog.SettleSplit{TableID: t.ID})
			return
		}
	}
}

// cuttable: the parent has a leader and all of its replicas, or a majority and has waited.
func cuttable(t *catalog.Table, index int32, v View, in Input) bool {
	w := v.Partition(t, index)
	if !w.LeaderUp || t.Partitions[index].Changing() {
		return false
	}
	follow := 0
	for _, r := range w.Replicas {
		if r.Follows {
			follow++
		}
	}
	waited := in.Waited(t.ID, index, splitStage{state: catalog.SplitWaiting}) >= wholeWait
	return follow == len(w.Replicas) && follow >= int(t.ReplicaCount) || waited && 2*follow > len(w.Replicas)
}

// goOnSplitting takes a parent that is cut further: to a child, and to one that serves.
func (p *Plan) goOnSplitting(t *catalog.Table, index int32, v View, in Input) {
	parent := &t.Partitions[index]
	if child := index + t.SplitFrom; len(t.Partitions[child].Initial) > 0 {
		if v.Partition(t, child).LeaderUp {
			p.command(&catalog.ChildReady{TableID: t.ID, Partition: index})
		}
		return
	}
	w := v.Partition(t, index)
	if !leaderHasSplit(t, parent, w) {
		return // ordered with the assignments
	}
	voters, bases := 0, []int64(nil)
	for _, r := range w.Replicas {
		if !r.Settled() {
			continue
		}
		voters++
		if hasBase(t, parent, r) {
			bases = append(bases, r.ID)
		}
	}
	waited := in.Waited(t.ID, index, splitStage{catalog.SplitCut, parent.Attempt, true})
	switch enough := 2*len(bases) > voters; {
	case len(bases) == voters, enough && waited >= baseWait:
		p.command(&catalog.SpawnChild{TableID: t.ID, Partition: index, Attempt: parent.Attempt, Replicas: bases})
	case !enough && waited >= retryWait:
		p.command(&catalog.RetryCut{TableID: t.ID, Partition: index, Attempt: parent.Attempt})
	}
}

// leaderHasSplit: the leader itself has applied the split entry. Before, its lease would let it read what the child may
// already have changed.
func leaderHasSplit(t *catalog.Table, parent *catalog.Partition, w track.View) bool {
	for _, r := range w.Replicas {
		if r.ID == w.Leader.ID {
			return w.LeaderUp && hasSplit(t, parent, r)
		}
	}
	return false
}

func hasSplit(t *catalog.Table, parent *catalog.Partition, r track.Replica) bool {
	return r.HashCount == t.PartitionCount && r.SplitAttempt == parent.Attempt
}

func hasBase(t *catalog.Table, parent *catalog.Partition, r track.Replica) bool {
	return hasSplit(t, parent, r) && r.BaseReady && r.NodeUp && r.State == arion.ReplicaState_SERVING
}

// held: the membership of a parent stays as it is from the cut until its child serves, since its directories hold what the
// child begins with.
func (q *partitionView) held() bool { return q.p.Split == catalog.SplitCut }

// orderSplit adds to an assignment what a node has to know about splits of the partition.
func orderSplit(a *arion.ReplicaAssignment, t *catalog.Table, nodeID int64) {
	p := &t.Partitions[a.PartitionIndex]
	owned, safe := t.PartitionCount, t.PartitionCount
	if p.Split != catalog.SplitNone {
		safe = t.SplitFrom // the other half is nowhere else yet
	}
	if p.Split != catalog.SplitNone && p.Split != catalog.SplitCut {
		owned = t.SplitFrom
	}
	a.PurgeCount = safe
	birth := t.BirthCount(a.PartitionIndex)
	if owned > max(t.InitPartitionCount, birth) {
		// Also when it is done: a group formed anew may have lost the entry.
		a.SplitCount, a.SplitAttempt = owned, max(p.Attempt, 1)
	}
	if birth > 0 {
		a.Base = &arion.SplitBase{Count: birth, Attempt: p.Base}
		if parent, ok := t.Partitions[a.PartitionIndex-birth/2].On(nodeID); ok {
			a.Base.ParentReplicaID = parent.ID
		}
	}
}

// SplitTrouble says what a parent that has not split yet waits for; "" if its turn just has not come.
func SplitTrouble(t *catalog.Table, index int32, v View) string {
	w := v.Partition(t, index)
	switch {
	case t.Partitions[index].Split == catalog.SplitPaused:
		return "paused"
	case !w.LeaderUp:
		return "it has no leader"
	case t.Partitions[index].Changing():
		return "its membership is changing"
	}
	for _, r := range w.Replicas {
		if !r.Follows {
			return "a replica is not at work"
		}
	}
	return ""
}
