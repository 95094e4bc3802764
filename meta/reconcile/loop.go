package reconcile

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

const (
	interval       = 500 * time.Millisecond // between rounds when nothing happens
	restInterval   = 20 * time.Millisecond  // between rounds when much happens: reports come in bursts
	confirmEvery   = 2 * time.Second        // leaders move in bursts too, and each command costs a log entry
	proposeTimeout = 5 * time.Second
	pokeTimeout    = 2 * time.Second
	pokeAgain      = 300 * time.Millisecond // a node that was called is given this long before the next call
	moveTimeout    = time.Second
	moveAgain      = 10 * time.Second // longer than a table settles: each leader is asked once
	shiftAgain     = 3 * time.Second  // a leader that is to go for good reasons
	changeTimeout  = 5 * time.Second  // of one change of a membership; it takes a round of raft and a disk write
	changeAgain    = 500 * time.Millisecond
	askTimeout     = 2 * time.Second
	askAgain       = 5 * time.Second
	deadFor        = 15 * time.Second // how long a confirmed death counts; it is confirmed anew meanwhile
	roundGoal      = 3 * time.Second  // a new replica that made up what it lacked in this time is close enough
)

// Group is the catalog's raft group as the loop needs it.
type Group interface {
	State() *catalog.State
	Changed() <-chan struct{} // closed at the next change of the state or of leadership
	IsLeader() bool
	Propose(ctx context.Context, c catalog.Command) (catalog.Result, error)
}

// Caller calls other servers.
type Caller interface {
	Call(ctx context.Context, addr, name string, arg, result frame.Message) error
}

// Options of New.
type Options struct {
	Group   Group
	Tracker *track.Tracker
	Caller  Caller
	Cluster string
	Metas   func() map[uint64]catalog.Meta // meta servers that are there now, by replica id
	Knobs   Knobs                          // where the catalog says nothing
	Log     *logrus.Entry
	Now     func() time.Time
}

// Loop acts on plans while this server leads.
type Loop struct {
	o         Options
	leading   bool
	creations map[int32]*creation
	stages    map[stageID]time.Time // since when parents are at a stage of their split
	confirmed time.Time
	pokes     *calls[int64]
	moves     *calls[partitionID]
	shifts    *calls[partitionID]
	changes   *calls[partitionID]
	asks      *calls[int64]

	mu    sync.Mutex
	dead  map[int64]time.Time // nodes that did not answer, and when
	goals map[replicaID]goal
	since map[replicaID]time.Time // replicas that do not open, as seen by this leader
}

type replicaID struct {
	partitionID
	replica int64
}

// goal is what a new replica has to reach: what the leader had applied when the round began.
type goal struct {
	applied int64
	since   time.Time
}

// creation is what this leader saw of a table in creation.
type creation struct {
	since  time.Time
	served time.Time // every partition has had a leader since; zero: not yet
}

type partitionID struct{ table, index int32 }

// New makes a loop; Run runs it.
func New(o Options) *Loop {
	return &Loop{
		o: o, creations: map[int32]*creation{}, stages: map[stageID]time.Time{}, pokes: newCalls[int64](pokeAgain), moves: newCalls[partitionID](moveAgain),
		shifts: newCalls[partitionID](shiftAgain), changes: newCalls[partitionID](changeAgain), asks: newCalls[int64](askAgain),
		dead: map[int64]time.Time{}, goals: map[replicaID]goal{}, since: map[replicaID]time.Time{},
	}
}

// Run works until ctx ends, then waits for the calls it made.
func (l *Loop) Run(ctx context.Context) {
	defer l.wait()
	for ctx.Err() == nil {
		state, tracker := l.o.Group.Changed(), l.o.Tracker.Changed()
		l.round(ctx)
		timer := time.NewTimer(interval)
		select {
		case <-ctx.Done():
		case <-state:
		case <-tracker:
		case <-timer.C:
		}
		timer.Stop()
		rest(ctx)
	}
}

func (l *Loop) wait() {
	l.pokes.wait()
	l.moves.wait()
	l.shifts.wait()
	l.changes.wait()
	l.asks.wait()
}

