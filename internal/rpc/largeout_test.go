package rpc

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
)

// sizedText is a text that knows its size.
type sizedText struct{ *base.String }

func (s sizedText) EncodedSize() int { return len(s.V) + 64 }

// Output buffers go from connection to connection; what was in them does not.
func TestLargeReplies(t *testing.T) {
	const rpcPages = "RPC_TEST_PAGES"
	r := newRig(t, func(o *Options) {
		// The first byte of the argument fills the page, its length sets the size.
		o.Mux.Handle(rpcPages, func(q *Request) {
			var arg base.String
			if q.DecodeOrFail(&arg) {
				q.Reply(sizedText{text(strings.Repeat(arg.V[:1], 997*len(arg.V)))})
			}
		})
	})
	var wg sync.WaitGroup
	for i := range 4 {
		p := r.dial(t)
		fill := string(rune('a' + i))
		wg.Go(func() {
			for n := range 12 {
				size := 1 + (i*131+n*97)%1300 // from 1 KB, which gathers, to beyond what is pooled
				p.send(append(request(rpcEcho, 1, text("x")), request(rpcPages, 2, text(strings.Repeat(fill, size)))...))
				for range 2 {
					h, got := p.reply()
					if h.Seq == 2 && got != strings.Repeat(fill, 997*size) {
						t.Errorf("page of %d is damaged", size)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestLargeBuffersAreUsedAgain(t *testing.T) {
	for _, n := range []int{1, minPooledOut, minPooledOut + 1, maxPooledOut - 1, maxPooledOut} {
		eventually(t, "a buffer comes back", func() bool { // the pool drops some under the race detector, and at a collection
			b := append(newLargeOut(n), 'x')
			putLargeOut(b)
			again := newLargeOut(n)
			require.Empty(t, again)
			require.GreaterOrEqual(t, cap(again), n)
			return &b[0] == &again[:1][0]
		})
	}
	putLargeOut(make([]byte, 0, maxPooledOut+1))
	require.Equal(t, maxPooledOut, cap(newLargeOut(maxPooledOut)))
}

// A peer that does not read loses its connection and all that waits for it; the rig
// checks that the budget gets it back.
func TestLargeRepliesToNobody(t *testing.T) {
	const rpcPage = "RPC_TEST_PAGE"
	page := sizedText{text(strings.Repeat("x", 900<<10))}
	held := make(chan *Request, 40)
	r := newRig(t, func(o *Options) {
		o.MaxPendingOut = 8 << 20
		o.Mux.Handle(rpcPage, func(q *Request) { held <- q })
	})
	p := r.dial(t)
	var wg sync.WaitGroup
	for range cap(held) {
		p.send(request(rpcPage, 1, text("x")))
	}
	for range cap(held) {
		q := <-held
		wg.Go(func() { q.Reply(page) })
	}
	wg.Wait()
	eventually(t, "connection closed", func() bool { return r.closed(t, closeSlow) == 1 })
}
