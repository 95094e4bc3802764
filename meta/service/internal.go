package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/remotecmd"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/raft"
	"github.com/arionkv/arion/meta/reconcile"
)

// syncTimeout bounds one SYNC; the node asks again every second.
const syncTimeout = 3 * time.Second

func (s *Service) registerInternal(mux *rpc.Mux) {
	mux.Handle("RPC_ARION_SYNC", s.acceptSync)
	mux.Handle("RPC_ARION_STATUS", func(req *rpc.Request) {
		req.Reply(&arion.StatusResponse{Err: base.ErrorCodeOf(code.OK), Node: s.o.Self, Replicas: []*arion.ReplicaReport{s.catalogReport()}})
	})
	mux.Handle("RPC_ARION_META_LIST", s.listMetas)
	mux.Handle("RPC_NEGOTIATION", func(req *rpc.Request) {
		req.Reply(&admin.NegotiationResponse{Status: admin.NegotiationStatus_SASL_AUTH_DISABLE, Msg: base.NewBlob()})
	})
	s.registerCommands(mux)
}

// catalogReport describes this server's replica of the catalog, as table 0, with the members that the catalog has recorded.
func (s *Service) catalogReport() *arion.ReplicaReport {
	state := s.o.Group.State()
	leader, term := s.o.Group.Leader()
	r := &arion.ReplicaReport{State: arion.ReplicaState_SERVING, Term: int64(term), LeaderReplicaID: int64(leader),
		AppliedIndex: int64(state.Index), Members: []*arion.ReplicaMember{}}
	members := s.o.Group.Members()
	slices.Sort(members)
	for _, id := range members {
		r.Members = append(r.Members, &arion.ReplicaMember{ReplicaID: int64(id), NodeID: state.Meta(id).NodeID, Voting: true})
	}
	for id, m := range state.LiveMetas() {
		if m.NodeID == s.o.Self.NodeID || m.NodeID == 0 && m.Address == s.o.Self.RPCAddress {
			r.ReplicaID = int64(id)
		}
	}
	return r
}

// listMetas answers a server that looks for its place among the metas, or that wonders whether it still has it.
func (s *Service) listMetas(req *rpc.Request) {
	r := &arion.MetaListResponse{Err: base.ErrorCodeOf(code.OK), Metas: []*arion.MetaPlace{}}
	metas := s.o.Group.State().Metas()
	for _, id := range slices.Sorted(maps.Keys(metas)) {
		m := metas[id]
		r.Metas = append(r.Metas, &arion.MetaPlace{ReplicaID: int64(id), NodeID: m.NodeID, RPCAddress: m.Address,
			Joining: m.State == catalog.MetaJoining, Removed: m.State == catalog.MetaRemoved})
	}
	req.Reply(r)
}

func (s *Service) acceptSync(req *rpc.Request) {
	q := arion.NewSyncRequest()
	if !req.DecodeOrFail(q) {
		return
	}
	s.background(req, func(ctx context.Context) frame.Message { return s.sync(ctx, q) })
}

// background answers from a goroutine of its own, or with busy in the frame: the peers of these RPCs are ours.
func (s *Service) background(req *rpc.Request, answer func(context.Context) frame.Message) {
	if !s.begin() {
		req.Fail(code.Busy)
		return
	}
	go func() {
		defer s.end()
		ctx, cancel := context.WithTimeout(s.ctx, syncTimeout)
		defer cancel()
		req.Reply(answer(ctx))
	}()
}

// sync takes a node's report and answers what the node should hold. Only the leader does; others name it.
func (s *Service) sync(ctx context.Context, q *arion.SyncRequest) *arion.SyncResponse {
	if q.Node == nil || q.Node.NodeID <= 0 || q.Node.Role != arion.NodeRole_REPLICA {
		return syncRefusal(code.InvalidParameters)
	}
	state, err := s.o.Group.Barrier(ctx)
	if err == nil {
		err = s.checkMemory(state, q)
	}
	if err == nil {
		state, err = s.registered(ctx, state, q.Node)
	}
	if err != nil {
		return s.syncFailure(err)
	}
	s.o.Tracker.Synced(q)
	return desiredState(state, q)
}

func syncRefusal(c code.Code) *arion.SyncResponse {
	return &arion.SyncResponse{Err: base.ErrorCodeOf(c), Tables: []*arion.TableConfig{},
		Replicas: []*arion.ReplicaAssignment{}, Nodes: []*arion.NodeEndpoint{}}
}

