package service

import (
	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/replica/host"
	"github.com/arionkv/arion/replica/read"
)

// reading answers one read. A nil response means that it has answered itself.
type reading func(c *call, r *host.Replica, v read.View) (frame.Message, error)

// point runs a read on the connection's goroutine, unless the lease must be
// renewed first.
func (s *Service) point(f reading) rpc.Handler {
	return func(req *rpc.Request) {
		c, ok := s.admitRead(req)
		if !ok {
			return
		}
		s.afterBarrier(c, func(c call) { s.answer(&c, f) })
	}
}

// ranged runs a read on a worker.
func (s *Service) ranged(f reading) rpc.Handler {
	return func(req *rpc.Request) {
		c, ok := s.admitRead(req)
		if !ok {
			return
		}
		s.afterBarrier(c, func(c call) {
			if !s.ranges.run(func() { s.answer(&c, f) }) {
				c.Fail(code.Busy)
			}
		})
	}
}

// admitRead is admit for reads. Scans of a whole partition carry the index in
// place of a hash, so only keyed reads could be checked for a foreign hash; they
// are, by name.
func (s *Service) admitRead(req *rpc.Request) (call, bool) {
	c, ok := s.admit(req, false)
	if !ok {
		return c, false
	}
	if keyed(req.Name) && c.foreign() {
		req.Fail(code.ParentPartitionMisused)
		return c, false
	}
	return c, true
}

func keyed(name string) bool {
	switch name {
	case frame.RPCGet, frame.RPCTTL, frame.RPCMultiGet, frame.RPCBatchGet, frame.RPCSortkeyCount:
		return true
	}
	return false
}

// afterBarrier goes on once a read is linearizable: at once under a lease. A
// backup request may be answered by any replica and may be stale.
func (s *Service) afterBarrier(c call, next func(call)) {
	if c.Backup {
		next(c)
		return
	}
	c.replica.ReadBarrier(func(err error) {
		if err != nil {
			s.fail(&c, err)
			return
		}
		next(c)
	})
}

// answer runs the read on the replica's engine and replies.
func (s *Service) answer(c *call, f reading) {
	eng, err := c.replica.Acquire()
	if err != nil {
		c.Fail(code.ObjectNotFound) // closed a moment ago
		return
	}
	defer eng.Release()
	result, err := f(c, c.replica, s.view(c, eng))
	if err != nil {
		s.log.WithError(err).WithFields(logrus.Fields{"rpc": c.Name, "partition": c.PartitionIndex, "table": c.AppID}).
			Error("storage failed in a read")
	}
	if result != nil {
		s.finish(c, result)
	}
}

func (s *Service) view(c *call, eng read.Source) read.View {
	t := c.replica.Table()
	v := read.View{Engine: eng, NowSec: c.replica.NowSec(), Limits: s.limits}
	v.Limits.Time = t.Settings.IterationTime
	if t.Settings.ValidateHash {
		v.PartitionCount = t.PartitionCount
	}
	return v
}

func (s *Service) get(c *call, r *host.Replica, v read.View) (frame.Message, error) {
	var key base.Blob
	if !c.DecodeOrFail(&key) {
		return nil, nil
	}
	return r.Reads.Get(v, key.Data, nil)
}

func (s *Service) ttl(c *call, r *host.Replica, v read.View) (frame.Message, error) {
	var key base.Blob
	if !c.DecodeOrFail(&key) {
		return nil, nil
	}
	return r.Reads.TTL(v, key.Data)
}

func (s *Service) sortKeyCount(c *call, r *host.Replica, v read.View) (frame.Message, error) {
	var hashKey base.Blob
	if !c.DecodeOrFail(&hashKey) {
		return nil, nil
	}
	return r.Reads.SortKeyCount(v, hashKey.Data)
}

func (s *Service) batchGet(c *call, r *host.Replica, v read.View) (frame.Message, error) {
	req := rrdb.NewBatchGetRequest()
	if !c.DecodeOrFail(req) {
		return nil, nil
	}
	return r.Reads.BatchGet(v, req)
}

func (s *Service) multiGet(c *call, r *host.Replica, v read.View) (frame.Message, error) {
	req := rrdb.NewMultiGetRequest()
	if !c.DecodeOrFail(req) {
		return nil, nil
	}
	return r.Reads.MultiGet(v, req)
}

func (s *Service) getScanner(c *call, r *host.Replica, v read.View) (frame.Message, error) {
	req := rrdb.NewGetScannerRequest()
	if !c.DecodeOrFail(req) {
		return nil, nil
	}
	return r.Reads.GetScanner(v, req)
}

func (s *Service) scan(c *call, r *host.Replica, v read.View) (frame.Message, error) {
	req := rrdb.NewScanRequest()
	if !c.DecodeOrFail(req) {
		return nil, nil
	}
	return r.Reads.Scan(v, req)
}

// clearScanner drops a context. It is never answered, not even with an error:
// clients break on an answer they do not know.
func (s *Service) clearScanner(req *rpc.Request) {
	defer req.Ignore()
	r, ok := s.o.Host.Lookup(req.AppID, req.PartitionIndex)
	if !ok {
		return
	}
	var id base.Int64
	if req.Decode(&id) == nil {
		r.Reads.ClearScanner(id.V)
	}
}
