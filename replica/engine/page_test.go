package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPage(t *testing.T) {
	var p Page
	p.Append([]byte("k1"), []byte("v1"))
	p.AppendMissing()
	p.Append(nil, nil)
	require.Equal(t, 3, p.Len())
	require.Equal(t, "k1", string(p.Key(0)))
	require.Equal(t, "v1", string(p.Value(0)))
	require.False(t, p.Found(1))
	require.Nil(t, p.Value(1))
	require.True(t, p.Found(2))
	require.Empty(t, p.Key(2))
	require.Empty(t, p.Value(2))
	require.Equal(t, 4, p.Bytes())

	_ = append(p.Key(0), 'x') // must not overwrite the value behind it
	require.Equal(t, "v1", string(p.Value(0)))

	p.Reset()
	require.Equal(t, 0, p.Len())
	require.Zero(t, testing.AllocsPerRun(100, func() {
		p.Reset()
		p.Append([]byte("k1"), []byte("v1"))
	}))
}

func TestPageReserve(t *testing.T) {
	var p Page
	p.Append([]byte("old"), nil)
	buf, rows := p.UnsafeReserve(100, 10)
	require.GreaterOrEqual(t, len(buf), 100)
	require.GreaterOrEqual(t, len(rows), 10)
	require.Equal(t, 0, p.Len())
	rows[0] = Row{Off: 0, KeyLen: 1, ValueLen: 2}
	copy(buf, "kvv")
	p.UnsafeCommit(3, 1)
	require.Equal(t, "k", string(p.Key(0)))
	require.Equal(t, "vv", string(p.Value(0)))
}

func TestFilterDropKeepsInternalKeys(t *testing.T) {
	expired := []byte{1, 0, 0, 0, 1, 19: 'v'}
	require.True(t, FilterDrop([]byte("\x00\x01a"), expired, 5))
	require.False(t, FilterDrop([]byte("\xff\xffapplied"), expired, 5))
	require.False(t, FilterDrop(InternalPrefix, expired, 5))
	require.True(t, FilterDrop([]byte("\xff\xfe"), expired, 5))
}

func TestOpenItersErrorNamesThem(t *testing.T) {
	e := &OpenItersError{Dir: "d", Iters: make([]OpenIter, 10)}
	e.Iters[0] = OpenIter{Label: "scan", Lower: []byte("a"), Upper: []byte{0xff}, Age: time.Second}
	require.Equal(t, `close d: 10 iterators were open: "scan" ["a", "\xff") for 1s;`, e.Error()[:strings.Index(e.Error(), ";")+1])
	require.True(t, strings.HasSuffix(e.Error(), "and 2 more"))
}
