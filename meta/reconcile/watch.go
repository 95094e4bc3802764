package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// What one leader of the metas notes between rounds. Losing it with the leadership costs time, never correctness: deaths are
// confirmed again, copies are measured again.

func (l *Loop) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.dead)
	clear(l.goals)
	clear(l.since)
}

func nodeText(id int64) string { return fmt.Sprintf("%016x", id) }

func (l *Loop) tellAway(c *catalog.NoteAway) {
	log := l.o.Log.WithField("node", nodeText(c.NodeID))
	if n := l.o.Group.State().Node(c.NodeID); n != nil {
		log = log.WithField("address", n.RPCAddress)
	}
	if c.UnixSec == 0 {
		log.Info("replica server is back")
		return
	}
	log.Warn("replica server is silent; its replicas are rebuilt elsewhere if it stays away")
}

// change carries out one step of a membership change, and records it when it is done and there is something to record.
func (l *Loop) change(ctx context.Context, c Change, now time.Time) {
	l.changes.start(ctx, partitionID{c.TableID, c.Partition}, now, func(ctx context.Context) {
		answer := arion.NewChangeMemberResponse()
		l.call(ctx, c.On, "RPC_ARION_CHANGE_MEMBER", changeTimeout, &arion.ChangeMemberRequest{
			TableID: c.TableID, PartitionIndex: c.Partition, Op: c.Op,
			ReplicaID: c.Replica.ID, NodeID: c.Replica.NodeID, ConfigIndex: c.ConfigIndex,
		}, answer)
		log := l.o.Log.WithFields(logrus.Fields{"table": c.TableID, "partition": c.Partition, "operation": c.Op.String(), "replica": c.Replica.ID})
		switch {
		case answer.Err == nil: // no answer: it may have happened, the next reports tell
		case answer.Err.Code() != code.OK:
			log.WithFields(logrus.Fields{"code": answer.Err.Code().String(), "hint": answer.Hint}).Debug("membership change refused, the next round plans again")
		case c.Done != nil:
			l.propose(ctx, c.Done, now)
		}
	})
}

// ask finds out whether a silent node is dead. Only one that does not answer under its own id is.
func (l *Loop) ask(ctx context.Context, n *catalog.Node, now time.Time) {
	l.asks.start(ctx, n.ID, now, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		r := arion.NewStatusResponse()
		err := l.o.Caller.Call(ctx, n.RPCAddress, "RPC_ARION_STATUS", arion.NewStatusRequest(), r)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err == nil && r.Node != nil && r.Node.NodeID == n.ID {
			delete(l.dead, n.ID)
			l.o.Log.WithField("address", n.RPCAddress).Warn("replica server answers but does not report to the metas: nothing is rebuilt")
			return
		}
		if ctx.Err() == nil || err != nil {
			l.dead[n.ID] = l.o.Now()
		}
	})
}

// confirmedDead are the nodes whose death was confirmed a moment ago.
func (l *Loop) confirmedDead(now time.Time) map[int64]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[int64]bool{}
	for id, at := range l.dead {
		if now.Sub(at) > deadFor || l.o.Tracker.Alive(id) {
			delete(l.dead, id)
			continue
		}
		out[id] = true
	}
	return out
}

// caughtUp judges a new replica in rounds: it has to reach what the leader had at the start of the round, and is close
// enough once a round was short. That ends under any load that the replica can follow at all.
func (l *Loop) caughtUp(q *partitionView, r track.Replica, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := replicaID{partitionID{q.table.ID, q.index}, r.ID}
	leader := q.View.LeaderApplied()
	if r.Applied >= leader {
		delete(l.goals, key)
		return true
	}
	g, begun := l.goals[key]
	if begun && r.Applied >= g.applied && now.Sub(g.since) <= roundGoal {
		delete(l.goals, key)
		return true
	}
	if !begun || r.Applied >= g.applied {
		l.goals[key] = goal{leader, now}
	}
	return false
}

// brokenSince returns the judgement whether a replica has failed since before a moment. Asking starts the watch.
func (l *Loop) brokenSince(moment time.Time) func(table, index int32, replica int64) bool {
	seen := map[replicaID]time.Time{}
	old := l.since
	l.since = seen
	return func(table, index int32, replica int64) bool {
		key := replicaID{partitionID{table, index}, replica}
		at, known := old[key]
		if !known {
			at = l.o.Now()
		}
		seen[key] = at
		return at.Before(moment)
	}
}
