package service

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
)

// FuzzMultiGetRequest compares a request that is used again with the generated code.
func FuzzMultiGetRequest(f *testing.F) {
	blob := func(s string) *base.Blob { return base.BlobOf([]byte(s)) }
	for _, m := range []*rrdb.MultiGetRequest{
		{},
		{HashKey: blob("h"), SortKeys: []*base.Blob{blob("a"), blob(""), blob("b")}, MaxKvCount: 7, MaxKvSize: -1, NoValue: true},
		{HashKey: blob("h"), StartSortkey: blob("a"), StopSortkey: blob("b"), StartInclusive: true, StopInclusive: true,
			SortKeyFilterType: rrdb.FilterType_FT_MATCH_PREFIX, SortKeyFilterPattern: blob("p"), Reverse: true},
	} {
		b := frame.AppendMessage(nil, m)
		f.Add(b)
		f.Add(bytes.Replace(b, []byte{12, 0, 1}, []byte{12, 0, 99}, 1)) // a field nobody knows
		f.Add(b[:len(b)/2])
	}
	f.Add([]byte{15, 0, 2, 12, 0, 0, 0, 3, 0}) // fewer keys than announced
	got := new(multiGetRequest)
	f.Fuzz(func(t *testing.T, b []byte) {
		want := rrdb.NewMultiGetRequest()
		wantErr := frame.Decode(b, want)
		err := frame.Decode(b, got)
		require.Equal(t, wantErr == nil, err == nil, "got %v, want %v", err, wantErr)
		if err == nil {
			require.True(t, want.Equals(&got.MultiGetRequest), "got %v, want %v", got, want)
		}
		got.reset()
	})
}
