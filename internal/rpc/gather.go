package rpc

import (
	"runtime/debug"

	"github.com/arionkv/arion/idl/code"
)

// BatchHandler serves requests of one name that arrived together, in the order
// they came; there is at least one. It ends each of them as a Handler does, under
// the same rules, and does not keep the slice.
type BatchHandler func([]*Request)

// maxGathered bounds a batch: a lookup of 64 keys at once has gained nearly all
// there is to gain, and its first reply should not wait for many more.
const maxGathered = 64

// gathered is the batch that the reading goroutine is putting together.
type gathered struct {
	route    *route
	requests []*Request
}

// gather adds a request to the batch. Requests of other names may overtake it:
// replies have no order.
func (c *conn) gather(r *Request) {
	if c.batch.route != r.route {
		c.runBatch()
		c.batch.route = r.route
	}
	c.batch.requests = append(c.batch.requests, r)
	if len(c.batch.requests) == maxGathered {
		c.runBatch()
	}
}

// runBatch hands over what has gathered.
func (c *conn) runBatch() {
	if len(c.batch.requests) == 0 {
		return
	}
	batch := c.batch.requests
	defer func() {
		if v := recover(); v != nil {
			c.srv.panicked(c.batch.route.name, caught{v, debug.Stack()})
			for _, r := range batch {
				if !r.ended.Load() {
					r.Fail(code.Unknown)
				}
			}
		}
		clear(batch)
		c.batch.requests = batch[:0]
	}()
	c.batch.route.batch(batch)
}
