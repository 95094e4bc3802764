package gossip

import (
	"fmt"

	"github.com/hashicorp/memberlist"

	"github.com/arionkv/arion/idl/arion"
)

// delegate is the side of Gossip that memberlist calls for data. It must not block.
type delegate Gossip

// NodeMeta gives this node's endpoint.
func (d *delegate) NodeMeta(int) []byte { return *d.meta.Load() }

// NotifyMsg takes a packet of another node. The bytes are only valid during the call.
func (d *delegate) NotifyMsg(b []byte) {
	g := (*Gossip)(d)
	deltas, err := decodeDelta(b)
	if err != nil || len(deltas) == 0 {
		g.metrics.malformed.Inc()
		return
	}
	var fresh []*arion.ReplicaReport
	for _, n := range deltas {
		if g.reports.takeDelta(n) {
			fresh = append(fresh, n.report)
			g.broadcast(n) // an epidemic needs carriers: the origin alone reaches only a few
		}
	}
	if len(fresh) > 0 && g.opts.OnReport != nil {
		g.opts.OnReport(deltas[0].node, fresh, false)
	}
}

// GetBroadcasts gives queued deltas for a packet that goes out anyway.
func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.queue.GetBroadcasts(overhead, limit)
}

// LocalState gives all that this node knows, for an exchange over TCP.
func (d *delegate) LocalState(bool) []byte { return encodeState((*Gossip)(d).reports.state()) }

// MergeRemoteState takes the other side of such an exchange.
func (d *delegate) MergeRemoteState(b []byte, _ bool) {
	g := (*Gossip)(d)
	origins, err := decodeState(b)
	if err != nil {
		g.metrics.malformed.Inc()
		return
	}
	for _, o := range origins {
		if g.reports.takeFull(o) && g.opts.OnReport != nil {
			g.opts.OnReport(o.node, o.reports, true)
		}
	}
}

// broadcast queues one report; a newer one about the same replica takes its place.
func (g *Gossip) broadcast(n delta) {
	key := keyOf(n.report)
	g.queue.QueueBroadcast(&broadcast{
		name: fmt.Sprintf("%x.%d.%d.%d", n.node, key.table, key.partition, key.replica),
		msg:  n.encode(),
	})
	if g.queue.NumQueued() > maxQueuedDeltas {
		g.queue.Prune(maxQueuedDeltas * 3 / 4)
	}
}

type broadcast struct {
	name string
	msg  []byte
}

// Name lets the queue replace older news about the same replica without comparing each pair.
func (b *broadcast) Name() string { return b.name }

// Invalidates is asked only of broadcasts without a name.
func (b *broadcast) Invalidates(memberlist.Broadcast) bool { return false }

// Message is what goes on the wire.
func (b *broadcast) Message() []byte { return b.msg }

// Finished is nothing to us.
func (b *broadcast) Finished() {}

// events is the side of Gossip that memberlist calls for members. It must not block.
type events Gossip

// NotifyJoin tells of a node that came.
func (e *events) NotifyJoin(n *memberlist.Node) { (*Gossip)(e).member(n, true) }

// NotifyUpdate tells of a node whose endpoint changed.
func (e *events) NotifyUpdate(n *memberlist.Node) { (*Gossip)(e).member(n, true) }

// NotifyLeave tells of a node that died or left.
func (e *events) NotifyLeave(n *memberlist.Node) { (*Gossip)(e).member(n, false) }

func (g *Gossip) member(n *memberlist.Node, alive bool) {
	endpoint, err := decodeEndpoint(n.Meta)
	if err != nil || memberName(endpoint.NodeID, endpoint.Boot) != n.Name {
		g.metrics.malformed.Inc()
		return
	}
	if !alive {
		g.reports.forget(endpoint.NodeID, endpoint.Boot)
	}
	if !g.members.put(endpoint, alive) {
		return
	}
	g.metrics.members.Set(float64(g.members.count()))
	if g.opts.OnMember != nil {
		g.opts.OnMember(Member{Endpoint: endpoint, Alive: alive})
	}
}
