// Package service answers the calls of the replica role: the data calls of
// clients, and the node calls of admin tools and meta servers.
//
// Point reads run on the connection's goroutine: under a valid lease they touch
// memory or a cached block. Range reads may take as long as their time limit,
// so they run on a bounded set of workers. Writes wait for raft and are answered
// from its goroutines.
package service

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/remotecmd"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/host"
	"github.com/arionkv/arion/replica/load"
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
	calls   *sync.Pool // of *call
}

// New makes a Service. Close it after the rpc server.
func New(o Options) *Service {
	s := &Service{
		o: o, log: o.Log,
		limits:  read.DefaultLimits(),
		ranges:  newWorkers(),
		slow:    obs.NewThrottle(slowLogInterval),
		metrics: newMetrics(o),
	}
	s.calls = newCalls(s)
	return s
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
	add := func(name string, op load.Op, kind command.Kind, hash hashKeyOf) {
		m.Handle(name, s.handler(operation{op: op, kind: kind, hash: hash, keyed: true}))
	}
	add(frame.RPCPut, load.Put, command.Put, keyField)
	add(frame.RPCMultiPut, load.MultiPut, command.MultiPut, hashKeyField)
	add(frame.RPCRemove, load.Remove, command.Remove, keyArg)
	add(frame.RPCMultiRemove, load.MultiRemove, command.MultiRemove, hashKeyField)
	add(frame.RPCIncr, load.Incr, command.Incr, keyField)
	add(frame.RPCCheckAndSet, load.CheckAndSet, command.CheckAndSet, hashKeyField)
	add(frame.RPCCheckAndMutate, load.CheckAndMutate, command.CheckAndMutate, hashKeyField)
}

// Scans of a whole partition carry its index in place of a hash, so the hash of
// scans means nothing.
func (s *Service) registerReads(m *rpc.Mux) {
	for name, o := range map[string]operation{
		frame.RPCTTL:          {op: load.TTL, read: ttl, hash: keyArg, keyed: true},
		frame.RPCBatchGet:     {op: load.BatchGet, read: batchGet, keyed: true, ranged: true},
		frame.RPCMultiGet:     {op: load.MultiGet, read: multiGet, hash: hashKeyField, keyed: true, ranged: true},
		frame.RPCSortkeyCount: {op: load.SortKeyCount, read: sortKeyCount, hash: hashKeyArg, keyed: true, ranged: true},
		frame.RPCGetScanner:   {op: load.GetScanner, read: getScanner, ranged: true},
		frame.RPCScan:         {op: load.Scan, read: scan, ranged: true},
	} {
		m.Handle(name, s.handler(o))
	}
	m.HandleBatch(frame.RPCGet, s.getsTogether(operation{op: load.Get, read: get, hash: keyArg, keyed: true}))
	m.Handle(frame.RPCClearScanner, s.clearScanner)
}
