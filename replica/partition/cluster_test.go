package partition

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/raft"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/record"
)

func TestMain(m *testing.M) {
	obs.InstallRaftLogger(quiet())
	goleak.VerifyTestMain(m)
}

func quiet() *logrus.Entry {
	l := logrus.New()
	l.SetOutput(io.Discard)
	if os.Getenv("ARION_TEST_LOG") != "" {
		l.SetOutput(os.Stderr)
		l.SetLevel(logrus.DebugLevel)
	}
	return logrus.NewEntry(l)
}

const (
	testTick = 40 * time.Millisecond
	patience = 30 * time.Second
	table    = 7
)

// cluster is some hosts in this process, joined over loopback.
type cluster struct {
	t      testing.TB
	opener engine.Opener
	nodes  []*node
	tune   func(*Options)

	mu   sync.Mutex
	cut  map[[2]int]bool       // messages from, to are lost
	late map[int]time.Duration // messages from here are held up
}

type node struct {
	c      *cluster
	number int
	dir    string
	addr   string
	host   *raft.Host

	mu         sync.Mutex
	partitions map[int32]*Partition
}

func (n *node) id() int64 { return int64(1000 + n.number) }

func newCluster(t testing.TB, opener engine.Opener, size int) *cluster {
	c := &cluster{t: t, opener: opener, cut: map[[2]int]bool{}, late: map[int]time.Duration{}, tune: func(*Options) {}}
	for i := range size {
		c.addNode(i)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.stop()
		}
	})
	return c
}

func (c *cluster) addNode(i int) *node {
	n := &node{c: c, number: i, dir: filepath.Join(c.t.TempDir(), strconv.Itoa(i)), addr: freeAddress(c.t), partitions: map[int32]*Partition{}}
	c.mu.Lock()
	c.nodes = append(c.nodes, n)
	c.mu.Unlock()
	n.start()
	return n
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// fault loses what node from sends over a cut link, and holds up the rest.
func (c *cluster) fault(from int) raft.Fault {
	return func(to string, _ *raftpb.Message) bool {
		c.mu.Lock()
		late := c.late[from]
		c.mu.Unlock()
		time.Sleep(late)
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, n := range c.nodes {
			if n.addr == to {
				return !c.cut[[2]int{from, n.number}]
			}
		}
		return true
	}
}

// isolate cuts a node off, or heals it, in both directions.
func (c *cluster) isolate(n *node, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.nodes {
		c.cut[[2]int{n.number, o.number}] = on
		c.cut[[2]int{o.number, n.number}] = on
	}
}

func (n *node) start() {
	host, err := raft.Open(raft.Options{
		Dir: filepath.Join(n.dir, "raft"), Cluster: "test", NodeID: n.id(), Address: n.addr,
		Tick: testTick, Log: quiet(), Fault: n.c.fault(n.number),
	})
	require.NoError(n.c.t, err)
	n.host = host
	for _, a := range n.c.nodes {
		for _, b := range n.c.nodes {
			if a.host != nil && b.host != nil {
				require.NoError(n.c.t, a.host.SetAddress(b.id(), b.addr))
			}
		}
	}
}

// stop closes the node in order.
func (n *node) stop() {
	n.mu.Lock()
	open := n.partitions
	n.partitions = map[int32]*Partition{}
	n.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range open {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := p.Close(); err != nil {
				n.c.t.Error(err)
			}
		}()
	}
	wg.Wait()
	n.kill()
}

