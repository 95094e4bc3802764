package gossip

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"

	"github.com/arionkv/arion/idl/arion"
)

// memberName is a node's name in memberlist: one per life of a process.
func memberName(nodeID, boot int64) string { return fmt.Sprintf("%016x.%d", nodeID, boot) }

// members merges the lives of each node: the newest boot counts, older ones are ghosts.
type members struct {
	mu   sync.RWMutex
	byID map[int64]Member
}

// put takes a change and reports whether it says something new about the node.
func (m *members) put(e *arion.NodeEndpoint, alive bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byID == nil {
		m.byID = map[int64]Member{}
	}
	old, known := m.byID[e.NodeID]
	if known && old.Endpoint.Boot > e.Boot {
		return false
	}
	if !known && (!alive || len(m.byID) >= maxOrigins) {
		return false
	}
	m.byID[e.NodeID] = Member{Endpoint: e, Alive: alive}
	return true
}

func (m *members) all() []Member {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]Member, 0, len(m.byID))
	for _, v := range m.byID {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Member) int {
		if a.Alive != b.Alive {
			if a.Alive {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Endpoint.NodeID, b.Endpoint.NodeID)
	})
	return out
}

// count is the number of alive members, at least 1.
func (m *members) count() int {
	n := 0
	for _, v := range m.all() {
		if v.Alive {
			n++
		}
	}
	return max(n, 1)
}

// metas are the gossip addresses of the meta servers that seem alive. memberlist's own list will not do: it hands out
// pointers to nodes that it goes on changing.
func (m *members) metas() []memberlist.Address {
	var out []memberlist.Address
	for _, v := range m.all() {
		if v.Alive && v.Endpoint.Role == arion.NodeRole_META {
			name := memberName(v.Endpoint.NodeID, v.Endpoint.Boot)
			out = append(out, memberlist.Address{Addr: v.Endpoint.GossipAddress, Name: name})
		}
	}
	return out
}

// addresses are the gossip addresses of all members that seem alive.
func (m *members) addresses() map[string]bool {
	out := map[string]bool{}
	for _, v := range m.all() {
		if v.Alive {
			out[v.Endpoint.GossipAddress] = true
		}
	}
	return out
}
