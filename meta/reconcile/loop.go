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
	Log     *logrus.Entry
	Now     func() time.Time
}

// Loop acts on plans while this server leads.
type Loop struct {
	o         Options
	leading   bool
	firstSeen map[int32]time.Time // tables in creation, since when this leader has seen them
	confirmed time.Time
	pokes     pokes
}

// New makes a loop; Run runs it.
func New(o Options) *Loop {
	return &Loop{o: o, firstSeen: map[int32]time.Time{}, pokes: pokes{last: map[int64]time.Time{}}}
}

// Run works until ctx ends, then waits for the calls it made.
func (l *Loop) Run(ctx context.Context) {
	defer l.pokes.wait()
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
		clear(l.firstSeen)
		l.o.Tracker.Lead()
	}
	now := l.o.Now()
	s := l.o.Group.State()
	l.remember(s, now)
	plan := Make(s, l.o.Tracker, Input{
		NowUnixSec: now.Unix(), Cluster: l.o.Cluster, Confirm: now.Sub(l.confirmed) >= confirmEvery,
		Age: func(id int32) time.Duration { return now.Sub(l.firstSeen[id]) },
	})
	for _, c := range plan.Commands {
		l.propose(ctx, c, now)
	}
	for _, n := range plan.Poke {
		l.poke(ctx, n, s.Version, now)
	}
}

// remember dates the tables in creation by this leader's own clock: another leader's may differ, and a creation must not
// be given up because clocks disagree.
func (l *Loop) remember(s *catalog.State, now time.Time) {
	for _, t := range s.Tables() {
		creating := t.Status == catalog.StatusCreating
		if _, known := l.firstSeen[t.ID]; creating && !known {
			l.firstSeen[t.ID] = now
		}
	}
	for id := range l.firstSeen {
		if t := s.Table(id); t == nil || t.Status != catalog.StatusCreating {
			delete(l.firstSeen, id)
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
	}
}

// pokes limits calls to one per node at a time.
type pokes struct {
	mu      sync.Mutex
	running map[int64]bool
	last    map[int64]time.Time
	done    sync.WaitGroup
}

func (p *pokes) begin(node int64, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		p.running = map[int64]bool{}
	}
	if p.running[node] || now.Sub(p.last[node]) < pokeAgain {
		return false
	}
	p.running[node], p.last[node] = true, now
	p.done.Add(1)
	return true
}

func (p *pokes) end(node int64) {
	p.mu.Lock()
	delete(p.running, node)
	p.mu.Unlock()
	p.done.Done()
}

func (p *pokes) wait() { p.done.Wait() }

// poke asks a node to sync now. It may fail: the node syncs by itself every second.
func (l *Loop) poke(ctx context.Context, n *catalog.Node, version uint64, now time.Time) {
	if !l.pokes.begin(n.ID, now) {
		return
	}
	go func() {
		defer l.pokes.end(n.ID)
		ctx, cancel := context.WithTimeout(ctx, pokeTimeout)
		defer cancel()
		err := l.o.Caller.Call(ctx, n.RPCAddress, "RPC_ARION_POKE", &arion.PokeRequest{Version: int64(version)}, arion.NewPokeResponse())
		if err != nil && !errors.Is(err, context.Canceled) {
			l.o.Log.WithError(err).WithField("node", n.RPCAddress).Debug("node not poked")
		}
	}()
}
