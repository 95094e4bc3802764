package meta

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/rpc"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) {
	obs.InstallRaftLogger(obs.Discard())
	os.Exit(m.Run())
}

func testLog(t *testing.T) *logrus.Entry {
	if os.Getenv("ARION_TEST_LOG") == "" {
		return obs.Discard()
	}
	return obs.NewLogger("debug", "text", os.Stderr).WithField("test", t.Name())
}

var nextPort atomic.Int32

// freePort finds an rpc port whose raft and gossip ports are free as well.
func freePort(t *testing.T) int {
	t.Helper()
	nextPort.CompareAndSwap(0, int32(42000+os.Getpid()%16000))
	for range 2000 {
		p := int(nextPort.Add(1))
		if tcpFree(p) && tcpFree(p-10000) && tcpFree(p-20000) && udpFree(p-20000) {
			return p
		}
	}
	t.Fatal("no free port")
	return 0
}

func tcpFree(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func udpFree(port int) bool {
	l, err := net.ListenPacket("udp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// cluster is some meta servers and fake replica servers in this process.
type cluster struct {
	t     *testing.T
	confs []*config.Config
	metas []*Server
	nodes []*fakeNode
	pool  *rpc.Pool
}

func newCluster(t *testing.T, metas, nodes int) *cluster {
	t.Helper()
	c := &cluster{t: t, pool: rpc.NewPool(rpc.PoolOptions{})}
	t.Cleanup(c.pool.Close)
	var servers []string
	for range metas {
		servers = append(servers, "127.0.0.1:"+strconv.Itoa(freePort(t)))
	}
	for i := range metas {
		conf := config.Default()
		conf.Node.Dir, conf.Node.Cluster = t.TempDir(), "test"
		conf.RPC.Listen, conf.RPC.Advertise = servers[i], ""
		conf.Meta.Servers = servers
		conf.Raft.Tick = 20 * time.Millisecond
		c.confs, c.metas = append(c.confs, conf), append(c.metas, nil)
		c.start(i)
	}
	for i := range nodes {
		c.nodes = append(c.nodes, newFakeNode(t, int64(i)+1, servers))
	}
	return c
}

func (c *cluster) start(i int) {
	c.t.Helper()
	s, err := Open(context.Background(), c.confs[i], Deps{Log: testLog(c.t), Registry: prometheus.NewRegistry()})
	require.NoError(c.t, err)
	c.metas[i] = s
	c.t.Cleanup(func() { c.stop(i, s) })
}

func (c *cluster) stop(i int, s *Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		c.t.Logf("close meta %d: %v", i, err)
	}
}

// leader waits for a leader that all nodes report to, and returns its place.
func (c *cluster) leader() int {
	c.t.Helper()
	at := -1
	require.Eventually(c.t, func() bool {
		at = -1
		for i, s := range c.metas {
			if s != nil && s.Leading() {
				at = i
			}
		}
		return at >= 0 && c.metas[at].AliveNodes() == len(c.nodes)
	}, patience, 10*time.Millisecond, "a leader that knows all nodes")
	return at
}

func (c *cluster) call(meta int, name string, arg, result frame.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.pool.Call(ctx, c.confs[meta].RPC.Listen, name, arg, result)
}

func (c *cluster) must(meta int, name string, arg, result frame.Message) {
	c.t.Helper()
	require.NoError(c.t, c.call(meta, name, arg, result))
}

// fakeNode answers and asks as a replica server does. Its raft groups agree by decree: the first replica of a partition
// leads, in a term that the test sets.
type fakeNode struct {
	endpoint *arion.NodeEndpoint
	metas    []string
	pool     *rpc.Pool
	server   *rpc.Server
	cancel   context.CancelFunc
	done     sync.WaitGroup
	poke     chan struct{}

	mu      sync.Mutex
	version int64
	held    []*arion.ReplicaAssignment
	tables  map[int32]*arion.TableConfig
	term    int64
	mute    bool // reports nothing about its replicas
	extra   []*arion.ReplicaReport
	instead map[int32]*arion.ReplicaReport // by partition, in place of the report by decree
	moves   []*arion.ChangeMemberRequest
	lastErr code.Code
}

func newFakeNode(t *testing.T, id int64, metas []string) *fakeNode {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &fakeNode{
		endpoint: &arion.NodeEndpoint{NodeID: id, Role: arion.NodeRole_REPLICA, Boot: 1, RPCAddress: l.Addr().String(),
			RaftAddress: "127.0.0.1:1", GossipAddress: "127.0.0.1:2", Version: "test"},
		metas: metas, pool: rpc.NewPool(rpc.PoolOptions{}), poke: make(chan struct{}, 1), term: 2,
	}
	mux := rpc.NewMux()
	mux.Handle("RPC_ARION_POKE", func(req *rpc.Request) {
		n.wake()
		req.Reply(&arion.PokeResponse{Err: base.ErrorCodeOf(code.OK)})
	})
	mux.Handle("RPC_ARION_CHANGE_MEMBER", func(req *rpc.Request) {
		q := arion.NewChangeMemberRequest()
		if req.DecodeOrFail(q) {
			n.mu.Lock()
			n.moves = append(n.moves, q)
			n.mu.Unlock()
			req.Reply(&arion.ChangeMemberResponse{Err: base.ErrorCodeOf(code.OK)})
		}
	})
	n.server = rpc.NewServer(rpc.Options{Mux: mux})
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.done.Add(2)
	go func() { defer n.done.Done(); _ = n.server.Serve(l) }()
	go func() { defer n.done.Done(); n.run(ctx) }()
	t.Cleanup(n.close)
	return n
}

func (n *fakeNode) wake() {
	select {
	case n.poke <- struct{}{}:
	default:
	}
}

func (n *fakeNode) close() {
	n.cancel()
	_ = n.server.Close(context.Background())
	n.done.Wait()
	n.pool.Close()
}

func (n *fakeNode) run(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		n.sync(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.poke:
		}
	}
}

func (n *fakeNode) sync(ctx context.Context) {
	for _, addr := range n.metas {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		r := arion.NewSyncResponse()
		err := n.pool.Call(ctx, addr, "RPC_ARION_SYNC", n.request(), r)
		cancel()
		if err != nil || r.Err.Code() == code.ForwardToOthers {
			continue
		}
		n.take(r)
		return
	}
}

func (n *fakeNode) take(r *arion.SyncResponse) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lastErr = r.Err.Code(); n.lastErr != code.OK || r.Unchanged {
		return
	}
	n.version, n.held, n.tables = r.Version, r.Replicas, map[int32]*arion.TableConfig{}
	for _, t := range r.Tables {
		n.tables[t.TableID] = t
	}
	n.wake() // as the real one: what it does now, it reports at once
}

