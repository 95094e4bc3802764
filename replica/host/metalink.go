package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
)

// syncTimeout bounds one SYNC with one meta server. A stalled meta server must
// not keep the node from asking the next one.
const syncTimeout = 2 * time.Second

// caller is the part of rpc.Pool that the link needs.
type caller interface {
	Call(ctx context.Context, addr, name string, arg, result frame.Message) error
}

// metaLink finds the leading meta server and exchanges SYNC with it. Used by one
// goroutine.
type metaLink struct {
	pool    caller
	servers []string // configured meta servers
	leader  string   // last one that answered as leader, "" = unknown
}

// sync asks the known leader first, then every configured server, following one
// referral from each. It returns the first answer that is ERR_OK.
func (l *metaLink) sync(ctx context.Context, req *arion.SyncRequest) (*arion.SyncResponse, error) {
	var failures []error
	for _, addr := range l.order() {
		resp, err := l.ask(ctx, addr, req)
		if err == nil {
			return resp, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	l.leader = ""
	return nil, fmt.Errorf("no meta server took the report: %w", errors.Join(failures...))
}

func (l *metaLink) order() []string {
	if l.leader == "" {
		return l.servers
	}
	order := []string{l.leader}
	for _, s := range l.servers {
		if s != l.leader {
			order = append(order, s)
		}
	}
	return order
}

func (l *metaLink) ask(ctx context.Context, addr string, req *arion.SyncRequest) (*arion.SyncResponse, error) {
	resp, err := l.call(ctx, addr, req)
	if err != nil {
		return nil, err
	}
	if resp.Err.Errno == code.ForwardToOthers.String() && resp.LeaderAddress != "" && resp.LeaderAddress != addr {
		addr = resp.LeaderAddress
		if resp, err = l.call(ctx, addr, req); err != nil {
			return nil, err
		}
	}
	if resp.Err.Errno != code.OK.String() {
		return nil, fmt.Errorf("meta server %s: %s", addr, resp.Err.Errno)
	}
	l.leader = addr
	return resp, nil
}

func (l *metaLink) call(ctx context.Context, addr string, req *arion.SyncRequest) (*arion.SyncResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	resp := arion.NewSyncResponse()
	if err := l.pool.Call(ctx, addr, frame.RPCArionSync, req, resp); err != nil {
		return nil, fmt.Errorf("meta server %s: %w", addr, err)
	}
	if resp.Err == nil {
		return nil, fmt.Errorf("meta server %s: reply without a code", addr)
	}
	return resp, nil
}
