package linear

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// op makes an operation from call to ret; ret 0 has no end.
func op(call, ret int64, in Input, out Output) porcupine.Operation {
	if ret == 0 {
		ret, out.Unknown = math.MaxInt64, true
	}
	return porcupine.Operation{Input: in, Output: out, Call: call, Return: ret}
}

func get(v string) (Input, Output) { return Input{Kind: Get}, Output{Value: v} }
func put(v string) (Input, Output) { return Input{Kind: Put, Value: v}, Output{} }

func timed(call, ret int64, f func(string) (Input, Output), v string) porcupine.Operation {
	in, out := f(v)
	return op(call, ret, in, out)
}

// The checker must tell right from wrong before it may judge a store.
func TestCheckerJudges(t *testing.T) {
	counter := func(by, n int64) (Input, Output) {
		return Input{Kind: Incr, Cell: Counter, By: by}, Output{Number: n}
	}
	incr := func(call, ret, by, n int64) porcupine.Operation {
		in, out := counter(by, n)
		return op(call, ret, in, out)
	}
	read := func(call, ret int64, r Row) porcupine.Operation {
		return op(call, ret, Input{Kind: MultiGet}, Output{Row: r})
	}
	cas := func(call, ret int64, expect, v string, passed bool, found string) porcupine.Operation {
		return op(call, ret, Input{Kind: CheckAndSet, Expect: expect, Value: v}, Output{Passed: passed, Value: found})
	}
	both := func(call, ret int64, a, b string) porcupine.Operation {
		return op(call, ret, Input{Kind: MultiPut, Row: Row{a, b}}, Output{})
	}
	remove := func(call, ret int64) porcupine.Operation {
		return op(call, ret, Input{Kind: Remove}, Output{})
	}
	for _, tc := range []struct {
		name string
		ok   bool
		ops  []porcupine.Operation
	}{
		{"reads its write", true, []porcupine.Operation{timed(1, 2, put, "a"), timed(3, 4, get, "a")}},
		{"stale read", false, []porcupine.Operation{timed(1, 2, put, "a"), timed(3, 4, put, "b"), timed(5, 6, get, "a")}},
		{"lost write", false, []porcupine.Operation{timed(1, 2, put, "a"), timed(3, 4, get, "")}},
		{"concurrent writes, either order", true, []porcupine.Operation{timed(1, 4, put, "a"), timed(2, 3, put, "b"), timed(5, 6, get, "a")}},
		{"two orders at once", false, []porcupine.Operation{
			timed(1, 4, put, "a"), timed(2, 3, put, "b"), timed(5, 6, get, "a"), timed(7, 8, get, "b"),
		}},
		{"read of a value nobody wrote", false, []porcupine.Operation{timed(1, 2, get, "ghost")}},
		{"unknown write that happened", true, []porcupine.Operation{timed(1, 0, put, "a"), timed(5, 6, get, "a")}},
		{"unknown write that did not", true, []porcupine.Operation{timed(1, 0, put, "a"), timed(5, 6, get, "")}},
		{"unknown write that happens late", true, []porcupine.Operation{
			timed(1, 0, put, "a"), timed(2, 3, put, "b"), timed(4, 5, get, "b"), timed(6, 7, get, "a"),
		}},
		{"unknown write that is undone", false, []porcupine.Operation{
			timed(1, 0, put, "a"), timed(2, 3, get, "a"), timed(4, 5, get, ""),
		}},
		{"unknown remove", true, []porcupine.Operation{timed(1, 2, put, "a"), remove(3, 0), timed(5, 6, get, "")}},
		{"counter counts", true, []porcupine.Operation{incr(1, 2, 3, 3), incr(3, 4, 2, 5)}},
		{"counter counts twice", false, []porcupine.Operation{incr(1, 2, 3, 3), incr(3, 4, 2, 8)}},
		{"unknown increment counted", true, []porcupine.Operation{incr(1, 0, 3, 0), incr(3, 4, 2, 5)}},
		{"unknown increment counted twice", false, []porcupine.Operation{incr(1, 0, 3, 0), incr(3, 4, 2, 8)}},
		{"check passes", true, []porcupine.Operation{timed(1, 2, put, "a"), cas(3, 4, "a", "b", true, "a"), timed(5, 6, get, "b")}},
		{"check passes twice", false, []porcupine.Operation{
			timed(1, 2, put, "a"), cas(3, 6, "a", "b", true, "a"), cas(4, 5, "a", "c", true, "a"),
		}},
		{"failed check that wrote", false, []porcupine.Operation{
			timed(1, 2, put, "a"), cas(3, 4, "x", "b", false, "a"), timed(5, 6, get, "b"),
		}},
		{"check that found the past", false, []porcupine.Operation{
			timed(1, 2, put, "a"), timed(3, 4, put, "b"), cas(5, 6, "x", "c", false, "a"),
		}},
		{"multi_put whole", true, []porcupine.Operation{both(1, 2, "a", "b"), read(3, 4, Row{"a", "b"})}},
		{"multi_put torn", false, []porcupine.Operation{both(1, 4, "a", "b"), read(2, 3, Row{"a", ""})}},
		{"unknown multi_put torn", false, []porcupine.Operation{both(1, 0, "a", "b"), read(2, 3, Row{"", "b"})}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := NewHistory()
			h.ops = tc.ops
			bad := h.Check(time.Minute, t.TempDir())
			require.Equal(t, tc.ok, len(bad) == 0, "%v", bad)
		})
	}
}

