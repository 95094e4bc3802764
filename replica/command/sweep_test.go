package command

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func aSweep() Sweep {
	return Sweep{
		Expect: Pass{From: []byte{}}, Next: Pass{Rules: 7, Began: 9, From: []byte("from")},
		Changes: []Change{{Key: []byte("k1"), Index: 1, WriteTimeMS: 2}, {Key: []byte("k2"), Index: 1 << 40, WriteTimeMS: 1 << 47, Expire: 5}},
	}
}

func TestSweepRoundTrip(t *testing.T) {
	want := aSweep()
	got, err := DecodeSweep(want.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, want, got)
	b := AppendAlone(nil, Header{StampMS: 5}, KindSweep, want.AppendTo(nil))
	require.EqualValues(t, 3, b[0])
	e, err := Decode(b)
	require.NoError(t, err)
	op, alone := e.Alone()
	require.True(t, alone)
	require.Equal(t, KindSweep, op.Kind)
	_, err = Decode(AppendOp(b, Noop, nil))
	require.ErrorIs(t, err, ErrCorrupt, "a sweep stands alone")
	b[0] = 2
	_, err = Decode(b)
	require.ErrorIs(t, err, ErrCorrupt, "an older version has no sweep")
	require.True(t, want.Next.Equal(got.Next))
	require.False(t, want.Next.Equal(want.Expect))
}

func FuzzDecodeSweep(f *testing.F) {
	f.Add(aSweep().AppendTo(nil))
	f.Add([]byte{13})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSweep(b)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		require.Equal(t, b, s.AppendTo(nil), "one encoding")
	})
}
