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
				size := 1 + (i*131+n*97)%1300 // from 1 KB to beyond what is pooled
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
	page := sizedText{text(strings.Repeat("x", 100<<10))}
	large := make([]byte, 0, 200<<10)
	for range 100 { // the pool drops some under the race detector, and at a collection
		putLargeOut(large)
		if b := makeRoom(nil, page); cap(b) == cap(large) {
			require.Empty(t, b)
			require.Nil(t, makeRoom(nil, text("small")), "a message that does not know its size")
			return
		}
	}
	t.Fatal("no buffer came back")
}
