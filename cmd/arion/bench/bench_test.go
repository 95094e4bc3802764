package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"sync/atomic"
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
	o.Workload, o.ReadShare, o.Distribution, o.Connections = "sleep", 2, "odd", 1000
	for _, flag := range []string{"--workload", "--reads", "--distribution", "--in-flight"} {
		require.ErrorContains(t, o.Validate(), flag)
	}
	o = Defaults()
	o.Table, o.Verify, o.Value = "temp", true, Sizes{8, 100}
	require.ErrorContains(t, o.Validate(), "--verify")
}

func TestSizes(t *testing.T) {
	var s Sizes
	for text, want := range map[string]Sizes{"100": {100, 100}, "64-1024": {64, 1024}, "0": {0, 0}} {
		require.NoError(t, s.Set(text))
		require.Equal(t, want, s)
		require.Equal(t, text, s.String())
	}
	for _, text := range []string{"", "x", "1-", "-1", "1k"} {
		require.Error(t, s.Set(text), text)
	}
}

func TestPlans(t *testing.T) {
	for _, name := range WorkloadNames() {
		o := Defaults()
		o.Workload = name
		plan, sum := o.plan(), 0.0
		for _, s := range plan.shares {
			sum += s.percent
		}
		require.InDelta(t, 100, sum, 1e-9, name)
		require.NotEmpty(t, Describe(name))
	}
	o := Defaults()
	o.ReadShare = 1
	plan, rng := o.plan(), rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		require.Equal(t, opGet, plan.pick(rng))
	}
}

// Of a Zipfian choice the most popular record gets 1/zeta of all, and every
// choice is in range.
func TestChoosers(t *testing.T) {
	const n, draws = 1000, 200_000
	rng := rand.New(rand.NewPCG(3, 4))
	for _, d := range []string{Uniform, Zipfian, Latest} {
		var total atomic.Int64
		total.Store(n)
		c, counts := newChooser(d, &total), make([]int, n)
		for range draws {
			counts[c.pick(rng)]++
		}
		top := 0
		for i := range counts {
			if counts[i] > counts[top] {
				top = i
			}
		}
		want := 1.0 / n
		if d != Uniform {
			want = 1 / zeta(n, zipfSkew)
		}
		require.InEpsilon(t, want, float64(counts[top])/draws, 0.5, d)
		if d == Latest {
			require.Equal(t, n-1, top)
		}
	}
}

func TestZetaOfManyIsThatOfAddingUp(t *testing.T) {
	const n = 50_000
	sum := 0.0
	for k := 1; k <= n; k++ {
		sum += math.Pow(float64(k), -zipfSkew)
	}
	require.InEpsilon(t, sum, zeta(n, zipfSkew), 1e-9)
}

func TestKeysShareHashKeysAndKeepOrder(t *testing.T) {
	l := layout{10}
	hash1, sort1 := l.keys(19, nil, nil)
	hash2, sort2 := l.keys(10, nil, nil)
	require.Equal(t, hash1, hash2)
	require.Positive(t, bytes.Compare(sort1, sort2))
	require.Equal(t, "user-0000000001", string(hash1))
}

func TestCheckedValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	z := newNoise(rng)
	v := z.checked(rng, Sizes{checkedHeader, 200}, 7, 99, nil)
	sequence, err := check(v, 7)
	require.NoError(t, err)
	require.Equal(t, uint64(99), sequence)
	_, err = check(v, 8)
	require.ErrorIs(t, err, errWrongRecord)
	_, err = check(z.value(rng, Sizes{100, 100}), 7)
	require.ErrorIs(t, err, errForeignValue)
	v[len(v)-1] ^= 1
	_, err = check(v, 7)
	require.ErrorIs(t, err, errChecksum)
}

func TestLedger(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	z := newNoise(rng)
	value := func(sequence uint64) []byte { return z.checked(rng, Sizes{64, 64}, 1, sequence, nil) }
	l := newLedger(time.Unix(0, 0))
	require.Zero(t, l.least(1))
	require.NoError(t, l.judge(1, nil, false, 0))

	first, ok := l.begin(1)
	require.True(t, ok)
	_, ok = l.begin(1)
	require.False(t, ok, "two writes of a record at once have no known order")
	l.end(1, first, true, false)
	second, _ := l.begin(1)
	l.end(1, second, true, false)

	least := l.least(1)
	require.Equal(t, second, least)
	require.NoError(t, l.judge(1, value(second), true, least))
	require.ErrorIs(t, l.judge(1, value(first), true, least), errStale)
	require.ErrorIs(t, l.judge(1, nil, false, least), errLost)

	third, _ := l.begin(1)
	l.end(1, third, false, true)
	require.Zero(t, l.least(1), "nothing is sure after an unknown outcome")
	require.NoError(t, l.judge(1, value(first), true, least))
}

func TestReport(t *testing.T) {
	o := Defaults()
	r := &run{o: o, plan: o.plan(), recorders: []*recorder{newRecorder(), newRecorder()}}
	r.recorders[0].add(sample{op: opGet, took: time.Millisecond, records: 1, read: 10})
	r.recorders[1].add(sample{op: opGet, took: 3 * time.Millisecond, missing: 1})
	r.recorders[1].add(sample{op: opSet, err: errors.New("broken")})
	r.recorders[1].add(sample{op: opSet, err: &client.Error{Kind: client.ErrTimeout, Unknown: true}})
	r.recorders[0].add(sample{op: opGet, took: time.Hour, violation: errStale})
	rep := newReport(r, time.Second, cpuUse{wall: time.Second}, Environment{})
	require.Equal(t, int64(3), rep.Operations)
	require.Equal(t, int64(1), rep.Missing)
	require.Equal(t, map[string]int64{"broken": 1, "timed out (outcome unknown)": 1}, rep.Errors)
	require.Nil(t, rep.Writes)
	require.InEpsilon(t, 3000, rep.Reads.P50, 0.01)

	var text, encoded bytes.Buffer
	require.NoError(t, rep.WriteText(&text))
	require.Contains(t, text.String(), "error      1  broken")
	require.Contains(t, text.String(), "VIOLATION  1  "+errStale.Error())
	require.NoError(t, rep.WriteJSON(&encoded))
	require.True(t, json.Valid(encoded.Bytes()))
}

func TestProgressCountsEachSampleOnce(t *testing.T) {
	r, h := newRecorder(), newHistogram()
	r.add(sample{op: opGet, took: time.Millisecond})
	require.Zero(t, r.tick(h))
	r.add(sample{op: opGet, err: errors.New("x")})
	require.Equal(t, int64(1), r.tick(h))
	require.Equal(t, int64(1), h.TotalCount())
}