// A store that is right is found right, whatever happens to its answers; the same
// history with one answer changed is found wrong. The seed is printed.
func TestCheckerAgainstAStore(t *testing.T) {
	// The first has an unheard write that an unheard check_and_set builds upon.
	for _, seed := range []uint64{9863698424154008549, rand.Uint64()} {
		t.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, 0))
		for range 8 {
			h := imagine(rng, 200)
			require.Empty(t, h.Check(time.Minute, t.TempDir()))
			spoil(h)
			require.NotEmpty(t, h.Check(time.Minute, t.TempDir()), "a spoiled history passed")
		}
	}
}

// imagine is a history of clients on a perfect store. Each operation takes effect
// in the middle of its time; some answers are lost.
func imagine(rng *rand.Rand, n int) *History {
	h := NewHistory()
	var state Row
	for i := range n {
		at := int64(100 * (i + 1))
		in := Input{Kind: Kind(rng.IntN(7)), Cell: rng.IntN(Counter), Value: "v" + strconv.Itoa(i)}
		var out Output
		switch in.Kind {
		case Get:
			out.Value = state[in.Cell]
		case MultiGet:
			out.Row = state
		case Incr:
			in.Cell, in.By = Counter, int64(rng.IntN(100)+1)
			before, _ := strconv.ParseInt(state[Counter], 10, 64)
			out.Number = before + in.By
		case CheckAndSet:
			if rng.IntN(2) == 0 {
				in.Expect = state[in.Cell]
			}
			out.Value, out.Passed = state[in.Cell], state[in.Cell] == in.Expect
		case MultiPut:
			in.Row = Row{in.Value + "x", in.Value + "y"}
		}
		ok, next := step(state, in, out)
		if !ok {
			panic("the perfect store contradicts itself")
		}
		end := at + rng.Int64N(400)
		if rng.IntN(10) == 0 && in.Kind != Get && in.Kind != MultiGet {
			end = 0
			if rng.IntN(2) == 0 {
				next = state // it never happened
			}
		}
		state = next
		h.ops = append(h.ops, op(at-rng.Int64N(400), end, in, out))
	}
	last := int64(100 * (n + 50))
	h.ops = append(h.ops, op(last, last+1, Input{Kind: MultiGet}, Output{Row: state}))
	return h
}

// spoil makes the last read see something else than it did.
func spoil(h *History) {
	last := &h.ops[len(h.ops)-1]
	out := last.Output.(Output)
	out.Row[0] = "ghost"
	last.Output = out
}
