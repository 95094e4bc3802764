// Package gossip lets all nodes of a cluster know each other and what their replicas do.
//
// What it tells is a hint: who seems alive, who says that it leads what. It may start a plan or save a question; it never
// decides who owns data. Bytes from the network that make no sense are counted and dropped.
//
// A node's name in the protocol is its generated id and its boot counter. A restarted node, or one with a new address, is
// therefore a new member and never in conflict with its former self, whose death is ignored once the newer boot is known.
//
// Files: codec.go the bytes, members.go who is there, reports.go what they report, delegate.go the side that memberlist calls.
package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/internal/obs"
)

// The profile. A silent node is suspected after a missed probe round (0.5 s, of which 0.3 s wait for the ack, then
// indirect and TCP probes) and declared dead suspicionMult rounds later: 1.5 to 2 s in all for up to ten nodes, growing
// with log10 of their number. On a loaded machine memberlist's own awareness stretches both by up to awareness times, so a
// node that is itself short of CPU accuses others late. A false death costs a line in a list, nothing more, since data
// moves only after a confirmation over RPC.
const (
	probeInterval   = 500 * time.Millisecond
	probeTimeout    = 300 * time.Millisecond
	suspicionMult   = 3
	awareness       = 8
	gossipInterval  = 100 * time.Millisecond // a report crosses ten nodes in two or three of these
	gossipFanout    = 3
	pushPull        = 7 * time.Second // whole state with one random node; heals what packets lost
	toTheDead       = 30 * time.Second
	streamTimeout   = 3 * time.Second
	rejoinInterval  = 3 * time.Second // seeds that are not members are tried again this often
	packetSize      = 1400            // fits an Ethernet frame
	handoffDepth    = 1024            // packets waiting to be handled; beyond, memberlist drops
	maxQueuedDeltas = 4096            // reports waiting to be broadcast; the oldest go first, push-pull brings them later
)

// Member is a node as gossip sees it.
type Member struct {
	Endpoint *arion.NodeEndpoint
	Alive    bool
}

// Options of Open.
type Options struct {
	Endpoint      *arion.NodeEndpoint // this node; its encoding must fit in 512 bytes
	BindAddr      string              // host:port, UDP and TCP; port 0 picks one
	AdvertiseAddr string              // empty: BindAddr
	Seeds         []string            // gossip addresses to join through; may contain this node
	Cluster       string              // packets of another cluster are dropped
	Key           []byte              // 16, 24 or 32 bytes encrypt everything; empty: plain
	Log           *logrus.Entry
	Registerer    prometheus.Registerer // may be nil

	// OnMember is told of each change of a member, OnReport of what a node (this one excepted) reports: changes, or with
	// full its whole set. Both run on the network's goroutines and must not block. The pointers may be kept, not changed.
	OnMember func(Member)
	OnReport func(nodeID int64, reports []*arion.ReplicaReport, full bool)
}

// Gossip is one node's place in the cluster.
type Gossip struct {
	opts    Options
	log     *logrus.Entry
	list    *memberlist.Memberlist
	queue   *memberlist.TransmitLimitedQueue
	members members
	reports reports
	metrics *metrics
	meta    atomic.Pointer[[]byte] // this node's encoded endpoint

	cancel context.CancelFunc
	done   sync.WaitGroup
	closed sync.Once
	quiet  atomic.Bool // closing: memberlist goes on complaining about its closed socket
}

// logWriter passes memberlist's lines on until this node closes.
type logWriter struct {
	g   *Gossip
	out io.Writer
}

func (w logWriter) Write(line []byte) (int, error) {
	if w.g.quiet.Load() {
		return len(line), nil
	}
	return w.out.Write(line)
}

