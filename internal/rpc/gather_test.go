package rpc

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
)

const (
	rpcMany  = "RPC_TEST_MANY"  // echoes batches, the last request first
	rpcMany2 = "RPC_TEST_MANY2" // the same
	rpcTrip  = "RPC_TEST_TRIP"  // answers the first of a batch and panics
)

func newBatchRig(t testing.TB, change func(*Options)) (r *rig, largest *atomic.Int64) {
	largest = new(atomic.Int64)
	many := func(reqs []*Request) {
		largest.Store(max(largest.Load(), int64(len(reqs))))
		for i := len(reqs) - 1; i >= 0; i-- {
			echo(reqs[i])
		}
	}
	r = newRig(t, func(o *Options) {
		o.Mux.HandleBatch(rpcMany, many)
		o.Mux.HandleBatch(rpcMany2, many)
		o.Mux.HandleBatch(rpcTrip, func(reqs []*Request) { echo(reqs[0]); panic("asked for") })
		if change != nil {
			change(o)
		}
	})
	return r, largest
}

// Every request of a burst is answered once, with its own argument, however the
// names are mixed and whatever bounds cut the batches.
func TestBatches(t *testing.T) {
	for _, limit := range []int{1, 3, 1000} {
		t.Run(fmt.Sprint("in flight ", limit), func(t *testing.T) {
			r, largest := newBatchRig(t, func(o *Options) { o.MaxInFlightPerConn = limit })
			p := r.dial(t)
			var burst []byte
			const n = 300
			for i := range int32(n) {
				name := []string{rpcMany, rpcMany, rpcMany2, rpcEcho, rpcMany}[i%5]
				burst = append(burst, request(name, i, text(fmt.Sprint(i)))...)
			}
			for i := range int32(n) {
				burst = append(burst, request(rpcMany, n+i, text(fmt.Sprint(n+i)))...)
			}
			p.send(burst)
			seen := map[int32]bool{}
			for range 2 * n {
				h, result := p.reply()
				require.Equal(t, code.OK.String(), h.Error)
				require.Equal(t, fmt.Sprint(h.Seq), result)
				require.False(t, seen[h.Seq])
				seen[h.Seq] = true
			}
			require.LessOrEqual(t, largest.Load(), int64(min(limit, maxGathered)))
			if limit == 1000 {
				require.Greater(t, largest.Load(), int64(1), "nothing was gathered")
			}
		})
	}
}

func TestBatchRefusesWhatItCannotRead(t *testing.T) {
	r, _ := newBatchRig(t, nil)
	p := r.dial(t)
	p.send(append(request(rpcMany, 1, nil), request(rpcMany, 2, &base.Int64{V: 1 << 40})...))
	for range 2 {
		h, _ := p.reply()
		require.Equal(t, code.InvalidParameters.String(), h.Error)
	}
}

func TestPanicOfABatchFailsTheRest(t *testing.T) {
	r, _ := newBatchRig(t, nil)
	p := r.dial(t)
	p.send(append(append(request(rpcTrip, 1, text("a")), request(rpcTrip, 2, text("b"))...), request(rpcTrip, 3, text("c"))...))
	codes := map[int32]string{}
	for range 3 {
		h, _ := p.reply()
		codes[h.Seq] = h.Error
	}
	// The three may have come in one read or in several.
	require.Equal(t, code.OK.String(), codes[1])
	p.send(request(rpcMany, 4, text("d")))
	_, result := p.reply()
	require.Equal(t, "d", result)
	require.Positive(t, r.metric(t, "arion_rpc_handler_panics_total"))
}

func TestHandlersAreRegisteredOnce(t *testing.T) {
	m := NewMux()
	m.HandleBatch("A", func([]*Request) {})
	m.Handle("B", echo)
	require.Panics(t, func() { m.Handle("A", echo) })
	require.Panics(t, func() { m.HandleBatch("B", func([]*Request) {}) })
	require.Panics(t, func() { m.HandleBatch("C", nil) })
}
