package raft

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
)

var errUnknownPeer = errors.New("raft peer has no known address")

// connectionsPerPeer is how many connections carry the messages to one peer, so
// that a large entry of one shard does not hold up the heartbeats of all.
const connectionsPerPeer = 4

// registry answers dragonboat's question where replica r of shard s listens.
// dragonboat fills it with targets, from membership and from the messages that
// arrive; the book turns targets into addresses at each question, so a peer that
// moved is dialled at its new address from the next message on.
type registry struct {
	book *Book

	mu    sync.RWMutex
	peers map[raftio.NodeInfo]*peer
}

// peer is where one replica is. The address is looked up again when the book has
// changed: a lookup for each message took a thirtieth of an idle server's time.
type peer struct {
	target  Target
	address atomic.Pointer[address]
}

type address struct {
	generation       uint64 // of the book
	addr, connection string
}

func newRegistry(book *Book) *registry {
	return &registry{book: book, peers: map[raftio.NodeInfo]*peer{}}
}

// Create implements config.NodeRegistryFactory.
func (r *registry) Create(string, uint64, config.TargetValidator) (raftio.INodeRegistry, error) {
	return r, nil
}

// Add records a target. Unlike dragonboat's own registry it does not panic on a
// contradiction, since half of the calls come from the network: a target that
// leads nowhere never replaces one that does.
func (r *registry) Add(shardID, replicaID uint64, target string) {
	key := raftio.GetNodeInfo(shardID, replicaID)
	t := Target(target)
	r.mu.RLock()
	old := r.peers[key]
	r.mu.RUnlock()
	if old != nil && (old.target == t || r.book.Lookup(t) == "") {
		return
	}
	r.mu.Lock()
	r.peers[key] = &peer{target: t}
	r.mu.Unlock()
}

func (r *registry) Remove(shardID, replicaID uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.peers, raftio.GetNodeInfo(shardID, replicaID))
}

func (r *registry) RemoveShard(shardID uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.peers {
		if k.ShardID == shardID {
			delete(r.peers, k)
		}
	}
}

// Resolve returns the address and the key of the connection that carries the
// messages of the shard.
func (r *registry) Resolve(shardID, replicaID uint64) (addr, connection string, err error) {
	r.mu.RLock()
	p := r.peers[raftio.GetNodeInfo(shardID, replicaID)]
	r.mu.RUnlock()
	if p != nil {
		if a := p.address.Load(); a != nil && a.generation == r.book.generation.Load() {
			return a.addr, a.connection, nil
		}
		generation := r.book.generation.Load() // before the lookup: a change in between is seen next time
		if addr = r.book.Lookup(p.target); addr != "" {
			connection = connectionKeys[shardID%connectionsPerPeer] + addr
			p.address.Store(&address{generation, addr, connection})
			return addr, connection, nil
		}
	}
	return "", "", fmt.Errorf("%w: replica %d of shard %x", errUnknownPeer, replicaID, shardID)
}

var connectionKeys = [connectionsPerPeer]string{"0-", "1-", "2-", "3-"}

func (r *registry) Close() error { return nil }