func (s *Service) syncFailure(err error) *arion.SyncResponse {
	var known *code.Error
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		r := syncRefusal(code.ForwardToOthers)
		r.LeaderAddress, _ = s.leaderAddress()
		return r
	case errors.As(err, &known):
		return syncRefusal(known.Code)
	}
	return syncRefusal(code.Timeout)
}

// checkMemory refuses a node that knows more than this catalog: its data was made under another one, and the answer
// "you should hold nothing" would take it all away. It happens when meta servers lost their directories.
func (s *Service) checkMemory(state *catalog.State, q *arion.SyncRequest) error {
	foreign := q.KnownVersion > 0 && uint64(q.KnownVersion) > state.Version
	for _, r := range q.Replicas {
		foreign = foreign || r.TableID >= state.Settings.NextTableID
	}
	if !foreign {
		return nil
	}
	s.throttle.Log(s.log.WithFields(logrus.Fields{"node": q.Node.RPCAddress, "node_knows": q.KnownVersion, "catalog": state.Version}),
		logrus.ErrorLevel, "foreign "+q.Node.RPCAddress,
		"a node holds tables of a later catalog than this one: the meta servers have lost their data, or the node is of another cluster")
	return code.Errorf(code.InconsistentState, "node %s knows a later catalog", q.Node.RPCAddress)
}

// registered makes sure that the catalog has this life of the node.
func (s *Service) registered(ctx context.Context, state *catalog.State, e *arion.NodeEndpoint) (*catalog.State, error) {
	n := catalog.Node{
		ID: e.NodeID, Boot: e.Boot, RPCAddress: e.RPCAddress, RaftAddress: e.RaftAddress, GossipAddress: e.GossipAddress,
		Version: e.Version, Zone: e.Zone, RegisteredUnixSec: s.o.Now().Unix(),
	}
	if old := state.Node(n.ID); old != nil && old.State != catalog.NodeReplaced && old.Same(&n) {
		return state, nil
	}
	r, err := s.o.Group.Propose(ctx, &catalog.RegisterNode{Node: n})
	if err != nil {
		return nil, err
	}
	if r.Code != code.OK {
		return nil, code.Errorf(r.Code, "%s", r.Hint)
	}
	s.log.WithFields(logrus.Fields{"node": fmt.Sprintf("%016x", n.ID), "address": n.RPCAddress, "boot": n.Boot}).Info("node registered")
	return s.o.Group.State(), nil
}

func desiredState(state *catalog.State, q *arion.SyncRequest) *arion.SyncResponse {
	r := syncRefusal(code.OK)
	r.Version, r.ClusterName = int64(state.Version), state.Settings.ClusterName
	if uint64(q.KnownVersion) == state.Version && q.KnownVersion > 0 {
		r.Unchanged = true
		return r
	}
	r.Tables, r.Replicas, r.Nodes = reconcile.Desired(state, q.Node.NodeID)
	return r
}

// addCommands enters the remote commands that need the service; those that every server has come from outside.
func (s *Service) addCommands() {
	s.o.Commands.Add(remotecmd.Command{Name: "server-stat", Help: "short status of this server", Run: func([]string) (string, error) {
		return s.status(), nil
	}})
	s.o.Commands.Add(remotecmd.Command{Name: "meta.live_percentage", Help: "share of known replica servers that are alive",
		Run: func([]string) (string, error) { return s.livePercentage(), nil }})
}

func (s *Service) status() string {
	state := s.o.Group.State()
	leader, self := s.leaderAddress()
	role := "follower"
	if self {
		role = "leader"
	}
	alive, nodes := s.countNodes(state)
	return fmt.Sprintf("meta %s, leader=%s, level=%s, tables=%d, nodes=%d alive of %d, catalog index=%d, requests running=%d",
		role, leader, state.Settings.Level, len(state.Tables()), alive, nodes, state.Index, s.running.Load())
}

func (s *Service) countNodes(state *catalog.State) (alive, all int) {
	for _, n := range state.Nodes() {
		if n.State == catalog.NodeReplaced {
			continue
		}
		all++
		if s.o.Tracker.Alive(n.ID) {
			alive++
		}
	}
	return alive, all
}

func (s *Service) livePercentage() string {
	alive, all := s.countNodes(s.o.Group.State())
	if all == 0 {
		return "100"
	}
	return fmt.Sprint(100 * alive / all)
}
