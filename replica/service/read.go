package service

import (
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/partition"
	"github.com/arionkv/arion/replica/read"
)

// reading answers one read. The response may come with an error, which then is
// for the log only.
type reading func(c *call, v read.View) (frame.Message, error)

// errArgs is a request whose arguments do not decode.
var errArgs = errors.New("arguments do not decode")

// answer runs the read on the replica's engine and replies.
func (c *call) answer() {
	if c.o.ranged {
		c.started = time.Now()
	}
	eng, err := c.replica.Acquire()
	if err != nil {
		c.Fail(code.ObjectNotFound) // closed a moment ago
		c.end()
		return
	}
	defer eng.Release()
	result, err := c.o.read(c, c.view(eng))
	switch {
	case errors.Is(err, errArgs):
		c.Fail(code.InvalidParameters)
		c.end()
		return
	case errors.Is(err, read.ErrForeign):
		c.Fail(code.ParentPartitionMisused)
		c.end()
		return
	case err != nil:
		c.replica.NoteDamage(err)
		c.s.log.WithError(err).WithFields(logrus.Fields{"rpc": c.Name, "partition": c.PartitionIndex, "table": c.AppID}).
			Error("storage failed in a read")
		if c.replica.Yields() {
			release(result)
			c.Fail(code.InvalidState) // for the client to ask who leads by then
			c.end()
			return
		}
	}
	if c.o.ranged {
		c.answered = time.Now()
	}
	c.finish(result, sizeOf(result))
	release(result)
}

func release(result frame.Message) {
	if r, ok := result.(*read.RangeReply); ok {
		r.Release()
	}
}

func (c *call) view(eng *partition.Handle) read.View {
	v := read.View{Engine: eng, NowSec: c.replica.NowSec(), Limits: c.s.limits}
	v.Limits.Time = c.table.Settings.IterationTime
	v.HashCount = c.replica.HashCount()
	if c.table.Settings.ValidateHash {
		v.PartitionCount = hashCount(c.replica, c.table)
	}
	return v
}

// sizeOf is the user data in a reply, in bytes.
func sizeOf(m frame.Message) (n int) {
	switch r := m.(type) {
	case *rrdb.ReadResponse:
		return r.Value.Len()
	case *read.RangeReply:
		return r.Bytes()
	case *rrdb.BatchGetResponse:
		for _, d := range r.Data {
			n += d.HashKey.Len() + d.SortKey.Len() + d.Value.Len()
		}
	}
	return n
}

func get(c *call, v read.View) (frame.Message, error) {
	if c.Decode(&c.key) != nil {
		return nil, errArgs
	}
	var err error
	c.buf, err = c.replica.Reads.GetInto(v, c.key.Data, c.buf[:0], &c.reply)
	return &c.reply.ReadResponse, err
}

func ttl(c *call, v read.View) (frame.Message, error) {
	if c.Decode(&c.key) != nil {
		return nil, errArgs
	}
	return c.replica.Reads.TTL(v, c.key.Data)
}

func sortKeyCount(c *call, v read.View) (frame.Message, error) {
	if c.Decode(&c.key) != nil {
		return nil, errArgs
	}
	return c.replica.Reads.SortKeyCount(v, c.key.Data)
}

func batchGet(c *call, v read.View) (frame.Message, error) {
	req := rrdb.NewBatchGetRequest()
	if c.Decode(req) != nil {
		return nil, errArgs
	}
	second := c.begin.Unix()
	for _, k := range req.Keys {
		c.replica.Load.Reads.Observe(k.HashKey.Bytes(), second)
	}
	return c.replica.Reads.BatchGet(v, req)
}

func getScanner(c *call, v read.View) (frame.Message, error) {
	req := rrdb.NewGetScannerRequest()
	if c.Decode(req) != nil {
		return nil, errArgs
	}
	// The header of a scan of a whole partition holds the index that the client
	// means, which may be that of the other half.
	if v.HashCount > 0 && !apply.Owns(c.PartitionHash, c.PartitionIndex, v.HashCount) {
		return nil, read.ErrForeign
	}
	return c.replica.Reads.GetScanner(v, req)
}

func scan(c *call, v read.View) (frame.Message, error) {
	req := rrdb.NewScanRequest()
	if c.Decode(req) != nil {
		return nil, errArgs
	}
	return c.replica.Reads.Scan(v, req)
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
