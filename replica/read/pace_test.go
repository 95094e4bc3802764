package read

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// fixed finds every key, with a value of so many bytes, and notes the crossings.
type fixed struct {
	Source
	value     []byte
	crossings []int
}

func (s *fixed) MultiGet(keys [][]byte, p *engine.Page) error {
	s.crossings = append(s.crossings, len(keys))
	p.Reset()
	for range keys {
		p.Append(nil, s.value)
	}
	return nil
}

// TestCrossingsOfAMultiGet: 100 small records take one crossing, once it is known
// that they are small, and large ones come by the hundred once at most.
func TestCrossingsOfAMultiGet(t *testing.T) {
	r := &Reader{}
	req := &rrdb.MultiGetRequest{HashKey: base.BlobOf([]byte("h"))}
	for i := range 100 {
		req.SortKeys = append(req.SortKeys, base.BlobOf(fmt.Append(nil, i)))
	}
	ask := func(valueSize int) []int {
		s := &fixed{value: record.Append(nil, record.Header{}, make([]byte, valueSize))}
		reply, err := r.MultiGet(View{Engine: s, Limits: DefaultLimits()}, req)
		require.NoError(t, err)
		reply.Release()
		return s.crossings
	}
	require.Equal(t, []int{16, 84}, ask(100), "nothing known yet")
	require.Equal(t, []int{100}, ask(100))
	require.Equal(t, []int{100}, ask(1<<20), "by surprise; the limit ends it there")
	require.Equal(t, []int{16, 1}, ask(1 << 20)[:2])
	require.Equal(t, []int{16, 84}, ask(100), "one call with small ones is not trusted")
	for range 10 * paceFall {
		ask(100)
	}
	require.Equal(t, []int{100}, ask(100))
}
