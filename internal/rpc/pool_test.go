package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func newTestPool(t testing.TB, change func(*PoolOptions)) *Pool {
	o := PoolOptions{Registerer: prometheus.NewRegistry()}
	if change != nil {
		change(&o)
	}
	p := NewPool(o)
	t.Cleanup(p.Close)
	return p
}

func (p *Pool) echo(ctx context.Context, addr, v string) (string, error) {
	var got base.String
	err := p.Call(ctx, addr, rpcEcho, text(v), &got)
	return got.V, err
}

func TestPoolCall(t *testing.T) {
	r := newRig(t, nil)
	p := newTestPool(t, nil)
	for _, size := range []int{0, 10, 100_000, 5 << 20} {
		v := strings.Repeat("v", size)
		got, err := p.echo(t.Context(), r.addr, v)
		require.NoError(t, err)
		require.Equal(t, v, got)
	}
	var got base.String
	err := p.Call(t.Context(), r.addr, "RPC_FOO_BAR", text("x"), &got)
	var e *code.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code.HandlerNotFound, e.Code)
	require.Equal(t, 1.0, r.metric(t, "arion_rpc_connections"), "one connection for all calls")
}

func TestPoolConcurrent(t *testing.T) {
	r := newRig(t, nil)
	p := newTestPool(t, nil)
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() {
			v := fmt.Sprint(i)
			got, err := p.echo(t.Context(), r.addr, v)
			if err != nil || got != v {
				t.Errorf("echo %s = %q, %v", v, got, err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1.0, r.metric(t, "arion_rpc_connections"))
}

func TestPoolTimeout(t *testing.T) {
	r := newRig(t, nil)
	p := newTestPool(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var got base.String
	err := p.Call(ctx, r.addr, rpcHold, text("late"), &got)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	r.release() // the late answer is dropped, the next one is matched
	v, err := p.echo(t.Context(), r.addr, "next")
	require.NoError(t, err)
	require.Equal(t, "next", v)
}

func TestPoolSilentPeerIsDropped(t *testing.T) {
	r := newRig(t, nil)
	p := newTestPool(t, func(o *PoolOptions) { o.CallTimeout = 10 * time.Millisecond })
	for range maxSilentTimeouts {
		var got base.String
		require.ErrorIs(t, p.Call(t.Context(), r.addr, rpcHold, text("x"), &got), context.DeadlineExceeded)
	}
	eventually(t, "connection dropped", func() bool { return r.closed(t, closePeer) >= 0 && p.links(r.addr) == 0 })
	_, err := p.echo(context.Background(), r.addr, "again")
	require.NoError(t, err)
}

func (p *Pool) links(addr string) int {
	r, err := p.remoteOf(addr)
	if err != nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link != nil {
		return 1
	}
	return 0
}

func TestPoolBusy(t *testing.T) {
	r := newRig(t, nil)
	p := newTestPool(t, func(o *PoolOptions) { o.MaxCalls = 2 })
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			var got base.String
			if err := p.Call(t.Context(), r.addr, rpcHold, text("x"), &got); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "both wait", func() bool { return r.heldCount() == 2 })
	_, err := p.echo(t.Context(), r.addr, "one too many")
	require.Equal(t, code.Busy, code.Of(err))
	r.release()
	wg.Wait()
	_, err = p.echo(t.Context(), r.addr, "fits")
	require.NoError(t, err)
}

func TestPoolUnreachable(t *testing.T) {
	var dials atomic.Int32
	p := newTestPool(t, func(o *PoolOptions) {
		o.Dial = func(context.Context, string) (net.Conn, error) {
			dials.Add(1)
			return nil, errors.New("no route")
		}
	})
	for range 20 {
		_, err := p.echo(t.Context(), "nowhere:1", "x")
		require.ErrorIs(t, err, ErrUnreachable)
	}
	require.Less(t, dials.Load(), int32(10), "dials are paused after a failure")
	eventually(t, "dialled again", func() bool {
		before := dials.Load()
		_, _ = p.echo(t.Context(), "nowhere:1", "x")
		return dials.Load() > before
	})
}

func TestPoolReconnects(t *testing.T) {
	r := newRig(t, nil)
	p := newTestPool(t, nil)
	_, err := p.echo(t.Context(), r.addr, "x")
	require.NoError(t, err)

	failed := make(chan error, 1)
	go func() {
		var got base.String
		failed <- p.Call(context.Background(), r.addr, rpcHold, text("x"), &got)
	}()
	eventually(t, "held", func() bool { return r.heldCount() == 1 })
	for _, c := range r.snapshot() {
		c.abort(closeInternal)
	}
	require.ErrorIs(t, <-failed, ErrConnectionLost)
	eventually(t, "reconnected", func() bool {
		got, err := p.echo(t.Context(), r.addr, "y")
		return err == nil && got == "y"
	})
}

func TestPoolClose(t *testing.T) {
	r := newRig(t, nil)
	p := newTestPool(t, nil)
	ended := make(chan error, 1)
	go func() {
		var got base.String
		ended <- p.Call(context.Background(), r.addr, rpcHold, text("x"), &got)
	}()
	eventually(t, "held", func() bool { return r.heldCount() == 1 })
	p.Close()
	require.ErrorIs(t, <-ended, ErrPoolClosed)
	_, err := p.echo(t.Context(), r.addr, "x")
	require.ErrorIs(t, err, ErrPoolClosed)
	p.Close()
}

func TestPoolDialOutlivesItsCaller(t *testing.T) {
	r := newRig(t, nil)
	proceed := make(chan struct{})
	p := newTestPool(t, func(o *PoolOptions) {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			<-proceed
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.echo(ctx, r.addr, "x")
	require.ErrorIs(t, err, ErrUnreachable)
	close(proceed)
	got, err := p.echo(t.Context(), r.addr, "y")
	require.NoError(t, err)
	require.Equal(t, "y", got)
}

// A server that answers with garbage breaks its connection and nothing else.
func TestPoolGarbage(t *testing.T) {
	for name, garbage := range map[string]string{
		"impossible length": "\xff\xff\xff\xff",
		"not a reply":       "\x00\x00\x00\x20" + strings.Repeat("z", 28),
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			p := newTestPool(t, func(o *PoolOptions) {
				o.Dial = func(context.Context, string) (net.Conn, error) { return near, nil }
			})
			go func() {
				var b [1024]byte
				_, _ = far.Read(b[:])
				_, _ = far.Write([]byte(garbage))
			}()
			_, err := p.echo(t.Context(), "x", "x")
			require.ErrorIs(t, err, ErrConnectionLost)
			require.NoError(t, far.Close())
		})
	}
}
