package fakekv

import (
	"strings"
	"time"

	"github.com/arionkv/arion/idl/frame"
)

const pingRPC = "RPC_ARION_PING"

// Match selects calls. Zero fields match everything.
type Match struct {
	RPC       string // "GET", "SCAN" or a full name
	Table     string
	Partition int // 1-based, so that zero can mean any: partition 0 is 1
	Node      *Node
}

// Action is what happens to a call that a rule matches. Without any field set
// the call goes its normal way.
type Action struct {
	// Delay holds the call back before anything else.
	Delay time.Duration
	// Hold holds it back until the channel is closed.
	Hold <-chan struct{}

	// Apply carries the call out although it is not answered normally. It goes with
	// Error, Silence and Disconnect: the answer is lost, the effect is not.
	Apply bool
	// At most one of these takes the place of the answer.
	Error string        // a frame with this error name and no result
	Reply frame.Message // this result
	// Answer makes the result from the call's arguments; nil lets the call go its
	// normal way.
	Answer     func(n *Node, args []byte) frame.Message
	Raw        []byte // these bytes, whatever they are
	Silence    bool   // nothing
	Disconnect bool   // the end of the connection
}

// Rule is a script in force.
type Rule struct {
	c      *Cluster
	match  Match
	action Action
	times  int // left; < 0 = without end
	hits   int
}

// Script applies an action to the next `times` calls that match; 0 means all
// until Remove. Of several rules that match the youngest counts.
func (c *Cluster) Script(m Match, times int, a Action) *Rule {
	if times == 0 {
		times = -1
	}
	r := &Rule{c: c, match: m, action: a, times: times}
	c.mu.Lock()
	c.rules = append(c.rules, r)
	c.mu.Unlock()
	return r
}

// Remove ends a rule.
func (r *Rule) Remove() {
	r.c.mu.Lock()
	r.times = 0
	r.c.mu.Unlock()
}

// Hits gives how often the rule was applied.
func (r *Rule) Hits() int {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.hits
}

// ruleLocked finds and uses up the rule for a call.
func (c *Cluster) ruleLocked(n *Node, h *frame.Header) *Action {
	for i := len(c.rules) - 1; i >= 0; i-- {
		r := c.rules[i]
		if r.times == 0 || !r.match.covers(c, n, h) {
			continue
		}
		if r.times > 0 {
			r.times--
		}
		r.hits++
		return &r.action
	}
	return nil
}

func (m *Match) covers(c *Cluster, n *Node, h *frame.Header) bool {
	if m.Node != nil && m.Node != n {
		return false
	}
	if !matchName(m.RPC, h.Name) || (h.Name == pingRPC && m.RPC != pingRPC) {
		return false
	}
	if m.Table != "" {
		if t := c.byID[h.AppID]; t == nil || t.name != m.Table {
			return false
		}
	}
	return m.Partition == 0 || m.Partition == int(h.PartitionIndex)+1
}

func matchName(want, name string) bool {
	return want == "" || want == name || name == "RPC_RRDB_RRDB_"+strings.ToUpper(want) ||
		name == "RPC_CM_"+strings.ToUpper(want)
}
