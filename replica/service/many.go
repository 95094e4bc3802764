package service

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/replica/host"
	"github.com/arionkv/arion/replica/read"
)

// getsTogether serves gets that came in one burst of a connection: those of one
// partition are looked up together, which costs the engine less than half of as
// many single lookups. What cannot be read at once goes the way of a single get.
func (s *Service) getsTogether(o operation) rpc.BatchHandler {
	single := s.handler(o)
	return func(reqs []*rpc.Request) {
		if len(reqs) == 1 {
			single(reqs[0])
			return
		}
		b := batches.Get().(*batch)
		defer b.end()
		now := time.Now() // one for all: a look at the clock costs a fifth of a cached get
		for _, req := range reqs {
			c := s.admit(req, &o, now)
			switch {
			case c == nil:
			case !c.pass.Free():
				c.pass.Hold(c.onAccept, c.onRefuse)
			case c.Backup || c.replica.TryReadAt(now):
				b.calls = append(b.calls, c)
			default:
				c.replica.ReadBarrier(c.onBarrier)
			}
		}
		b.answer()
	}
}

// batch is gets that may be read now.
type batch struct {
	calls []*call // nil once answered
	group []*call // of one replica
	keys  [][]byte
	reply read.GetReply
	ended time.Time // when the group was looked up, zero before

	onAnswer func(int, error) // method value, made once
}

var batches = sync.Pool{New: func() any {
	b := new(batch)
	b.onAnswer = b.answerOne
	return b
}}

func (b *batch) end() {
	clear(b.calls)
	b.calls = b.calls[:0]
	batches.Put(b)
}

// answer takes the calls replica by replica.
func (b *batch) answer() {
	for i, c := range b.calls {
		if c == nil {
			continue
		}
		r := c.replica
		b.group, b.keys = b.group[:0], b.keys[:0]
		for j, d := range b.calls[i:] {
			if d != nil && d.replica == r {
				b.add(d)
				b.calls[i+j] = nil
			}
		}
		b.answerGroup(r)
	}
	clear(b.group)
	clear(b.keys)
}

func (b *batch) add(c *call) {
	if c.Decode(&c.key) != nil {
		c.Fail(code.InvalidParameters)
		c.end()
		return
	}
	b.group, b.keys = append(b.group, c), append(b.keys, c.key.Data)
}

func (b *batch) answerGroup(r *host.Replica) {
	switch len(b.group) {
	case 0:
		return
	case 1:
		b.group[0].answer()
		return
	}
	eng, err := r.Acquire()
	if err != nil {
		for _, c := range b.group {
			c.Fail(code.ObjectNotFound) // closed a moment ago
			c.end()
		}
		return
	}
	defer eng.Release()
	b.ended = time.Time{}
	r.Reads.GetMany(b.group[0].view(eng), b.keys, &b.reply, b.onAnswer)
}

func (b *batch) answerOne(i int, err error) {
	c := b.group[i]
	if err != nil {
		c.s.log.WithError(err).WithFields(logrus.Fields{"rpc": c.Name, "partition": c.PartitionIndex, "table": c.AppID}).
			Error("storage failed in a read")
	}
	if b.ended.IsZero() {
		b.ended = time.Now()
	}
	c.finishAt(&b.reply.ReadResponse, b.reply.Value.Len(), b.ended)
}
