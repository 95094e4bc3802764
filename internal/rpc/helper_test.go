package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// rig is a server on a loopback port with handlers for tests.
type rig struct {
	*Server
	addr     string
	registry *prometheus.Registry

	mu   sync.Mutex
	held []*Request
}

const (
	rpcEcho  = "RPC_TEST_ECHO"  // answers its string argument inline
	rpcHold  = "RPC_TEST_HOLD"  // waits for release
	rpcPanic = "RPC_TEST_PANIC" // panics
	rpcBig   = "RPC_TEST_BIG"   // answers Int64 argument many bytes
	rpcQuiet = "RPC_TEST_QUIET" // is never answered
)

func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	r := &rig{registry: prometheus.NewRegistry()}
	mux := NewMux()
	mux.Handle(rpcEcho, echo)
	mux.Handle(rpcHold, r.hold)
	mux.Handle(rpcPanic, func(*Request) { panic("asked for") })
	mux.Handle(rpcBig, big)
	mux.Handle(rpcQuiet, (*Request).Ignore)
	o := Options{Mux: mux, Registerer: r.registry, HTTP: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, "hello "+q.URL.Path)
	})}
	if change != nil {
		change(&o)
	}
	r.Server = NewServer(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	t.Cleanup(func() {
		r.release()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, r.Close(ctx))
		require.NoError(t, <-served)
		require.Zero(t, r.budget.used.Load(), "bytes held by a closed server")
		require.Zero(t, r.open)
	})
	return r
}

func echo(r *Request) {
	var arg base.String
	if r.DecodeOrFail(&arg) {
		r.Reply(&arg)
	}
}

func big(r *Request) {
	var arg base.Int64
	if r.DecodeOrFail(&arg) {
		r.Reply(&base.String{V: strings.Repeat("x", int(arg.V))})
	}
}

func (r *rig) hold(q *Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = append(r.held, q)
}

func (r *rig) heldCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.held)
}

// release answers what is held, the last first.
func (r *rig) release() {
	r.mu.Lock()
	held := r.held
	r.held = nil
	r.mu.Unlock()
	for i := len(held) - 1; i >= 0; i-- {
		echo(held[i])
	}
}

func (r *rig) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	require.NoError(t, err)
	total := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				have := []string{}
				for _, l := range m.GetLabel() {
					have = append(have, l.GetValue())
				}
				if containsAll(have, labels) {
					total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	return total
}

func containsAll(have, want []string) bool {
	for _, v := range want {
		if !slices.Contains(have, v) {
			return false
		}
	}
	return true
}

func (r *rig) closed(t testing.TB, reason closeReason) float64 {
	return r.metric(t, "arion_rpc_connections_closed_total", string(reason))
}

// peer is a raw client connection.
type peer struct {
	net.Conn
	t testing.TB
}

func (r *rig) dial(t testing.TB) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
	return &peer{Conn: nc, t: t}
}

func request(name string, seq int32, arg frame.Message) []byte {
	return frame.AppendRequest(nil, &frame.Header{Name: name, Seq: seq}, arg)
}

func text(v string) *base.String { return &base.String{V: v} }

func (p *peer) send(b []byte) {
	p.t.Helper()
	_, err := p.Write(b)
	require.NoError(p.t, err)
}

// reply reads one reply frame.
func (p *peer) reply() (frame.Header, string) {
	p.t.Helper()
	var length [4]byte
	_, err := io.ReadFull(p, length[:])
	require.NoError(p.t, err)
	b := make([]byte, binary.BigEndian.Uint32(length[:]))
	copy(b, length[:])
	_, err = io.ReadFull(p, b[4:])
	require.NoError(p.t, err)
	h, body, err := frame.ParseReply(frame.ProtoTHFT0, b)
	require.NoError(p.t, err)
	var result base.String
	if len(body) > 0 {
		require.NoError(p.t, frame.Decode(body, &result))
	}
	return h, result.V
}

// expectClosed reads until the server ends the connection.
func (p *peer) expectClosed() []byte {
	p.t.Helper()
	b, err := io.ReadAll(p)
	if err != nil {
		require.NotContains(p.t, err.Error(), "timeout")
	}
	return bytes.TrimSpace(b)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, patience, time.Millisecond, what)
}
