package metrics

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const text = `# HELP x y
# TYPE arion_rpc_requests_total counter
arion_rpc_requests_total{code="ERR_OK",name="RPC_RRDB_RRDB_GET"} 10
arion_rpc_requests_total{code="ERR_BUSY",name="RPC_RRDB_RRDB_GET"} 2
took_bucket{le="0.1"} 90
took_bucket{le="1"} 99
took_bucket{le="+Inf"} 100
escaped{a="q\"\\\n"} 1.5e3
process_open_fds 12
broken{ 3
also broken
`

func TestParse(t *testing.T) {
	s, err := Parse(strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, 12.0, s.Sum("arion_rpc_requests_total"))
	require.Equal(t, 10.0, s.Sum("arion_rpc_requests_total", "code", "ERR_OK", "name", "RPC_RRDB_RRDB_GET"))
	require.Equal(t, 12.0, s.Sum("process_open_fds"))
	require.Equal(t, "q\"\\\n", s.Samples["escaped"][0].Labels["a"])
	require.False(t, s.Has("broken"))
	all := func(map[string]string) bool { return true }
	require.Equal(t, 0.1, Quantile(0.9, Set{}, s, "took", all))
	require.Equal(t, 1.0, Quantile(0.99, Set{}, s, "took", all))
	require.True(t, math.IsInf(Quantile(1, Set{}, s, "took", all), 1))
	require.True(t, math.IsNaN(Quantile(0.5, s, s, "took", all)), "nothing between two equal looks")
}

func TestRate(t *testing.T) {
	at := time.Now()
	look := func(after time.Duration, n float64) Set {
		return Set{At: at.Add(after), Samples: map[string][]Sample{"c": {{Value: n}}}}
	}
	require.Equal(t, 5.0, Rate(look(0, 10), look(2*time.Second, 20), "c"))
	require.Zero(t, Rate(look(0, 10), look(2*time.Second, 3), "c"), "the server was started anew")
	require.Zero(t, Rate(look(0, 10), look(0, 30), "c"))
}

func FuzzParse(f *testing.F) {
	f.Add(text)
	f.Fuzz(func(_ *testing.T, in string) { _, _ = Parse(strings.NewReader(in)) })
}
