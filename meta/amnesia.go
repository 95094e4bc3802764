package meta

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/meta/catalog"
	metaraft "github.com/arionkv/arion/meta/raft"
)

// askTimeout bounds a question to other metas.
const askTimeout = time.Second

// askMetas asks all metas but self at once, and returns their answers in the order of addrs; that of self is zero.
func askMetas[T any](ctx context.Context, addrs []string, self string, ask func(context.Context, *rpc.Pool, string) T) []T {
	pool := rpc.NewPool(rpc.PoolOptions{})
	defer pool.Close()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answers := make([]T, len(addrs))
	var asked sync.WaitGroup
	for i, addr := range addrs {
		if addr != self {
			asked.Go(func() { answers[i] = ask(ctx, pool, addr) })
		}
	}
	asked.Wait()
	return answers
}

// checkMemory refuses to start with an empty raft log in a place of the group that another node id held before: that was
// this server with its directory. Its votes and acknowledgements are gone with it, and speaking under the same replica id
// again could undo what the group has promised. At the first start of a cluster nobody remembers anything, and whoever
// cannot be reached cannot object.
func (s *Server) checkMemory(replicaID uint64) error {
	if s.raft.HasReplica(metaraft.ShardID, replicaID) || len(s.cfg.Meta.Servers) == 1 {
		return nil
	}
	ask := func() []int64 {
		return askMetas(context.Background(), s.cfg.Meta.Servers, s.self.RPCAddress, func(ctx context.Context, pool *rpc.Pool, addr string) int64 {
			return holder(ctx, pool, addr, replicaID)
		})
	}
	holders := ask()
	// A group that is being formed enters its members one by one.
	for since := time.Now(); slices.Contains(holders, stranger) && time.Since(since) < formTimeout; holders = ask() {
		time.Sleep(formPoll)
	}
	if at := slices.Index(holders, stranger); at >= 0 {
		return fmt.Errorf("meta server %s is not in the running group of %s: run `meta.add %s` and start it with meta.join",
			s.self.RPCAddress, s.cfg.Meta.Servers[at], s.self.RPCAddress)
	}
	at := slices.IndexFunc(holders, func(id int64) bool { return id != 0 && id != s.self.NodeID })
	if at < 0 {
		return nil
	}
	return fmt.Errorf("meta server %s starts without data, but %s knows its place in the group as node %016x: "+
		"restore %s as it was, it must not vote without its log", s.self.RPCAddress, s.cfg.Meta.Servers[at], holders[at], s.cfg.Node.Dir)
}

// formTimeout is how long a group may take to enter its first members.
const (
	formTimeout = 5 * time.Second
	formPoll    = 50 * time.Millisecond
)

// stranger is the answer of a running group without the place that was asked for. A server that took the place all the same
// could form a second group, with others like it.
const stranger = -1

// holder asks a meta server which node holds a place in the group; 0: it does not know or does not answer.
func holder(ctx context.Context, pool *rpc.Pool, addr string, replicaID uint64) int64 {
	r := arion.NewStatusResponse()
	if err := pool.Call(ctx, addr, "RPC_ARION_STATUS", arion.NewStatusRequest(), r); err != nil {
		return 0
	}
	for _, report := range r.Replicas {
		if report.TableID != 0 || len(report.Members) == 0 {
			continue
		}
		for _, m := range report.Members {
			if m.ReplicaID == int64(replicaID) {
				return m.NodeID
			}
		}
		return stranger
	}
	return 0
}

// metasHeard are the meta servers that gossip sees, this one included, by their place in the group.
func (s *Server) metasHeard() map[uint64]catalog.Meta {
	at := map[string]uint64{}
	for i, addr := range s.cfg.Meta.Servers {
		if _, taken := s.group.State().Metas()[uint64(i)+1]; !taken {
			at[addr] = uint64(i) + 1 // of the first start, before anything is recorded
		}
	}
	for id, m := range s.group.State().LiveMetas() {
		if addr := s.metaAddress(id); addr != "" && m.State != catalog.MetaLeaving {
			at[addr] = id
		}
	}
	out := map[uint64]catalog.Meta{}
	for _, m := range s.gossip.Members() {
		if id := at[m.Endpoint.RPCAddress]; m.Alive && m.Endpoint.Role == arion.NodeRole_META && id != 0 {
			out[id] = catalog.Meta{NodeID: m.Endpoint.NodeID, Address: m.Endpoint.RPCAddress}
		}
	}
	return out
}
