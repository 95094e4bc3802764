package cluster

import (
	"sync"
	"time"
)

// network is what can go wrong between the raft groups of replica servers in one
// process. Clients, metas and gossip reach everybody all the time, which is the
// crueller case: a leader that is cut off from its followers still gets requests.
type network struct {
	mu     sync.Mutex
	byAddr map[string]string // raft address -> name
	cut    map[[2]string]bool
	late   map[string]time.Duration
}

func newNetwork() *network {
	return &network{byAddr: map[string]string{}, cut: map[[2]string]bool{}, late: map[string]time.Duration{}}
}

// pass decides about a message from a server to a raft address.
func (n *network) pass(from, to string) bool {
	n.mu.Lock()
	late := n.late[from]
	n.mu.Unlock()
	time.Sleep(late)
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.cut[[2]string{from, n.byAddr[to]}]
}

// Isolate cuts a replica server off from all others, in both directions.
func (c *Cluster) Isolate(name string) {
	for _, other := range c.Replicas() {
		c.Cut(name, other)
		c.Cut(other, name)
	}
}

// Cut loses the raft messages from one replica server to another.
func (c *Cluster) Cut(from, to string) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.net.cut[[2]string{from, to}] = true
}

// Delay holds up each batch of raft messages that a replica server sends.
func (c *Cluster) Delay(name string, d time.Duration) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.net.late[name] = d
}

// Heal undoes all cuts and delays.
func (c *Cluster) Heal() {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	clear(c.net.cut)
	clear(c.net.late)
}
