package service

import (
	"context"
	"errors"
	"time"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/meta/raft"
)

const (
	// readTimeout bounds a question: half of what the shell waits, and enough for an election.
	readTimeout = 5 * time.Second
	// writeTimeout bounds a change that is done once it is committed and the nodes know.
	writeTimeout = 8 * time.Second
	// createTimeout bounds the wait for a new table to serve. Clients give up at about 10 s and poll.
	createTimeout = 20 * time.Second
	// forwardPause spaces attempts to reach a leader that does not answer or does not lead.
	forwardPause = 50 * time.Millisecond
	// forwarded is the suffix of the name under which metas pass requests on.
	forwarded = "_FWD"
)

// request and response are pointers to generated structs.
type request[Q any] interface {
	*Q
	frame.Message
}

type response[R any] interface {
	*R
	frame.Message
	GetErr() *base.ErrorCode
}

// call is one RPC of the meta service.
type call[Q, R any] struct {
	name    string
	timeout time.Duration
	writes  bool // must not be sent again when its outcome is unknown
	// serve runs on the leader. raft.ErrNotLeader means that this server turned out not to lead and nothing was changed.
	serve func(ctx context.Context, q *Q) (*R, error)
	fail  func(c code.Code, hint string) *R
}

// register enters c under its name and under the one for requests passed on by other metas.
func register[Q, R any, PQ request[Q], PR response[R]](s *Service, mux *rpc.Mux, c call[Q, R]) {
	mux.Handle(c.name, func(req *rpc.Request) { accept[Q, R, PQ, PR](s, c, req, true) })
	mux.Handle(c.name+forwarded, func(req *rpc.Request) { accept[Q, R, PQ, PR](s, c, req, false) })
}

// accept decodes on the connection's goroutine, since the bytes are borrowed, and goes on elsewhere.
func accept[Q, R any, PQ request[Q], PR response[R]](s *Service, c call[Q, R], req *rpc.Request, mayForward bool) {
	q := PQ(new(Q))
	if !req.DecodeOrFail(q) {
		return
	}
	reply := func(r *R) {
		if mayForward && !req.HostPorts() {
			stripHostPorts(PR(r))
		}
		req.Reply(PR(r))
	}
	if !s.begin() {
		reply(c.fail(code.Busy, "the meta server has too much to do"))
		return
	}
	go func() {
		defer s.end()
		ctx, cancel := context.WithTimeout(s.ctx, c.timeout)
		defer cancel()
		reply(run[Q, R, PQ, PR](ctx, s, c, q, mayForward))
	}()
}

// run finds the leader, which may be this server, and gets the answer there.
func run[Q, R any, PQ request[Q], PR response[R]](ctx context.Context, s *Service, c call[Q, R], q *Q, mayForward bool) *R {
	for {
		changed := s.o.Group.Changed()
		addr, self := s.leaderAddress()
		switch {
		case self:
			r, err := c.serve(ctx, q)
			if err == nil {
				return r
			}
			if !errors.Is(err, raft.ErrNotLeader) {
				return failure(s, c, err)
			}
		case !mayForward:
			return c.fail(code.ForwardToOthers, "")
		case addr != "":
			r, final := forward[Q, R, PQ, PR](ctx, s, c, addr, q)
			if final {
				return r
			}
		}
		if !pause(ctx, changed) {
			return unserved(s, c)
		}
	}
}

// forward asks the leader. final is false when it is worth asking again: the request did not get there, or was refused
// by a server that does not lead.
func forward[Q, R any, PQ request[Q], PR response[R]](ctx context.Context, s *Service, c call[Q, R], addr string, q *Q) (*R, bool) {
	r := PR(new(R))
	err := s.o.Caller.Call(ctx, addr, c.name+forwarded, PQ(q), r)
	switch {
	case err == nil && r.GetErr().Code() == code.ForwardToOthers:
		return nil, false
	case err == nil:
		return r, true
	case errors.Is(err, rpc.ErrUnreachable) || !c.writes || code.Of(err) == code.Busy:
		return nil, false
	}
	return c.fail(code.Timeout, "the leading meta server did not answer: whether this took effect is unknown"), true
}

// unserved is the answer when time ran out without a leader that answered.
func unserved[Q, R any](s *Service, c call[Q, R]) *R {
	if addr, self := s.leaderAddress(); addr != "" && !self {
		return c.fail(code.ForwardToOthers, "the leading meta server "+addr+" cannot be reached from here")
	}
	return c.fail(code.ServiceNotActive, "no meta server leads")
}

func failure[Q, R any](s *Service, c call[Q, R], err error) *R {
	var known *code.Error
	switch {
	case errors.As(err, &known):
		return c.fail(known.Code, known.Hint)
	case errors.Is(err, context.DeadlineExceeded):
		return c.fail(code.Timeout, "not finished in time")
	case errors.Is(err, context.Canceled):
		return c.fail(code.ServiceNotActive, "the meta server is stopping")
	}
	s.log.WithError(err).WithField("rpc", c.name).Warn("request failed")
	return c.fail(code.Timeout, "the catalog did not answer: whether this took effect is unknown")
}

// pause waits until something changed or a moment passed. false: the time is up.
func pause(ctx context.Context, changed <-chan struct{}) bool {
	timer := time.NewTimer(forwardPause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-timer.C:
	}
	return ctx.Err() == nil
}
