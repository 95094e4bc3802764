// Package replica is the role that keeps records: it wires identity, raft,
// gossip, storage, the host of partitions and the rpc server together.
package replica

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/internal/gossip"
	"github.com/arionkv/arion/internal/identity"
	"github.com/arionkv/arion/internal/raft"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/internal/version"
	"github.com/arionkv/arion/replica/compact"
	"github.com/arionkv/arion/replica/console"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/host"
	"github.com/arionkv/arion/replica/read"
	"github.com/arionkv/arion/replica/service"
	"github.com/arionkv/arion/replica/sweep"
	"github.com/arionkv/arion/replica/throttle"
)

// Deps are what a server gets from its process.
type Deps struct {
	Log      *logrus.Entry
	Registry *prometheus.Registry
	Opener   engine.Opener
	// Fault interferes with outgoing raft messages, in tests only.
	Fault raft.Fault
}

// Server is a running replica server.
type Server struct {
	cfg      *config.Config
	log      *logrus.Entry
	listener net.Listener
	raft     *raft.Host
	gossip   *gossip.Gossip
	pool     *rpc.Pool
	host     *host.Host
	throttle *throttle.Keeper
	console  *console.Console
	service  *service.Service
	rpc      *rpc.Server
	served   chan error
}

// Open starts a replica server and returns once it listens. It need not have
// found a meta server by then; Ready tells.
func Open(_ context.Context, cfg *config.Config, deps Deps) (_ *Server, err error) {
	s := &Server{cfg: cfg, log: deps.Log.WithField("component", "replica"), served: make(chan error, 1)}
	defer func() {
		if err != nil {
			_ = s.Close(context.Background())
		}
	}()
	// The port first: it is what two servers started by mistake collide on, and
	// nothing on disk has been touched yet.
	if s.listener, err = net.Listen("tcp", cfg.RPC.Listen); err != nil {
		return nil, fmt.Errorf("rpc port: %w", err)
	}
	id, err := identity.Open(cfg.Node.Dir, identity.RoleReplica, cfg.Node.Cluster)
	if err != nil {
		return nil, err
	}
	endpoint := endpointOf(cfg, id)
	if err := s.openRaft(deps, id); err != nil {
		return nil, err
	}
	if err := s.openGossip(deps, endpoint); err != nil {
		return nil, err
	}
	s.pool = rpc.NewPool(rpc.PoolOptions{Log: deps.Log, Registerer: deps.Registry})
	if err := s.openHost(deps, endpoint); err != nil {
		return nil, err
	}
	s.serve(deps, endpoint)
	s.log.WithFields(logrus.Fields{"rpc": endpoint.RPCAddress, "node_id": id.NodeID.String(), "boot": id.Boot}).
		Info("replica server started")
	return s, nil
}

func endpointOf(cfg *config.Config, id identity.Identity) *arion.NodeEndpoint {
	return &arion.NodeEndpoint{
		NodeID: int64(id.NodeID), Role: arion.NodeRole_REPLICA, Boot: id.Boot,
		RPCAddress: cfg.RPCAddress(), RaftAddress: cfg.RaftAddress(), GossipAddress: cfg.GossipAddress(),
		Version: version.Release, Zone: cfg.Node.Zone,
	}
}

func (s *Server) openRaft(deps Deps, id identity.Identity) (err error) {
	s.raft, err = raft.Open(raft.Options{
		Dir: filepath.Join(s.cfg.Node.Dir, "raft"), Cluster: s.cfg.Node.Cluster, NodeID: int64(id.NodeID),
		Address: s.cfg.RaftAddress(), Listen: s.cfg.RaftListen(),
		Tick: s.cfg.Raft.Tick, ElectionTicks: s.cfg.Raft.ElectionTicks, HeartbeatTicks: s.cfg.Raft.HeartbeatTicks,
		LogShards: s.cfg.Raft.LogShards, SyncInterval: s.cfg.Raft.SyncInterval, MaxInMemLogBytes: uint64(s.cfg.Raft.MaxInMemLog),
		Log: deps.Log.WithField("component", "raft"), Registerer: deps.Registry, Fault: deps.Fault,
	})
	return err
}

func (s *Server) openGossip(deps Deps, endpoint *arion.NodeEndpoint) error {
	key, err := s.cfg.Gossip.KeyBytes()
	if err != nil {
		return err
	}
	seeds, err := s.cfg.GossipSeeds()
	if err != nil {
		return err
	}
	s.gossip, err = gossip.Open(gossip.Options{
		Endpoint: endpoint, BindAddr: s.cfg.GossipListen(), AdvertiseAddr: s.cfg.GossipAddress(),
		Seeds: seeds, Cluster: s.cfg.Node.Cluster, Key: key,
		Log: deps.Log.WithField("component", "gossip"), Registerer: deps.Registry,
		OnMember: s.learnMember,
		OnReport: func(int64, []*arion.ReplicaReport, bool) {}, // only metas follow partitions
	})
	return err
}

