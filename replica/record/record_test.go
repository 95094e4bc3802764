package record

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGoldenBytes(t *testing.T) {
	got := Append([]byte("x"), Header{Expire: 0x01020304, Index: 0x05060708090a0b0c, WriteTimeMS: 0x0d0e0f101112}, []byte("val"))
	want := append([]byte{'x', 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10, 0x11, 0x12}, "val"...)
	require.Equal(t, want, got)
}

func TestRoundTrip(t *testing.T) {
	for _, h := range []Header{
		{},
		{Expire: 1, Index: 2, WriteTimeMS: 3},
		{Expire: math.MaxUint32, Index: math.MaxUint64, WriteTimeMS: maxWriteTime},
	} {
		for _, v := range [][]byte{{}, []byte("v"), bytes.Repeat([]byte{0xff}, 1000)} {
			b := Append(nil, h, v)
			require.Len(t, b, HeaderLen+len(v))
			got, value, err := Decode(b)
			require.NoError(t, err)
			require.Equal(t, h, got)
			require.True(t, bytes.Equal(v, value))
		}
	}
}

func TestWriteTimeIsClamped(t *testing.T) {
	h, _, err := Decode(Append(nil, Header{WriteTimeMS: math.MaxUint64}, nil))
	require.NoError(t, err)
	require.Equal(t, uint64(maxWriteTime), h.WriteTimeMS)
}

func TestDecodeRefuses(t *testing.T) {
	good := Append(nil, Header{}, nil)
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:HeaderLen-1], "format 0": append([]byte{0}, good[1:]...), "format 2": append([]byte{2}, good[1:]...),
	} {
		_, _, err := Decode(b)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

func TestExpiry(t *testing.T) {
	for _, c := range []struct {
		expire, now      uint32
		expired, dropped bool
	}{
		{0, 0, false, false}, {0, math.MaxUint32, false, false},
		{10, 9, false, false}, {10, 10, true, false}, {10, 11, true, true},
		{math.MaxUint32, math.MaxUint32, true, false},
	} {
		h := Header{Expire: c.expire}
		require.Equal(t, c.expired, h.ExpiredAt(c.now), "%+v", c)
		require.Equal(t, c.dropped, Droppable(Append(nil, h, nil), c.now), "%+v", c)
	}
	require.False(t, Droppable([]byte{9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 100), "unknown format is kept")
	require.False(t, Droppable([]byte{1, 0, 0, 0, 1}, 100), "short bytes are kept")
}

func TestSecondsAt(t *testing.T) {
	for _, c := range []struct {
		ms   uint64
		want uint32
	}{
		{0, 0}, {EpochUnix * 1000, 0}, {EpochUnix*1000 + 999, 0}, {EpochUnix*1000 + 1000, 1}, {math.MaxUint64, math.MaxUint32},
	} {
		require.Equal(t, c.want, SecondsAt(c.ms), "%d", c.ms)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Append(nil, Header{Expire: 7}, []byte("v")))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, v, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		if again := Append(nil, h, v); !bytes.Equal(again, b) {
			t.Fatalf("round trip: %x became %x", b, again)
		}
	})
}
