// Package service answers the calls of the replica role: the data calls of
// clients, and the node calls of admin tools and meta servers.
//
// Point reads run on the connection's goroutine: under a valid lease they touch
// memory or a cached block. Range reads may take as long as their time limit,
// so they run on a bounded set of workers. Writes wait for raft and are answered
// from its goroutines.
package service

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/remotecmd"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/host"
	"github.com/arionkv/arion/replica/read"
)

const (
	// maxWrite bounds the argument of a write, as upstream's
	// max_allowed_write_size does.
	maxWrite = 1 << 20
	// slowLogInterval is the least time between two slow-request lines of one
	// table; the rest are counted.
	slowLogInterval = time.Second
)

// Options of a Service. All fields are needed.
type Options struct {
	Host       *host.Host
	Disk       *host.Disk
	Endpoint   *arion.NodeEndpoint
	Commands   *remotecmd.Registry
	Log        *logrus.Entry
	Registerer prometheus.Registerer
}

// Service handles the calls. Make it with New, add it to a mux with Register.
type Service struct {
	o       Options
	log     *logrus.Entry
	limits  read.Limits
	ranges  *workers
	slow    *obs.Throttle
	metrics *metrics
}

// New makes a Service. Close it after the rpc server.
func New(o Options) *Service {
	return &Service{
		o: o, log: o.Log,
		limits:  read.DefaultLimits(),
		ranges:  newWorkers(),
		slow:    obs.NewThrottle(slowLogInterval),
		metrics: newMetrics(o.Registerer),
	}
}

// Close waits for range reads that run.
func (s *Service) Close() { s.ranges.close() }

// Register adds every call of the replica role to m.
func (s *Service) Register(m *rpc.Mux) {
	s.registerWrites(m)
	s.registerReads(m)
	s.registerNode(m)
}

func (s *Service) registerWrites(m *rpc.Mux) {
	for name, kind := range map[string]command.Kind{
		frame.RPCPut:            command.Put,
		frame.RPCMultiPut:       command.MultiPut,
		frame.RPCRemove:         command.Remove,
		frame.RPCMultiRemove:    command.MultiRemove,
		frame.RPCIncr:           command.Incr,
		frame.RPCCheckAndSet:    command.CheckAndSet,
		frame.RPCCheckAndMutate: command.CheckAndMutate,
	} {
		m.Handle(name, s.write(kind))
	}
}

func (s *Service) registerReads(m *rpc.Mux) {
	m.Handle(frame.RPCGet, s.point(s.get))
	m.Handle(frame.RPCTTL, s.point(s.ttl))
	m.Handle(frame.RPCBatchGet, s.ranged(s.batchGet))
	m.Handle(frame.RPCMultiGet, s.ranged(s.multiGet))
	m.Handle(frame.RPCSortkeyCount, s.ranged(s.sortKeyCount))
	m.Handle(frame.RPCGetScanner, s.ranged(s.getScanner))
	m.Handle(frame.RPCScan, s.ranged(s.scan))
	m.Handle(frame.RPCClearScanner, s.clearScanner)
}

// call is one admitted request on its way through the service.
type call struct {
	*rpc.Request
	replica *host.Replica
	begin   time.Time
}

// admit finds the replica and refuses what the table does not allow. It answers
// the request itself when it returns false.
func (s *Service) admit(req *rpc.Request, write bool) (call, bool) {
	if req.AppID <= 0 {
		req.Fail(code.ObjectNotFound)
		return call{}, false
	}
	r, ok := s.o.Host.Lookup(req.AppID, req.PartitionIndex)
	if !ok {
		req.Fail(code.ObjectNotFound)
		return call{}, false
	}
	t := r.Table()
	if deny := t.Settings.Deny; write && deny.Writes || !write && deny.Reads {
		if deny.Reconfigure {
			req.Fail(code.InvalidState)
		} else {
			req.Ignore()
		}
		return call{}, false
	}
	return call{Request: req, replica: r, begin: time.Now()}, true
}

// foreign reports whether the key's hash belongs to another partition, which
// happens to clients that have not heard of a split yet.
func (c *call) foreign() bool {
	t := c.replica.Table()
	if !t.Settings.ValidateHash || t.PartitionCount <= 0 {
		return false
	}
	return int32(c.PartitionHash%uint64(t.PartitionCount)) != c.PartitionIndex
}

// fail answers with the code that an error carries.
func (s *Service) fail(c *call, err error) {
	k := code.Of(err)
	if k == code.Unknown {
		s.log.WithError(err).WithField("rpc", c.Name).Error("request failed for a reason that has no code")
	}
	c.Fail(k)
}

// finish answers and accounts for the time the request took here.
func (s *Service) finish(c *call, result frame.Message) {
	c.Reply(result)
	t := c.replica.Table()
	if took := time.Since(c.begin); took >= t.Settings.SlowQuery && t.Settings.SlowQuery > 0 {
		s.metrics.slow.WithLabelValues(t.Name).Inc()
		if more, ok := s.slow.Allow(t.Name); ok {
			s.log.WithFields(logrus.Fields{
				"table": t.Name, "partition": c.PartitionIndex, "rpc": c.Name, "client": c.Remote,
				"took": took, "not_logged": more,
			}).Warn("slow request")
		}
	}
}
