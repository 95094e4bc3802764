// Package service answers the RPCs and the /meta/ HTTP paths of a meta server.
//
// Any meta server answers any client. A follower forwards to the leader over the internal connection pool instead of
// sending the client there, because only some clients follow a referral (java and go for the routing query alone, python
// and node never), and because the leader's address may not be reachable for everybody who reaches this one. A forwarded
// request goes to a second name of the same RPC, which is never forwarded again: two servers that believe each other to
// be leader cannot play ball. Only when the leader is known and cannot be reached does the routing query fall back to
// ERR_FORWARD_TO_OTHERS with its address.
//
// Reads run behind a read barrier, so a deposed leader cannot answer from an old catalog. Failures are reported in the
// reply's err, never in the frame: some clients wait for ever on a frame error of a meta RPC.
//
// Files: call.go how one RPC runs; routes.go which RPCs there are; the others what they do.
package service

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/remotecmd"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/reconcile"
	"github.com/arionkv/arion/meta/track"
)

// Group is the catalog's raft group as the service needs it.
type Group interface {
	State() *catalog.State
	Changed() <-chan struct{}
	IsLeader() bool
	Leader() (replicaID, term uint64)
	Barrier(ctx context.Context) (*catalog.State, error)
	Propose(ctx context.Context, c catalog.Command) (catalog.Result, error)
	Members() []uint64 // replica ids in the metas' group, as far as this server has applied its log
}

// Caller calls other servers.
type Caller interface {
	Call(ctx context.Context, addr, name string, arg, result frame.Message) error
}

// Options of New. All are needed, but for Now.
type Options struct {
	Group    Group
	Tracker  *track.Tracker
	Caller   Caller
	Address  func(replicaID uint64) string // rpc address of a meta server, "" if unknown
	Self     *arion.NodeEndpoint
	Reserve  time.Duration // how long a dropped table stays recallable when the client names no time
	Commands *remotecmd.Registry
	Knobs    reconcile.Knobs // where the catalog says nothing
	Log      *logrus.Entry
	Now      func() time.Time
}

// maxRunning requests are worked on at a time; beyond, the answer is busy. Most wait for the network or for a table to come
// up, a goroutine each.
const maxRunning = 4096

// Service holds no state of its own but what is running.
type Service struct {
	o        Options
	log      *logrus.Entry
	resolver resolver
	throttle *obs.Throttle

	leaderCommands map[string]leaderCommand

	ctx     context.Context // of all requests; ends with Close
	cancel  context.CancelFunc
	running atomic.Int64
	mu      sync.Mutex // orders Add against Wait
	closed  bool
	done    sync.WaitGroup
}

// New makes a service; Register gives it its RPCs.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Service{o: o, log: o.Log, throttle: obs.NewThrottle(throttleInterval), leaderCommands: map[string]leaderCommand{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.addCommands()
	s.addOperations()
	return s
}

// throttleInterval spaces repeats of one warning.
const throttleInterval = 10 * time.Second

// Register enters all RPCs of the meta role.
func (s *Service) Register(mux *rpc.Mux) {
	s.registerTables(mux)
	s.registerCluster(mux)
	s.registerSplit(mux)
	s.registerAbsent(mux)
	s.registerInternal(mux)
}

// begin takes a place for a request, or says that there is none.
func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.running.Load() >= maxRunning {
		return false
	}
	s.running.Add(1)
	s.done.Add(1)
	return true
}

func (s *Service) end() {
	s.running.Add(-1)
	s.done.Done()
}

// Close fails what is running and waits for it.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.done.Wait()
}

// leaderAddress returns the rpc address of the leader, "" if none is known, and whether that is this server.
func (s *Service) leaderAddress() (addr string, self bool) {
	id, _ := s.o.Group.Leader()
	if id == 0 {
		return "", false
	}
	return s.o.Address(id), s.o.Group.IsLeader()
}
