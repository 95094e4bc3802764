// Package meta is the role that knows the cluster: it wires identity, raft, gossip, the catalog's group, the reconciler and
// the rpc server together.
package meta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/internal/gossip"
	"github.com/arionkv/arion/internal/identity"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/raft"
	"github.com/arionkv/arion/internal/remotecmd"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/internal/version"
	metaraft "github.com/arionkv/arion/meta/raft"
	"github.com/arionkv/arion/meta/reconcile"
	"github.com/arionkv/arion/meta/service"
	"github.com/arionkv/arion/meta/track"
)

// leaveTimeout bounds the good-bye to the gossip cluster.
const leaveTimeout = 500 * time.Millisecond

// Deps are what a server gets from its process.
type Deps struct {
	Log      *logrus.Entry
	Registry *prometheus.Registry // may be nil
	// Fault interferes with outgoing raft messages, in tests only.
	Fault raft.Fault
}

// registerer is the registry as an interface, nil when there is none: a nil pointer in an interface is not nil.
func (d Deps) registerer() prometheus.Registerer {
	if d.Registry == nil {
		return nil
	}
	return d.Registry
}

func (d Deps) gatherer() prometheus.Gatherer {
	if d.Registry == nil {
		return nil
	}
	return d.Registry
}

// Server is a running meta server.
type Server struct {
	cfg      *config.Config
	log      *logrus.Entry
	self     *arion.NodeEndpoint
	listener net.Listener
	tracker  *track.Tracker
	raft     *raft.Host
	group    *metaraft.Group
	// replicaID is this server's in the group.
	replicaID uint64
	gossip    *gossip.Gossip
	pool      *rpc.Pool
	service   *service.Service
	rpc       *rpc.Server
	served    chan error

	stopLoop context.CancelFunc
	loop     sync.WaitGroup
	closing  sync.Once
	closeErr error
}

// Open starts a meta server and returns once it listens. It need not have found the others by then; Ready tells.
func Open(ctx context.Context, cfg *config.Config, deps Deps) (_ *Server, err error) {
	s := &Server{cfg: cfg, log: deps.Log.WithField("component", "meta"), served: make(chan error, 1)}
	defer func() {
		if err != nil {
			_ = s.Close(context.Background())
		}
	}()
	if !slices.Contains(cfg.Meta.Servers, cfg.RPCAddress()) {
		return nil, fmt.Errorf("meta.servers %v does not contain this server, %s", cfg.Meta.Servers, cfg.RPCAddress())
	}
	// The port first: it is what two servers started by mistake collide on, and nothing on disk has been touched yet.
	if s.listener, err = net.Listen("tcp", cfg.RPC.Listen); err != nil {
		return nil, fmt.Errorf("rpc port: %w", err)
	}
	id, err := identity.Open(cfg.Node.Dir, identity.RoleMeta, cfg.Node.Cluster)
	if err != nil {
		return nil, err
	}
	s.self = endpointOf(cfg, id)
	s.tracker = track.New(cfg.Meta.SuspectAfter, time.Now)
	p, err := s.openGroup(ctx, deps)
	if err != nil {
		return nil, err
	}
	if err := s.openGossip(deps); err != nil {
		return nil, err
	}
	s.pool = rpc.NewPool(rpc.PoolOptions{Log: deps.Log.WithField("component", "pool"), Registerer: deps.registerer()})
	s.startLoop(deps)
	s.serve(deps)
	s.log.WithFields(logrus.Fields{"rpc": s.self.RPCAddress, "node_id": id.NodeID.String(), "replica": p.ReplicaID, "joined": p.Joined}).
		Info("meta server started")
	return s, nil
}

// configured are the raft addresses of the metas in the settings. Where the group is formed the place in this list is the
// replica id, so it must be the same on all of them; later it only says where to look.
func (s *Server) configured() (map[uint64]string, error) {
	members := map[uint64]string{}
	for i, addr := range s.cfg.Meta.Servers {
		raftAddr, err := raftAddressOf(addr)
		if err != nil {
			return nil, err
		}
		members[uint64(i)+1] = raftAddr
	}
	return members, nil
}

