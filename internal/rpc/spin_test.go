package rpc

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// A connection spins while it pays. When not, it does without for twice as many waits
// each time.
func TestSpinningPauses(t *testing.T) {
	var s spinning
	waits := func() (n int) {
		for !s.due() {
			n++
		}
		return n
	}
	for range 3 {
		require.Zero(t, waits())
		s.ended(true)
	}
	for _, pause := range []int{1, 3, 7} {
		require.True(t, s.due())
		s.ended(false)
		require.Equal(t, pause, waits())
	}
	for range 20 {
		s.ended(false)
		require.LessOrEqual(t, waits(), maxSpinPause)
	}
	s.ended(true)
	require.Zero(t, waits(), "it pays again")
	s.ended(false)
	require.Equal(t, 1, waits())
}

// What is there is taken; nothing, and the end of the stream, are left to Read.
func TestSpinRead(t *testing.T) {
	r := newRig(t, nil)
	near, far := tcpPair(t)
	c := newConn(r.Server, near)
	if !c.peek.usable() {
		t.Skip("no direct reads on this platform")
	}
	b := make([]byte, 16)
	require.Zero(t, c.spinRead(b))
	_, err := far.Write([]byte("abc"))
	require.NoError(t, err)
	eventually(t, "bytes to arrive", func() bool { return c.spinRead(b[:2]) == 2 })
	require.Equal(t, "ab", string(b[:2]))
	require.Equal(t, 1, c.spinRead(b))
	require.NoError(t, far.Close())
	require.Zero(t, c.spinRead(b))
	_, err = c.read(b)
	require.ErrorIs(t, err, io.EOF)
}

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

// tcpPair is both ends of a connection.
func tcpPair(t *testing.T) (near, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	far, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	near, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close() // perhaps again
	})
	return near, far
}
