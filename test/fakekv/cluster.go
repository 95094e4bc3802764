package fakekv

import (
	"fmt"
	"math/bits"
	"net/http"
	"sync"
	"time"
)

// Options of a cluster. The zero value is one meta server and three nodes.
type Options struct {
	Metas int // default 1
	Nodes int // default 3
}

// TB is what Start needs of a testing.TB.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Cluster is a running fake cluster. Its methods may be called at any time from
// any goroutine.
type Cluster struct {
	metas, nodes []*Node

	mu      sync.Mutex
	tables  map[string]*table
	byID    map[int32]*table
	nextID  int32
	rules   []*Rule
	count   map[string]int
	applied map[string]int
	offset  time.Duration
	level   int32
	http    func(*Node, http.ResponseWriter, *http.Request)
}

// table is guarded by Cluster.mu.
type table struct {
	id       int32
	name     string
	replicas int32
	envs     map[string]string
	parts    []partition
	store    store
	dropped  bool
	validate bool // refuse hashes of other partitions
	term     int64
	decree   int64
}

type partition struct {
	leader    *Node // nil = none
	followers []*Node
}

// New starts a cluster; Close stops it.
func New(o Options) (*Cluster, error) {
	if o.Metas == 0 {
		o.Metas = 1
	}
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	c := &Cluster{tables: map[string]*table{}, byID: map[int32]*table{}, nextID: 1,
		count: map[string]int{}, applied: map[string]int{}, level: 400}
	for i := range o.Metas + o.Nodes {
		n := &Node{c: c, meta: i < o.Metas, scans: map[int64]*scan{}}
		if err := n.Start(); err != nil {
			c.Close()
			return nil, err
		}
		if n.meta {
			c.metas = append(c.metas, n)
		} else {
			c.nodes = append(c.nodes, n)
		}
	}
	return c, nil
}

// Start is New for a test: it is closed with the test.
func Start(tb TB, o Options) *Cluster {
	tb.Helper()
	c, err := New(o)
	if err != nil {
		tb.Fatalf("fakekv: %v", err)
	}
	tb.Cleanup(c.Close)
	return c
}

// Close stops every server.
func (c *Cluster) Close() {
	for _, n := range append(append([]*Node(nil), c.metas...), c.nodes...) {
		n.Resume()
		n.Stop()
	}
}

// Metas gives the addresses of the meta servers, for client.Open.
func (c *Cluster) Metas() []string {
	var out []string
	for _, n := range c.metas {
		out = append(out, n.Addr())
	}
	return out
}

// Meta gives the i-th meta server.
func (c *Cluster) Meta(i int) *Node { return c.metas[i] }

// Node gives the i-th replica server.
func (c *Cluster) Node(i int) *Node { return c.nodes[i] }

// CreateTable makes a table of so many partitions, a power of two, with leaders
// dealt round the nodes and every node a replica. It panics on a bad number.
func (c *Cluster) CreateTable(name string, partitions int) {
	if partitions < 1 || bits.OnesCount(uint(partitions)) != 1 {
		panic(fmt.Sprintf("fakekv: %d partitions", partitions))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.createLocked(name, partitions, int32(len(c.nodes)), nil)
}

func (c *Cluster) createLocked(name string, partitions int, replicas int32, envs map[string]string) *table {
	t := &table{id: c.nextID, name: name, replicas: replicas, envs: envs, term: 3}
	if t.envs == nil {
		t.envs = map[string]string{}
	}
	c.nextID++
	for i := range partitions {
		t.parts = append(t.parts, c.placeLocked(i))
	}
	c.tables[name], c.byID[t.id] = t, t
	return t
}

func (c *Cluster) placeLocked(i int) partition {
	p := partition{leader: c.nodes[i%len(c.nodes)]}
	for j := 1; j < len(c.nodes); j++ {
		p.followers = append(p.followers, c.nodes[(i+j)%len(c.nodes)])
	}
	return p
}

// DropTable drops a table.
func (c *Cluster) DropTable(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mustLocked(name).dropped = true
	delete(c.tables, name)
}

func (c *Cluster) mustLocked(name string) *table {
	t := c.tables[name]
	if t == nil {
		panic(fmt.Sprintf("fakekv: no table %q", name))
	}
	return t
}

// Leader gives the node that leads a partition, -1 if none does.
func (c *Cluster) Leader(tableName string, index int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	leader := c.mustLocked(tableName).parts[index].leader
	for i, n := range c.nodes {
		if n == leader {
			return i
		}
	}
	return -1
}

// SetLeader makes a node lead a partition; -1 leaves it without a leader.
func (c *Cluster) SetLeader(tableName string, index, node int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.mustLocked(tableName)
	p := &t.parts[index]
	t.term++
	*p = partition{}
	for i, n := range c.nodes {
		if i == node {
			p.leader = n
		} else {
			p.followers = append(p.followers, n)
		}
	}
}

// MoveLeader gives a partition to the next node and returns which that is.
func (c *Cluster) MoveLeader(tableName string, index int) int {
	next := (c.Leader(tableName, index) + 1) % len(c.nodes)
	c.SetLeader(tableName, index, next)
	return next
}

// Split doubles the partitions of a table. Each new half has the leader of its
// parent, and from now on a partition refuses what belongs to the other half.
func (c *Cluster) Split(tableName string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.mustLocked(tableName)
	t.parts = append(t.parts, t.parts...)
	t.validate = true
	t.term++
}

// Advance moves the clock by which records expire.
func (c *Cluster) Advance(d time.Duration) {
	c.mu.Lock()
	c.offset += d
	c.mu.Unlock()
}

func (c *Cluster) nowLocked() uint32 {
	return uint32(time.Now().Add(c.offset).Unix() - epoch)
}

// Count gives how many calls of a name arrived, "GET" or "RPC_RRDB_RRDB_GET";
// "" counts all but pings.
func (c *Cluster) Count(rpc string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sumLocked(c.count, rpc)
}

// Applied gives how many calls of a name were carried out.
func (c *Cluster) Applied(rpc string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sumLocked(c.applied, rpc)
}

func sumLocked(m map[string]int, rpc string) (n int) {
	for name, k := range m {
		if matchName(rpc, name) && name != pingRPC {
			n += k
		}
	}
	return n
}

// OpenScans gives the number of scanner contexts that the nodes hold.
func (c *Cluster) OpenScans() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, node := range c.nodes {
		n += len(node.scans)
	}
	return n
}

// ForgetScans drops all scanner contexts, as time would.
func (c *Cluster) ForgetScans() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, node := range c.nodes {
		clear(node.scans)
	}
}