func endpointOf(cfg *config.Config, id identity.Identity) *arion.NodeEndpoint {
	return &arion.NodeEndpoint{
		NodeID: int64(id.NodeID), Role: arion.NodeRole_META, Boot: id.Boot,
		RPCAddress: cfg.RPCAddress(), RaftAddress: cfg.RaftAddress(), GossipAddress: cfg.GossipAddress(),
		Version: version.Release, Zone: cfg.Node.Zone,
	}
}

func (s *Server) openGroup(ctx context.Context, deps Deps) (p place, err error) {
	members, err := s.configured()
	if err != nil {
		return p, err
	}
	dir, err := RaftDir(s.cfg.Node.Dir)
	if err != nil {
		return p, err
	}
	if s.raft, err = openRaft(s.cfg, deps, dir); err != nil {
		return p, err
	}
	if p, err = s.findPlace(ctx); err != nil {
		return p, err
	}
	s.replicaID = p.ReplicaID
	s.group, err = metaraft.Open(metaraft.Options{Host: s.raft, ReplicaID: p.ReplicaID, Members: members, Join: p.Joined})
	if err != nil || p.Started {
		return p, err
	}
	p.Started = true
	return p, p.write(s.cfg.Node.Dir)
}

// openRaft opens a raft directory of this meta server.
func openRaft(cfg *config.Config, deps Deps, dir string) (*raft.Host, error) {
	address, err := raftAddressOf(cfg.RPCAddress())
	if err != nil {
		return nil, err
	}
	return raft.Open(raft.Options{
		Dir: dir, Cluster: cfg.Node.Cluster,
		Address: address, Listen: cfg.RaftListen(), // by address: a meta server is named by configuration
		Tick: cfg.Raft.Tick, ElectionTicks: cfg.Raft.ElectionTicks, HeartbeatTicks: cfg.Raft.HeartbeatTicks,
		LogShards: cfg.Raft.LogShards, MaxInMemLogBytes: uint64(cfg.Raft.MaxInMemLog),
		Log: deps.Log.WithField("component", "raft"), Registerer: deps.registerer(), Fault: deps.Fault,
	})
}

func (s *Server) openGossip(deps Deps) error {
	key, err := s.cfg.Gossip.KeyBytes()
	if err != nil {
		return err
	}
	seeds, err := s.cfg.GossipSeeds()
	if err != nil {
		return err
	}
	s.gossip, err = gossip.Open(gossip.Options{
		Endpoint: s.self, BindAddr: s.cfg.GossipListen(), AdvertiseAddr: s.cfg.GossipAddress(),
		Seeds: seeds, Cluster: s.cfg.Node.Cluster, Key: key,
		Log: deps.Log.WithField("component", "gossip"), Registerer: deps.registerer(),
		OnMember: s.heardMember,
		OnReport: func(node int64, reports []*arion.ReplicaReport, _ bool) { s.tracker.Heard(node, reports) },
	})
	return err
}

func (s *Server) heardMember(m gossip.Member) {
	if m.Endpoint.Role == arion.NodeRole_REPLICA {
		s.tracker.Member(m.Endpoint.NodeID, m.Endpoint.Boot, m.Alive)
	}
}

func (s *Server) startLoop(deps Deps) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopLoop = cancel
	loop := reconcile.New(reconcile.Options{
		Group: s.group, Tracker: s.tracker, Caller: s.pool, Cluster: s.cfg.Node.Cluster, Metas: s.metasHeard,
		Knobs: reconcile.DefaultKnobs(s.cfg.Meta.ReplaceAfter),
		Log:   deps.Log.WithField("component", "reconcile"), Now: time.Now,
	})
	s.loop.Go(func() { loop.Run(ctx) })
	s.loop.Go(func() { s.council(ctx) })
}

