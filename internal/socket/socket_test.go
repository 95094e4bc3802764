package socket

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 20 * time.Second

// A connection spins while it pays. When not, it does without for twice as many waits
// each time.
func TestSpinningPauses(t *testing.T) {
	var s Spinner
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
		require.LessOrEqual(t, waits(), maxPause)
	}
	s.ended(true)
	require.Zero(t, waits(), "it pays again")
	s.ended(false)
	require.Equal(t, 1, waits())
}

// What is there is taken; nothing, and the end of the stream, are left to Read.
func TestSpin(t *testing.T) {
	near, far := pair(t)
	s := NewSpinner(near)
	if !s.direct.Usable() {
		t.Skip("no direct reads on this platform")
	}
	b := make([]byte, 16)
	require.Zero(t, s.spin(b))
	_, err := far.Write([]byte("abc"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.spin(b[:2]) == 2 }, patience, time.Millisecond)
	require.Equal(t, "ab", string(b[:2]))
	require.Equal(t, 1, s.spin(b))
	require.NoError(t, far.Close())
	require.Zero(t, s.spin(b))
	for range 3 {
		_, err = s.Read(b, true)
		require.ErrorIs(t, err, io.EOF)
	}
}

// Reads that hope and reads that do not bring the same bytes, beside another reader.
func TestRead(t *testing.T) {
	near, far := pair(t)
	otherNear, otherFar := pair(t)
	s, other := NewSpinner(near), NewSpinner(otherNear)
	b := make([]byte, 16)
	for i := range 300 {
		_, err := far.Write([]byte{byte(i)})
		require.NoError(t, err)
		n, err := s.Read(b, i%3 > 0)
		require.NoError(t, err)
		require.Equal(t, []byte{byte(i)}, b[:n])
		if i%50 == 0 {
			_, err := otherFar.Write([]byte("x"))
			require.NoError(t, err)
			n, err := other.Read(b, true)
			require.NoError(t, err)
			require.Equal(t, "x", string(b[:n]))
		}
	}
}

// A deadline and a close end a read that hopes.
func TestReadEnds(t *testing.T) {
	near, _ := pair(t)
	s := NewSpinner(near)
	b := make([]byte, 1)
	require.NoError(t, near.SetReadDeadline(time.Unix(1, 0)))
	var timeout net.Error
	for range 3 {
		_, err := s.Read(b, true)
		require.ErrorAs(t, err, &timeout)
	}
	require.NoError(t, near.SetReadDeadline(time.Time{}))
	require.NoError(t, near.Close())
	_, err := s.Read(b, true)
	require.ErrorIs(t, err, net.ErrClosed)
}

// What a socket does not take is left to the caller.
func TestWriter(t *testing.T) {
	near, far := pair(t)
	w := NewWriter(near)
	if !w.Usable() {
		t.Skip("no direct writes on this platform")
	}
	sent, big := 0, make([]byte, 1<<20)
	for n := 1; n > 0; sent += n {
		n = w.Do(big)
		if n == 0 {
			break
		}
	}
	require.Positive(t, sent)
	got, err := io.CopyN(io.Discard, far, int64(sent))
	require.NoError(t, err)
	require.Equal(t, int64(sent), got)
	require.NoError(t, near.Close())
	require.Zero(t, w.Do(big))

	pipe, _ := net.Pipe()
	w = NewWriter(pipe)
	require.False(t, w.Usable())
	require.Zero(t, w.Do(big))
}

// pair is both ends of a connection.
func pair(t *testing.T) (near, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	far, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	near, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close() // perhaps again, both
	})
	return near, far
}