// learnMember keeps the raft addresses of the other nodes fresh: a node that
// moved is heard of by gossip before the metas tell.
func (s *Server) learnMember(m gossip.Member) {
	if m.Alive && m.Endpoint.Role == arion.NodeRole_REPLICA {
		s.learn([]*arion.NodeEndpoint{m.Endpoint})
	}
}

func (s *Server) learn(nodes []*arion.NodeEndpoint) {
	addresses := make(map[int64]string, len(nodes))
	for _, n := range nodes {
		addresses[n.NodeID] = n.RaftAddress
	}
	if err := s.raft.SetAddresses(addresses); err != nil {
		s.log.WithError(err).Warn("addresses of other nodes are not kept on disk")
	}
}

func (s *Server) openHost(deps Deps, endpoint *arion.NodeEndpoint) error {
	open, err := s.opener(deps, endpoint)
	if err != nil {
		return err
	}
	log := deps.Log.WithField("component", "host")
	if err := host.SweepTrash(s.cfg.Node.Dir, time.Now()); err != nil {
		log.WithError(err).Warn("trash is not swept")
	}
	s.throttle = throttle.NewKeeper()
	s.host = host.Open(host.Options{
		Dir: s.cfg.Node.Dir, Endpoint: endpoint, Metas: s.cfg.Meta.Servers,
		Pool: s.pool, Open: open,
		Scans:     read.NewContextTable(read.ContextOptions{TTL: s.cfg.Replica.ScannerTTL, PerPartition: s.cfg.Replica.MaxScanners}),
		RemoveLog: s.removeLog,
		Learn:     s.learn, Publish: s.gossip.SetReports,
		Disk:        host.NewDisk(s.cfg.Node.Dir, int64(s.cfg.Replica.DiskLowWater), log),
		Throttles:   s.throttle,
		Compactions: compact.NewRunner(deps.Log.WithField("component", "compact")),
		Sweeps:      sweep.NewRunner(deps.Log.WithField("component", "sweep")),
		Log:         log,
	})
	return nil
}

func (s *Server) serve(deps Deps, endpoint *arion.NodeEndpoint) {
	s.openConsole(deps)
	s.service = service.New(service.Options{
		Host: s.host, Disk: s.host.Disk(), Endpoint: endpoint, Commands: s.commands(),
		Log: deps.Log.WithField("component", "service"), Registerer: deps.Registry,
	})
	mux := rpc.NewMux()
	s.service.Register(mux)
	s.rpc = rpc.NewServer(rpc.Options{
		Mux:  mux,
		HTTP: s.http(deps),
		Log:  deps.Log.WithField("component", "rpc"), Registerer: deps.Registry,
		ThftHostPorts: s.cfg.RPC.ThftHostPorts, MaxConns: s.cfg.RPC.MaxConns,
		MaxInFlightPerConn: s.cfg.RPC.MaxInFlight, MaxInFlightBytes: int64(s.cfg.RPC.MaxInFlightBytes),
	})
	go func() { s.served <- s.rpc.Serve(s.listener) }()
}

// Addr is the address that clients are told to dial.
func (s *Server) Addr() string { return s.cfg.RPCAddress() }

// Ready is nil once the node holds what the metas want it to hold.
func (s *Server) Ready() error { return s.host.Ready() }

// Close stops the server. The order is part of the contract with clients:
//
//  1. requests held back by a rate go on, new ones are not held any more
//  2. no new connections or requests; what is in flight is answered
//  3. leaders move away and replicas close, which flushes them
//  4. gossip says good-bye, so that nobody waits for a probe to fail
//  5. raft, connections to others
func (s *Server) Close(ctx context.Context) error {
	var errs []error
	if s.throttle != nil {
		s.throttle.Close()
	}
	if s.rpc != nil {
		errs = append(errs, s.rpc.Close(ctx))
		<-s.served
	} else if s.listener != nil {
		errs = append(errs, s.listener.Close())
	}
	if s.service != nil {
		s.service.Close()
	}
	if s.host != nil {
		errs = append(errs, s.host.Close())
	}
	if s.gossip != nil {
		errs = append(errs, s.gossip.Leave(leaveTimeout), s.gossip.Close())
	}
	if s.raft != nil {
		errs = append(errs, s.raft.Close())
	}
	if s.pool != nil {
		s.pool.Close()
	}
	return errors.Join(errs...)
}

// leaveTimeout bounds the good-bye to the gossip cluster.
const leaveTimeout = 500 * time.Millisecond
