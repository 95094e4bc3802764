package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	table, err := read(strings.NewReader(strings.Join([]string{
		"a\tget\t" + `{"operations_per_second":1000,"p50_us":100,"p99_us":900}`,
		"b\tget\t" + `{"operations_per_second":90000,"reads":{"p50_us":50,"p99_us":70},"server_cpu":0.9,"errors":{"x":2}}`,
		"a\tget\t" + `{"operations_per_second":3000,"p50_us":300,"p99_us":700}`,
		"a\tget\t" + `{"operations_per_second":2000,"p50_us":200,"p99_us":800}`,
		"a\tset\t" + `{"operations_per_second":500,"p50_us":200,"p99_us":800}`,
	}, "\n")))
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, table.write(&out))
	require.Equal(t, `| load | a | b |
|---|---:|---:|
| get | 2.0k/s, 0.2 / 0.8 ms | 90k/s, 0.05 / 0.07 ms, ×45.00, CPU 10.0 us, 2 failed |
| set | 0.5k/s, 0.2 / 0.8 ms | – |
`, out.String())
	_, err = read(strings.NewReader("nonsense"))
	require.Error(t, err)
}
