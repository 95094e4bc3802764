package service

import (
	"sync"
	"time"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/host"
	"github.com/arionkv/arion/replica/load"
	"github.com/arionkv/arion/replica/partition"
	"github.com/arionkv/arion/replica/read"
	"github.com/arionkv/arion/replica/table"
	"github.com/arionkv/arion/replica/throttle"
)

// operation is one data call of the rrdb service.
type operation struct {
	op   load.Op
	hash hashKeyOf

	kind command.Kind // of a write

	read   reading // of a read
	ranged bool    // may take long: runs on a worker
	keyed  bool    // the header's hash is that of a key
}

// call is one admitted data request on its way through the service. Calls are
// reused together with their callbacks and buffers, so that a request costs the
// garbage collector little; end gives a call back and must be its last use.
type call struct {
	*rpc.Request
	s       *Service
	o       *operation
	replica *host.Replica
	table   *table.Table
	pass    throttle.Pass

	// Times of the stages, zero for those skipped.
	begin    time.Time
	admitted time.Time // no more held back
	barrier  time.Time // known to be linearizable
	started  time.Time // taken by a worker
	answered time.Time // result known
	trace    partition.Trace

	key   base.Blob
	buf   []byte // stored bytes of a get
	reply read.GetReply

	// Method values, made once.
	onAccept, onRefuse, onTask func()
	onBarrier                  func(error)
	onWritten                  partition.Done
}

// maxIdleBuf bounds what a call keeps for the next get.
const maxIdleBuf = 64 << 10

func newCalls(s *Service) *sync.Pool {
	return &sync.Pool{New: func() any {
		c := &call{s: s}
		c.onAccept, c.onRefuse, c.onTask = c.accept, c.refuse, c.answer
		c.onBarrier, c.onWritten = c.afterBarrier, c.written
		return c
	}}
}

// handler serves one operation.
func (s *Service) handler(o operation) rpc.Handler {
	return func(req *rpc.Request) {
		c := s.admit(req, &o, time.Now())
		if c == nil {
			return
		}
		if c.pass.Free() {
			c.goOn(true)
			return
		}
		c.pass.Hold(c.onAccept, c.onRefuse)
	}
}

// admit finds the replica and refuses what the table does not allow. It answers
// the request itself when it returns nil.
func (s *Service) admit(req *rpc.Request, o *operation, now time.Time) *call {
	r, ok := s.o.Host.Lookup(req.AppID, req.PartitionIndex)
	var t *table.Table
	if ok {
		t = r.Table()
	}
	if t == nil || req.AppID <= 0 {
		req.Fail(code.ObjectNotFound)
		return nil
	}
	if !s.allowed(req, o, r, t) {
		return nil
	}
	c := s.calls.Get().(*call)
	c.Request, c.o, c.replica, c.table, c.begin = req, o, r, t, now
	c.observe()
	if o.op.Write() {
		c.pass = r.Throttle.Write(len(req.Args))
	} else {
		c.pass = r.Throttle.Read(req.Backup)
	}
	return c
}

// allowed makes the checks that cost nothing, in the order the protocol has.
func (s *Service) allowed(req *rpc.Request, o *operation, r *host.Replica, t *table.Table) bool {
	write := o.op.Write()
	deny := t.Settings.Deny
	switch {
	case (write && deny.Writes || !write && deny.Reads) && deny.Reconfigure:
		req.Fail(code.InvalidState)
	case write && deny.Writes || !write && deny.Reads:
		req.Ignore()
	case write && len(req.Args) > maxWrite:
		req.Fail(code.InvalidData)
	case o.keyed && foreign(req, r, t):
		req.Fail(code.ParentPartitionMisused)
	case write && s.o.Disk.Full():
		req.Fail(code.DiskInsufficient)
	default:
		return true
	}
	return false
}

// foreign reports whether the key's hash belongs to another partition, which
// happens to clients that have not heard of a split yet. The header may lie; the
// last word is with apply and the reads, which look at the key.
func foreign(req *rpc.Request, r *host.Replica, t *table.Table) bool {
	count := hashCount(r, t)
	if !t.Settings.ValidateHash && r.HashCount() == 0 || count <= 0 {
		return false
	}
	return int32(req.PartitionHash%uint64(count)) != req.PartitionIndex
}

// hashCount is the partition count by which the replica owns hashes: what its log
// says, since the table's count is ahead of it while a split is under way.
func hashCount(r *host.Replica, t *table.Table) int32 {
	if n := r.HashCount(); n > 0 {
		return n
	}
	return t.InitPartitionCount
}

// accept goes on with a request that was held back, on the queue's goroutine.
func (c *call) accept() {
	c.admitted = time.Now()
	c.goOn(false)
}

func (c *call) refuse() {
	c.Fail(code.Busy)
	c.end()
}

// goOn does what the request asks for. inline says that the goroutine is the
// connection's, which may do a point read; another one has more to do.
func (c *call) goOn(inline bool) {
	switch {
	case c.o.op.Write():
		c.replica.WriteTraced(c.o.kind, c.Args, &c.trace, c.onWritten)
	case c.Backup || c.replica.TryRead():
		c.dispatch(inline)
	default:
		c.replica.ReadBarrier(c.onBarrier)
	}
}

// afterBarrier runs on a goroutine that other reads of the partition wait for.
func (c *call) afterBarrier(err error) {
	if err != nil {
		c.fail(err)
		return
	}
	c.barrier = time.Now()
	c.dispatch(true)
}

func (c *call) dispatch(inline bool) {
	if inline && !c.o.ranged {
		c.answer()
		return
	}
	if !c.s.ranges.run(c.onTask) {
		c.Fail(code.Busy)
		c.end()
	}
}

// written answers a write.
func (c *call) written(result apply.Result, err error) {
	if err != nil {
		c.fail(err)
		return
	}
	c.finish(result, len(c.Args))
}

// fail answers with the code that an error carries.
func (c *call) fail(err error) {
	k := code.Of(err)
	if k == code.Unknown {
		c.s.log.WithError(err).WithField("rpc", c.Name).Error("request failed for a reason that has no code")
	}
	c.Fail(k)
	c.end()
}

// finish answers, and accounts for the bytes and the time the request took.
func (c *call) finish(result frame.Message, bytes int) { c.finishAt(result, bytes, time.Now()) }

func (c *call) finishAt(result frame.Message, bytes int, now time.Time) {
	l := c.replica.Load
	l.Count(c.o.op, bytes)
	if !c.o.op.Write() {
		c.pass.Size(bytes)
		if c.Backup {
			l.Backup.Add(1)
			l.BackupBytes.Add(uint64(bytes))
		}
	}
	c.Reply(result)
	c.judge(now)
	c.end()
}

// end gives the call back.
func (c *call) end() {
	*c = call{
		s: c.s, buf: c.buf[:0], onAccept: c.onAccept, onRefuse: c.onRefuse, onTask: c.onTask,
		onBarrier: c.onBarrier, onWritten: c.onWritten,
	}
	if cap(c.buf) > maxIdleBuf {
		c.buf = nil
	}
	c.s.calls.Put(c)
}