func (s *Server) serve(deps Deps) {
	s.service = service.New(service.Options{
		Group: s.group, Tracker: s.tracker, Caller: s.pool, Address: s.metaAddress, Self: s.self,
		Reserve: s.cfg.Meta.DropReserve, Commands: s.commands(), Knobs: reconcile.DefaultKnobs(s.cfg.Meta.ReplaceAfter), Log: deps.Log.WithField("component", "service"),
	})
	if deps.Registry != nil {
		deps.Registry.MustRegister(s.service.Collector())
	}
	mux := rpc.NewMux()
	s.service.Register(mux)
	s.rpc = rpc.NewServer(rpc.Options{
		Mux: mux, HTTP: s.http(deps),
		Log: deps.Log.WithField("component", "rpc"), Registerer: deps.registerer(),
		ThftHostPorts: s.cfg.RPC.ThftHostPorts, MaxConns: s.cfg.RPC.MaxConns,
		MaxInFlightPerConn: s.cfg.RPC.MaxInFlight, MaxInFlightBytes: int64(s.cfg.RPC.MaxInFlightBytes),
	})
	go func() { s.served <- s.rpc.Serve(s.listener) }()
}

func (s *Server) http(deps Deps) http.Handler {
	h := obs.NewHTTP(obs.HTTPOptions{
		Registry: deps.gatherer(), Ready: s.Ready, Version: version.Release, GitCommit: version.Commit(),
	})
	s.service.RegisterHTTP(h)
	return h
}

// commands are the remote commands that need no more than the configuration; the service adds its own.
func (s *Server) commands() *remotecmd.Registry {
	r := remotecmd.New()
	r.Add(remotecmd.Command{Name: "server-info", Help: "version, commit and start time", Run: func([]string) (string, error) {
		return version.Info("meta"), nil
	}})
	r.Add(remotecmd.Command{Name: "config-dump", Help: "the settings in force", Run: func([]string) (string, error) {
		text, err := json.MarshalIndent(s.cfg.Effective(), "", "  ")
		return string(text), err
	}})
	return r
}

// Addr is the address that clients are told to dial.
func (s *Server) Addr() string { return s.cfg.RPCAddress() }

// Ready is nil once a leader of the metas is known, this one or another: requests can be answered then.
func (s *Server) Ready() error {
	if s.group.Removed() {
		return errors.New("this meta server was taken out of the group: stop it")
	}
	if id, _ := s.group.Leader(); id == 0 {
		return errors.New("no meta server leads")
	}
	return nil
}

// Leading reports whether this server leads the metas, as far as it knows.
func (s *Server) Leading() bool { return s.group.IsLeader() }

// AliveNodes counts the replica servers that this server holds alive. Only the leader's count means anything.
func (s *Server) AliveNodes() int {
	n := 0
	for _, node := range s.group.State().Nodes() {
		if s.tracker.Alive(node.ID) {
			n++
		}
	}
	return n
}

// Close stops the server. Idempotent, bounded by ctx and the limits of the parts. The order:
//
//  1. leadership goes to another meta server, so that the cluster need not wait for an election
//  2. no new connections or requests; what waits for a table is answered "stopping", the rest is finished
//  3. the reconciler
//  4. gossip says good-bye
//  5. the group, raft, connections to others
func (s *Server) Close(ctx context.Context) error {
	s.closing.Do(func() { s.closeErr = s.close(ctx) })
	return s.closeErr
}

func (s *Server) close(ctx context.Context) error {
	var errs []error
	if s.group != nil {
		s.group.Resign(ctx, s.successor())
	}
	if s.service != nil {
		s.service.Close()
	}
	if s.rpc != nil {
		errs = append(errs, s.rpc.Close(ctx), <-s.served)
	} else if s.listener != nil {
		errs = append(errs, s.listener.Close())
	}
	if s.stopLoop != nil {
		s.stopLoop()
		s.loop.Wait()
	}
	if s.gossip != nil {
		errs = append(errs, s.gossip.Leave(leaveTimeout), s.gossip.Close())
	}
	if s.group != nil {
		errs = append(errs, s.group.Close())
	}
	if s.raft != nil {
		errs = append(errs, s.raft.Close())
	}
	if s.pool != nil {
		s.pool.Close()
	}
	return errors.Join(errs...)
}
