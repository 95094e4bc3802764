package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
)

func TestValidate(t *testing.T) {
	o := Defaults()
	require.ErrorContains(t, o.Validate(), "--table is required")
	o.Table = "temp"
	require.NoError(t, o.Validate())
	o.Workload, o.ReadShare = "sleep", 2
	require.ErrorContains(t, o.Validate(), "--workload")
	require.ErrorContains(t, o.Validate(), "--reads")
}

func TestLaneBoundsAndCounts(t *testing.T) {
	l := newLane(2)
	ctx, cancel := context.WithCancel(context.Background())
	require.True(t, l.take(ctx))
	require.True(t, l.take(ctx))
	begin := time.Now().Add(-time.Millisecond)
	l.done(begin, true, nil)
	l.done(begin, true, client.ErrNotFound)
	require.True(t, l.take(ctx))
	l.done(begin, false, errors.New("broken"))
	cancel()
	require.False(t, l.take(ctx))
	l.drain()

	o := Defaults()
	r := newReport(o, []*lane{l}, time.Second)
	require.Equal(t, int64(2), r.Operations)
	require.Equal(t, int64(1), r.Missing)
	require.Equal(t, map[string]int64{"broken": 1}, r.Errors)
	require.Nil(t, r.Writes)
	require.GreaterOrEqual(t, r.Reads.P50, int64(1000))

	var text, encoded bytes.Buffer
	require.NoError(t, r.WriteText(&text))
	require.Contains(t, text.String(), "error      1  broken")
	require.NoError(t, r.WriteJSON(&encoded))
	require.True(t, json.Valid(encoded.Bytes()))
}

func TestKeysShareHashKeys(t *testing.T) {
	r := &run{options: Options{SortKeys: 10}}
	hash1, sort1 := r.keys(19)
	hash2, sort2 := r.keys(10)
	require.Equal(t, hash1, hash2)
	require.NotEqual(t, sort1, sort2)
}
