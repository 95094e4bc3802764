package rpc

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// A lone caller's connection, which spins, serves whole and split frames, beside one
// that comes and goes, and ends with its server.
func TestLoneCaller(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial(t)
	for i := int32(1); i <= 500; i++ {
		b := request(rpcEcho, i, text("hello"))
		cut := int(i) % len(b)
		p.send(b[:cut])
		p.send(b[cut:])
		h, v := p.reply()
		require.Equal(t, i, h.Seq)
		require.Equal(t, "hello", v)
		if i%100 == 0 {
			other := r.dial(t)
			other.send(request(rpcEcho, i, text("other")))
			_, v := other.reply()
			require.Equal(t, "other", v)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, r.Close(ctx))
	p.expectClosed()
}