func (n *fakeNode) request() *arion.SyncRequest {
	n.mu.Lock()
	defer n.mu.Unlock()
	q := &arion.SyncRequest{Node: n.endpoint, KnownVersion: n.version, Replicas: []*arion.ReplicaReport{}, Disk: &arion.DiskStat{}}
	q.Replicas = append(q.Replicas, n.extra...)
	for _, a := range n.held {
		if n.mute || len(a.InitialMembers) == 0 {
			continue
		}
		if r := n.instead[a.PartitionIndex]; r != nil {
			q.Replicas = append(q.Replicas, r)
			continue
		}
		q.Replicas = append(q.Replicas, &arion.ReplicaReport{
			TableID: a.TableID, PartitionIndex: a.PartitionIndex, ReplicaID: a.ReplicaID, State: arion.ReplicaState_SERVING,
			Term: n.term, LeaderReplicaID: a.InitialMembers[0].ReplicaID, AppliedIndex: 7,
		})
	}
	return q
}

func (n *fakeNode) set(f func()) {
	n.mu.Lock()
	f()
	n.mu.Unlock()
	n.wake()
}

func (n *fakeNode) lookup(f func() bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return f()
}

func (n *fakeNode) String() string { return fmt.Sprintf("node %d", n.endpoint.NodeID) }