// kill ends the raft host under its partitions, without any handing over.
func (n *node) kill() {
	if n.host != nil {
		if err := n.host.Close(); err != nil {
			n.c.t.Error(err)
		}
		n.host = nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for index, p := range n.partitions {
		_ = p.Close()
		delete(n.partitions, index)
	}
}

func (c *cluster) members() []*arion.ReplicaMember {
	var members []*arion.ReplicaMember
	for _, n := range c.nodes[:min(3, len(c.nodes))] {
		members = append(members, &arion.ReplicaMember{ReplicaID: int64(n.number + 1), NodeID: n.id(), Voting: true})
	}
	return members
}

// open opens the node's replica of a partition.
func (n *node) open(index int32) *Partition {
	p, err := n.tryOpen(index, false)
	require.NoError(n.c.t, err)
	return p
}

func (n *node) tryOpen(index int32, join bool) (*Partition, error) {
	a := &arion.ReplicaAssignment{TableID: table, PartitionIndex: index, ReplicaID: int64(n.number + 1), Join: join}
	if !join {
		a.InitialMembers = n.c.members()
	}
	metrics, err := NewMetrics(nil)
	require.NoError(n.c.t, err)
	o := Options{
		Assignment: a, Dir: filepath.Join(n.dir, "partitions", fmt.Sprintf("%d.%d.%d", table, index, a.ReplicaID)),
		Raft: n.host, Opener: n.c.opener, Server: "127.0.0.1:1", Metrics: metrics, Log: quiet(),
	}
	n.c.tune(&o)
	p, err := Open(context.Background(), o)
	if err == nil {
		n.mu.Lock()
		n.partitions[index] = p
		n.mu.Unlock()
	}
	return p, err
}

func (n *node) partition(index int32) *Partition {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.partitions[index]
}

func (c *cluster) openAll(index int32) {
	var wg sync.WaitGroup
	for _, n := range c.nodes {
		wg.Add(1)
		go func() { defer wg.Done(); n.open(index) }()
	}
	wg.Wait()
}

// leader waits for one replica that leads.
func (c *cluster) leader(index int32) (*node, *Partition) {
	var found *node
	eventually(c.t, "a leader", func() bool {
		for _, n := range c.nodes {
			if p := n.partition(index); p != nil {
				if _, _, leads := p.Leader(); leads {
					found = n
					return true
				}
			}
		}
		return false
	})
	return found, found.partition(index)
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %v", what, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func putArgs(name, value string) []byte {
	return frame.AppendMessage(nil, &rrdb.UpdateRequest{
		Key: &base.Blob{Data: key.Append(nil, []byte(name), nil)}, Value: &base.Blob{Data: []byte(value)},
	})
}

func incrArgs(name string) []byte {
	return frame.AppendMessage(nil, &rrdb.IncrRequest{Key: &base.Blob{Data: key.Append(nil, []byte(name), nil)}, Increment: 1})
}

// do writes and waits.
func do(p *Partition, kind command.Kind, args []byte) (apply.Result, error) {
	type outcome struct {
		res apply.Result
		err error
	}
	done := make(chan outcome, 2)
	p.Write(kind, args, func(res apply.Result, err error) { done <- outcome{res, err} })
	o := <-done
	return o.res, o.err
}

// put writes through whoever leads, until it succeeds.
func (c *cluster) put(index int32, name, value string) {
	c.t.Helper()
	eventually(c.t, "write of "+name, func() bool {
		_, p := c.leader(index)
		_, err := do(p, command.Put, putArgs(name, value))
		return err == nil
	})
}

var errAbsent = code.Errorf(code.ObjectNotFound, "absent")

// get reads after a barrier.
func get(p *Partition, name string) (string, error) {
	done := make(chan error, 2)
	p.ReadBarrier(func(err error) { done <- err })
	if err := <-done; err != nil {
		return "", err
	}
	return peek(p, name)
}

// peek reads without a barrier.
func peek(p *Partition, name string) (string, error) {
	h, err := p.Acquire()
	if err != nil {
		return "", err
	}
	defer h.Release()
	stored, found, err := h.Get(key.Append(nil, []byte(name), nil), nil)
	if err != nil || !found {
		return "", errAbsent
	}
	_, value, err := record.Decode(stored)
	return string(value), err
}

// crashing opens engines whose Close forgets what was not flushed.
type crashing struct{ on *atomic.Bool }

type crashEngine struct {
	*mem.Engine
	on *atomic.Bool
}

func (c crashing) Open(dir string, o engine.Options) (engine.Engine, error) {
	e, err := mem.Opener{}.Open(dir, o)
	if err != nil {
		return nil, err
	}
	return &crashEngine{e.(*mem.Engine), c.on}, nil
}

func (e *crashEngine) Close() error {
	if e.on.Load() {
		e.Crash()
		return nil
	}
	return e.Engine.Close()
}
