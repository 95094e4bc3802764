package read_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/read"
	"github.com/arionkv/arion/replica/record"
)

// getMany gives the answers in the order of the keys, copied.
func getMany(t testing.TB, p *part, v read.View, keys [][]byte) (answers []string, failures []error) {
	t.Helper()
	answers, failures = make([]string, len(keys)), make([]error, len(keys))
	var reply read.GetReply
	p.GetMany(v, keys, &reply, func(i int, err error) {
		require.Empty(t, answers[i], "answered twice")
		answers[i] = fmt.Sprintf("%d %q %+v", reply.Error, reply.Value.Data, describe(&reply))
		failures[i] = err
	})
	return answers, failures
}

func describe(r *read.GetReply) string {
	return fmt.Sprint(r.AppID, r.PartitionIndex, r.Server)
}

// TestGetManyIsManyGets: whatever the keys, the answers are those of single gets.
func TestGetManyIsManyGets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	n := newNode(t, mem.Opener{}, 1000)
	p := n.part(1, 0)
	var rows []row
	for i := range 300 {
		x := row{hash: fmt.Sprint("h", i%7), sort: fmt.Sprint(i), value: strings.Repeat("v", rng.IntN(50<<10))}
		x.expire = []uint32{0, 0, 999, 1001}[i%4]
		rows = append(rows, x)
	}
	p.storeRows(t, rows)
	for range 50 {
		keys := make([][]byte, 1+rng.IntN(150))
		for i := range keys {
			switch x := rows[rng.IntN(len(rows))]; rng.IntN(8) {
			case 0:
				keys[i] = []byte("\x00\x09cut") // malformed
			case 1:
				keys[i] = key.Append(nil, []byte("absent"), []byte(x.sort))
			default:
				keys[i] = []byte(x.encoded())
			}
		}
		answers, failures := getMany(t, p, n.view(p), keys)
		for i, k := range keys {
			var reply read.GetReply
			_, err := p.GetInto(n.view(p), k, nil, &reply)
			require.Equal(t, fmt.Sprintf("%d %q %+v", reply.Error, reply.Value.Data, describe(&reply)), answers[i])
			require.Equal(t, err, failures[i])
		}
	}
}

// halfBroken fails lookups of several keys as engines do, all for the sake of one.
type halfBroken struct {
	broken
	bad string
}

func (s halfBroken) Get(k, dst []byte) ([]byte, bool, error) {
	if string(k) == s.bad {
		return dst, false, s.err
	}
	return append(dst, s.value...), true, nil
}

func (s halfBroken) MultiGet([][]byte, *engine.Page) error { return s.err }

func TestGetManySparesTheOthersOfADamagedRecord(t *testing.T) {
	disk := errors.New("disk")
	n := newNode(t, mem.Opener{}, 1000)
	p := n.part(1, 0)
	keys := [][]byte{[]byte("\x00\x01a"), []byte("\x00\x01b"), []byte("\x00\x01c")}
	source := halfBroken{broken{disk, record.Append(nil, record.Header{}, []byte("value"))}, string(keys[1])}
	answers, failures := getMany(t, p, read.View{Engine: source, NowSec: 1000, Limits: read.DefaultLimits()}, keys)
	for i, answer := range answers {
		if i == 1 {
			require.ErrorIs(t, failures[i], disk)
			require.Contains(t, answer, `5 ""`)
			continue
		}
		require.NoError(t, failures[i])
		require.Contains(t, answer, `0 "value"`)
	}
	damaged := broken{value: []byte("no record")}
	answers, failures = getMany(t, p, read.View{Engine: damaged, NowSec: 1000, Limits: read.DefaultLimits()}, keys)
	for i := range keys {
		require.ErrorIs(t, failures[i], engine.ErrCorruption)
		require.Contains(t, answers[i], `2 ""`)
	}
}

func TestGetManyDoesNotAllocate(t *testing.T) {
	n := newNode(t, mem.Opener{}, 1000)
	p := n.part(1, 0)
	source := broken{value: record.Append(nil, record.Header{}, []byte("value"))}
	v := read.View{Engine: source, NowSec: 1000, Limits: read.DefaultLimits()}
	keys := make([][]byte, 64)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "\x00\x01h%d", i)
	}
	var reply read.GetReply
	answer := func(int, error) {}
	p.GetMany(v, keys, &reply, answer)
	if got := testing.AllocsPerRun(100, func() { p.GetMany(v, keys, &reply, answer) }); got > 10 { // a pool under the race detector forgets
		t.Errorf("%d gets: %v allocations", len(keys), got)
	}
}