// Open binds the address and starts to join through the seeds in the background: a cluster whose nodes start in any order
// comes together. The error is about this node only.
func Open(o Options) (*Gossip, error) {
	if o.Log == nil {
		o.Log = obs.Discard()
	}
	if o.Endpoint == nil || o.Endpoint.NodeID == 0 {
		return nil, errors.New("gossip: no node id")
	}
	g := &Gossip{opts: o, log: o.Log, metrics: newMetrics(o.Registerer)}
	if err := g.setEndpoint(o.Endpoint); err != nil {
		return nil, err
	}
	g.reports.init(o.Endpoint.NodeID, o.Endpoint.Boot)
	conf, err := g.config()
	if err != nil {
		return nil, err
	}
	g.queue = &memberlist.TransmitLimitedQueue{NumNodes: g.members.count, RetransmitMult: conf.RetransmitMult}
	if g.list, err = memberlist.Create(conf); err != nil {
		return nil, fmt.Errorf("gossip on %s: %w", o.BindAddr, err)
	}
	if err := g.learnPort(); err != nil {
		return nil, errors.Join(err, g.list.Shutdown())
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.done.Add(1)
	go g.joinLoop(ctx)
	return g, nil
}

func (g *Gossip) config() (*memberlist.Config, error) {
	conf := memberlist.DefaultLANConfig()
	conf.Name = memberName(g.opts.Endpoint.NodeID, g.opts.Endpoint.Boot)
	conf.Label = g.opts.Cluster
	conf.ProbeInterval, conf.ProbeTimeout = probeInterval, probeTimeout
	conf.SuspicionMult, conf.AwarenessMaxMultiplier = suspicionMult, awareness
	conf.GossipInterval, conf.GossipNodes, conf.GossipToTheDeadTime = gossipInterval, gossipFanout, toTheDead
	conf.PushPullInterval, conf.TCPTimeout = pushPull, streamTimeout
	conf.UDPBufferSize, conf.HandoffQueueDepth = packetSize, handoffDepth
	conf.EnableCompression = false // states are varints already; LZW costs more CPU than it saves bytes
	conf.SecretKey = g.opts.Key
	conf.Logger = log.New(logWriter{g, obs.MemberlistLogWriter(g.log)}, "", 0)
	conf.Delegate = (*delegate)(g)
	conf.Events = (*events)(g)
	var err error
	if conf.BindAddr, conf.BindPort, err = hostPort(g.opts.BindAddr); err != nil {
		return nil, err
	}
	conf.AdvertisePort = conf.BindPort
	if g.opts.AdvertiseAddr != "" && g.opts.AdvertiseAddr != g.opts.BindAddr {
		host, port, err := hostPort(g.opts.AdvertiseAddr)
		if err != nil {
			return nil, err
		}
		conf.AdvertisePort = port
		if conf.AdvertiseAddr, err = resolve(host); err != nil {
			return nil, err
		}
	}
	return conf, nil
}

func hostPort(addr string) (string, int, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("gossip address %q: %w", addr, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("gossip address %q: %w", addr, err)
	}
	if host != "" {
		host, err = resolve(host)
	}
	return host, int(port), err
}

// resolve turns a name into an IP text, which is all that memberlist takes.
func resolve(host string) (string, error) {
	if net.ParseIP(host) != nil {
		return host, nil
	}
	ips, err := net.LookupHost(host)
	if err != nil || len(ips) == 0 {
		return "", fmt.Errorf("gossip address %q: %w", host, err)
	}
	return ips[0], nil
}

// setEndpoint stores the endpoint as the bytes that other nodes get.
func (g *Gossip) setEndpoint(e *arion.NodeEndpoint) error {
	b := appendEndpoint(nil, e)
	if len(b) > memberlist.MetaMaxSize {
		return fmt.Errorf("gossip: addresses, version and zone of this node take %d bytes, at most %d fit", len(b), memberlist.MetaMaxSize)
	}
	g.meta.Store(&b)
	return nil
}

// learnPort tells the others the port that the system picked, when none was given.
func (g *Gossip) learnPort() error {
	if _, port, _ := hostPort(g.opts.BindAddr); port != 0 {
		return nil
	}
	e := *g.opts.Endpoint
	e.GossipAddress = g.Addr()
	if err := g.setEndpoint(&e); err != nil {
		return err
	}
	return g.list.UpdateNode(streamTimeout)
}

// Addr is the address that this node advertises.
func (g *Gossip) Addr() string { return g.list.LocalNode().Address() }

// joinLoop keeps asking the seeds that are not members: at start until one answers, later to heal a cluster that a long
// cut has split for good in memberlist's eyes.
func (g *Gossip) joinLoop(ctx context.Context) {
	defer g.done.Done()
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		for _, seed := range g.absentSeeds() {
			if ctx.Err() != nil {
				return
			}
			if _, err := g.list.Join([]string{seed}); err != nil {
				g.metrics.failedJoins.Inc()
				g.log.WithError(err).WithField("seed", seed).Debug("gossip seed not reached")
			}
		}
		wait.Reset(rejoinInterval)
	}
}

func (g *Gossip) absentSeeds() []string {
	there := g.members.addresses()
	var out []string
	for _, seed := range g.opts.Seeds {
		host, port, err := hostPort(seed)
		if err != nil || there[seed] || there[net.JoinHostPort(host, strconv.Itoa(port))] {
			continue
		}
		out = append(out, seed)
	}
	return out
}

// Members returns every node heard of, this one included, the alive ones first.
func (g *Gossip) Members() []Member { return g.members.all() }

// SetReports gives the state of all replicas of this node, replacing what was given before. A replica whose state, term or
// leader changed is told to the others at once; the rest goes with the next exchange of whole states. The reports must
// not be changed afterwards.
func (g *Gossip) SetReports(full []*arion.ReplicaReport) {
	changed, seq := g.reports.setOwn(full)
	g.metrics.sentDeltas.Add(float64(len(changed)))
	self := g.opts.Endpoint
	for len(changed) > 0 {
		msg, n := packDelta(self.NodeID, self.Boot, seq, changed)
		for _, r := range changed[:n] {
			g.broadcast(delta{node: self.NodeID, boot: self.Boot, seq: seq, report: r})
		}
		g.tellMetas(msg)
		changed = changed[n:]
	}
}

// tellMetas sends a delta straight to the meta servers: a packet each, which beats the epidemic by some hundred
// milliseconds where it matters most. A lost one is made up for by the broadcast.
func (g *Gossip) tellMetas(msg []byte) {
	for _, to := range g.members.metas() {
		if err := g.list.SendToAddress(to, msg); err != nil {
			g.metrics.failedSends.Inc()
		}
	}
}

// Leave tells the others that this node goes on purpose, waiting at most timeout for the word to get out. That it did not is
// no error: when a whole cluster stops there is nobody left to hear it.
func (g *Gossip) Leave(timeout time.Duration) error {
	if err := g.list.Leave(timeout); err != nil {
		g.log.WithError(err).Debug("gossip good-bye was not confirmed")
	}
	return nil
}

// Close stops everything and frees the port. It does not say goodbye: see Leave.
func (g *Gossip) Close() error {
	var err error
	g.closed.Do(func() {
		g.cancel()
		g.quiet.Store(true)
		err = g.list.Shutdown()
		g.done.Wait()
	})
	return err
}