func rest(ctx context.Context) {
	timer := time.NewTimer(restInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (l *Loop) round(ctx context.Context) {
	if !l.o.Group.IsLeader() {
		l.leading = false
		return
	}
	if !l.leading {
		l.leading = true
		clear(l.creations)
		clear(l.stages)
		l.forget()
		l.o.Tracker.Lead()
	}
	now := l.o.Now()
	s := l.o.Group.State()
	l.remember(s, now)
	plan := Make(s, l.o.Tracker, Input{
		NowUnixSec: now.Unix(), Cluster: l.o.Cluster, Confirm: now.Sub(l.confirmed) >= confirmEvery, Metas: l.o.Metas(),
		Age:    func(id int32) time.Duration { return now.Sub(l.creations[id].since) },
		Served: func(id int32) time.Duration { return now.Sub(l.creations[id].served) },
		Young:  l.o.Tracker.Young(), Knobs: l.o.Knobs.With(s), Dead: l.confirmedDead(now),
		CaughtUp: func(q *partitionView, r track.Replica) bool { return l.caughtUp(q, r, now) },
		Broken:   l.brokenSince(now.Add(-l.o.Knobs.With(s).RepairDelay)),
		Resting:  l.shifts.idle,
		Waited:   func(table, parent int32, stage splitStage) time.Duration { return l.waited(table, parent, stage, now) },
	})
	l.forgetStages(s)
	l.act(ctx, plan, s, now)
}

func (l *Loop) act(ctx context.Context, plan Plan, s *catalog.State, now time.Time) {
	for _, c := range plan.Commands {
		l.propose(ctx, c, now)
	}
	for _, n := range plan.Poke {
		l.poke(ctx, n, s.Version, now)
	}
	for _, m := range plan.Moves {
		l.move(ctx, m, now)
	}
	for _, c := range plan.Changes {
		l.change(ctx, c, now)
	}
	for _, n := range plan.Ask {
		l.ask(ctx, n, now)
	}
}

// remember dates the tables in creation by this leader's own clock: another leader's may differ, and a creation must not
// be given up because clocks disagree.
func (l *Loop) remember(s *catalog.State, now time.Time) {
	for _, t := range s.Tables() {
		if t.Status != catalog.StatusCreating {
			continue
		}
		c := l.creations[t.ID]
		if c == nil {
			c = &creation{since: now}
			l.creations[t.ID] = c
		}
		if c.served.IsZero() && Serving(t, l.o.Tracker) {
			c.served = now
		}
	}
	for id := range l.creations {
		if t := s.Table(id); t == nil || t.Status != catalog.StatusCreating {
			delete(l.creations, id)
		}
	}
}

func (l *Loop) propose(ctx context.Context, c catalog.Command, now time.Time) {
	if _, ok := c.(*catalog.ConfirmLeaders); ok {
		l.confirmed = now
	}
	ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	r, err := l.o.Group.Propose(ctx, c)
	switch {
	case err != nil:
		l.o.Log.WithError(err).Debug("catalog command not committed, will be planned again")
	case r.Code != code.OK:
		l.o.Log.WithFields(logrus.Fields{"code": r.Code.String(), "hint": r.Hint}).Debug("catalog command refused")
	default:
		l.tell(c)
	}
}

// tell logs what an operator wants to find later.
func (l *Loop) tell(c catalog.Command) {
	switch c := c.(type) {
	case *catalog.TableReady:
		l.o.Log.WithField("table", c.TableID).Info("table is available")
	case *catalog.AbandonTable:
		l.o.Log.WithField("table", c.TableID).Warn("table could not be created in time and was taken away")
	case *catalog.PurgeTables:
		l.o.Log.Info("dropped tables purged")
	case *catalog.AddReplica:
		l.o.Log.WithFields(logrus.Fields{"table": c.TableID, "partition": c.Partition, "to": nodeText(c.NodeID), "replaces": c.Replaces, "why": c.Why.String()}).
			Info("replica is being added")
	case *catalog.PromoteReplica:
		l.o.Log.WithFields(logrus.Fields{"table": c.TableID, "partition": c.Partition, "replica": c.ReplicaID}).Info("new replica votes")
	case *catalog.RemoveReplica:
		l.o.Log.WithFields(logrus.Fields{"table": c.TableID, "partition": c.Partition, "replica": c.ReplicaID}).Info("replica removed")
	case *catalog.NoteAway:
		l.tellAway(c)
	case *catalog.CutPartition, *catalog.RetryCut, *catalog.SpawnChild, *catalog.ChildReady:
		l.tellSplit(c)
	}
}

// poke asks a node to sync now. It may fail: the node syncs by itself every second.
func (l *Loop) poke(ctx context.Context, n *catalog.Node, version uint64, now time.Time) {
	l.pokes.start(ctx, n.ID, now, func(ctx context.Context) {
		l.call(ctx, n, "RPC_ARION_POKE", pokeTimeout, &arion.PokeRequest{Version: int64(version)}, arion.NewPokeResponse())
	})
}

// move asks for a transfer of leadership. It may fail: the leader then stays where it is.
func (l *Loop) move(ctx context.Context, m Move, now time.Time) {
	calls := l.moves
	if m.Soon {
		calls = l.shifts
	}
	calls.start(ctx, partitionID{m.TableID, m.Partition}, now, func(ctx context.Context) {
		l.call(ctx, m.From, "RPC_ARION_CHANGE_MEMBER", moveTimeout, &arion.ChangeMemberRequest{
			TableID: m.TableID, PartitionIndex: m.Partition, Op: arion.MemberOp_TRANSFER_LEADER,
			ReplicaID: m.To.ID, NodeID: m.To.NodeID,
		}, arion.NewChangeMemberResponse())
	})
}

func (l *Loop) call(ctx context.Context, n *catalog.Node, name string, timeout time.Duration, arg, result frame.Message) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := l.o.Caller.Call(ctx, n.RPCAddress, name, arg, result); err != nil && !errors.Is(err, context.Canceled) {
		l.o.Log.WithError(err).WithFields(logrus.Fields{"node": n.RPCAddress, "rpc": name}).Debug("call failed, the next round plans again")
	}
}
