package apply

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests, 0 = from the time")

func seeded(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// script is a random log: entries whose stamps mostly grow by a second or two.
func script(r *rand.Rand, entries int) (log [][]byte) {
	sec := uint32(now)
	for range entries {
		sec = sec + r.Uint32N(3)
		stamp := stampAt(sec - min(r.Uint32N(40), 2)) // at times a leader whose clock is behind
		h := command.Header{StampMS: stamp, DefaultTTL: []uint32{0, 0, 7}[r.IntN(3)]}
		ops := make([]command.Op, 1+r.IntN(4))
		for i := range ops {
			ops[i] = randomOp(r, sec)
		}
		log = append(log, entry(h, ops...))
	}
	return log
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func randomExpiry(r *rand.Rand, sec uint32) int32 {
	switch r.IntN(4) {
	case 0:
		return int32(sec) + int32(r.IntN(8)) - 2
	case 1:
		return -1
	}
	return 0
}

func randomValue(r *rand.Rand) string {
	return pick(r, "", "1", "-3", "0x10", " 7", "text", "te", "9223372036854775807", strconv.Itoa(r.IntN(20)))
}

// randomOp works on few keys, so that ops meet.
func randomOp(r *rand.Rand, sec uint32) command.Op {
	hashKey, sortKey := pick(r, "", "a", "b"), pick(r, "", "x", "y")
	switch r.IntN(8) {
	case 0, 1:
		return put(hashKey, sortKey, randomValue(r), randomExpiry(r, sec))
	case 2:
		return remove(hashKey, sortKey)
	case 3:
		return multiPut(hashKey, randomExpiry(r, sec), "x", randomValue(r), pick(r, "x", "y"), randomValue(r))
	case 4:
		return multiRemove(hashKey, "x", pick(r, "", "x", "y"))
	case 5:
		return incr(hashKey, sortKey, int64(r.IntN(7)-3), randomExpiry(r, sec))
	case 6:
		return cas(rrdb.CheckAndSetRequest{
			HashKey: blob(hashKey), CheckSortKey: blob(sortKey), CheckType: rrdb.CasCheckType(r.IntN(19)),
			CheckOperand: blob(randomValue(r)), SetDiffSortKey: r.IntN(2) == 0, SetSortKey: blob(pick(r, "x", "y")),
			SetValue: blob(randomValue(r)), SetExpireTsSeconds: randomExpiry(r, sec), ReturnCheckValue: r.IntN(2) == 0,
		})
	}
	req := rrdb.CheckAndMutateRequest{
		HashKey: blob(hashKey), CheckSortKey: blob(sortKey), CheckType: rrdb.CasCheckType(r.IntN(19)),
		CheckOperand: blob(randomValue(r)), ReturnCheckValue: r.IntN(2) == 0,
	}
	for range r.IntN(4) {
		req.MutateList = append(req.MutateList, &rrdb.Mutate{
			Operation: rrdb.MutateOperation(r.IntN(2)), SortKey: blob(pick(r, "", "x", "y")),
			Value: blob(randomValue(r)), SetExpireTsSeconds: randomExpiry(r, sec),
		})
	}
	return cam(req)
}

func resultBytes(res Result) string { return string(frame.AppendMessage(nil, res)) }

// TestRunsDoNotMatter applies one log in runs cut differently, with restarts of
// the Applier and with compactions between. Results and live content agree.
func TestRunsDoNotMatter(t *testing.T) {
	rnd := seeded(t)
	for range 20 {
		log := script(rnd, 60)
		one := newReplica(t) // entry by entry
		var want []string
		for _, e := range log {
			for _, res := range one.run(e) {
				want = append(want, resultBytes(res))
			}
		}
		for _, cut := range []string{"all at once", "random", "random, restarts and compactions"} {
			other := newReplica(t)
			got := other.runCut(rnd, log, cut)
			require.Equal(t, want, got, cut)
			require.Equal(t, one.State(), other.State())
			for _, r := range []*replica{one, other} {
				r.engine.SetClock(r.State().ClockSec())
				require.NoError(t, r.engine.Compact(t.Context(), engine.CompactOptions{}))
			}
			require.Equal(t, one.dump(), other.dump(), cut)
		}
	}
}

func (r *replica) runCut(rnd *rand.Rand, log [][]byte, how string) (results []string) {
	for len(log) > 0 {
		n := len(log)
		if how != "all at once" {
			n = 1 + rnd.IntN(min(n, 15))
		}
		for _, res := range r.run(log[:n]...) {
			results = append(results, resultBytes(res))
		}
		log = log[n:]
		if strings.Contains(how, "restarts") {
			st, err := Load(r.engine)
			require.NoError(r.t, err)
			r.Applier = New(r.Identity, st)
			r.engine.SetClock(st.ClockSec())
			require.NoError(r.t, r.engine.Compact(r.t.Context(), engine.CompactOptions{}))
		}
	}
	return results
}

// twin is the semantics said a second time, as dumbly as possible: a map, one
// op after the other, no batches, expiry by deleting first.
type twin struct {
	live  map[string]twinRecord
	clock uint32
}

type twinRecord struct {
	value  string
	expire uint32
}

func (w *twin) apply(e command.Entry) (statuses []int32) {
	w.clock = max(w.clock, uint32(e.StampMS/1000-1451606400))
	for c := e.Ops(); c.Next(); {
		for k, rec := range w.live {
			if rec.expire > 0 && rec.expire <= w.clock {
				delete(w.live, k)
			}
		}
		statuses = append(statuses, w.op(c.Op, e.DefaultTTL))
	}
	return statuses
}

func (w *twin) set(hashKey, sortKey, value string, expire int32, ttl uint32) {
	w.setAt(string(enc(hashKey, sortKey)), value, uint32(expire), ttl)
}

func (w *twin) setAt(k, value string, expire, ttl uint32) {
	if expire == 0 && ttl > 0 {
		expire = w.clock + ttl
	}
	w.live[k] = twinRecord{value, expire}
}

func must[M frame.Message](payload []byte, m M) M {
	if err := frame.Decode(payload, m); err != nil {
		panic(err)
	}
	return m
}

func (w *twin) op(op command.Op, ttl uint32) int32 {
	switch op.Kind {
	case command.Put:
		req := must(op.Payload, new(rrdb.UpdateRequest))
		w.setAt(string(req.Key.Data), string(req.Value.Data), uint32(req.ExpireTsSeconds), ttl)
	case command.Remove:
		delete(w.live, string(must(op.Payload, blob("")).Data))
	case command.MultiPut:
		req := must(op.Payload, new(rrdb.MultiPutRequest))
		for _, kv := range req.Kvs {
			w.set(string(req.HashKey.Data), string(kv.Key.Data), string(kv.Value.Data), req.ExpireTsSeconds, ttl)
		}
	case command.MultiRemove:
		req := must(op.Payload, new(rrdb.MultiRemoveRequest))
		for _, k := range req.SortKeys {
			delete(w.live, string(enc(string(req.HashKey.Data), string(k.Data))))
		}
	case command.Incr:
		return w.incr(must(op.Payload, new(rrdb.IncrRequest)), ttl)
	case command.CheckAndSet:
		req := must(op.Payload, new(rrdb.CheckAndSetRequest))
		status := w.check(string(enc(string(req.HashKey.Data), string(req.CheckSortKey.Data))), int(req.CheckType), string(req.CheckOperand.Data))
		if status == 0 {
			target := req.CheckSortKey
			if req.SetDiffSortKey {
				target = req.SetSortKey
			}
			w.set(string(req.HashKey.Data), string(target.Data), string(req.SetValue.Data), req.SetExpireTsSeconds, ttl)
		}
		return status
	case command.CheckAndMutate:
		return w.mutate(must(op.Payload, new(rrdb.CheckAndMutateRequest)), ttl)
	}
	return 0
}

func (w *twin) incr(req *rrdb.IncrRequest, ttl uint32) int32 {
	k := string(req.Key.Data)
	rec, ok := w.live[k]
	n := int64(0)
	if rec.value != "" {
		var err error
		if n, err = strconv.ParseInt(asGo(rec.value), 0, 64); err != nil {
			return 4
		}
	}
	sum := n + req.Increment
	if req.Increment > 0 && sum < n || req.Increment < 0 && sum > n {
		return 4
	}
	expire := uint32(max(0, req.ExpireTsSeconds))
	if ok && req.ExpireTsSeconds == 0 {
		expire = rec.expire
	}
	w.setAt(k, fmt.Sprint(sum), expire, ttl)
	return 0
}

func (w *twin) mutate(req *rrdb.CheckAndMutateRequest, ttl uint32) int32 {
	if len(req.MutateList) == 0 {
		return 4
	}
	hashKey := string(req.HashKey.Data)
	status := w.check(string(enc(hashKey, string(req.CheckSortKey.Data))), int(req.CheckType), string(req.CheckOperand.Data))
	if status != 0 {
		return status
	}
	for _, m := range req.MutateList {
		if m.Operation == 1 {
			delete(w.live, string(enc(hashKey, string(m.SortKey.Data))))
		} else {
			w.set(hashKey, string(m.SortKey.Data), string(m.Value.Data), m.SetExpireTsSeconds, ttl)
		}
	}
	return 0
}

func (w *twin) check(k string, t int, operand string) int32 {
	rec, exist := w.live[k]
	v := rec.value
	a, errA := strconv.ParseInt(asGo(v), 0, 64)
	b, errB := strconv.ParseInt(asGo(operand), 0, 64)
	switch {
	case t > 17:
		return 4
	case t >= 13 && exist && (errA != nil || errB != nil):
		return 4
	}
	ok := []bool{
		true, !exist, !exist || v == "", exist, exist && v != "",
		exist && strings.Contains(v, operand), exist && strings.HasPrefix(v, operand), exist && strings.HasSuffix(v, operand),
		exist && v < operand, exist && v <= operand, exist && v == operand, exist && v >= operand, exist && v > operand,
		exist && a < b, exist && a <= b, exist && a == b, exist && a >= b, exist && a > b,
	}[t]
	if !ok {
		return 13
	}
	return 0
}

func TestAgainstTwin(t *testing.T) {
	rnd := seeded(t)
	for range 30 {
		r, w := newReplica(t), &twin{live: map[string]twinRecord{}}
		for i, raw := range script(rnd, 100) {
			e, err := command.Decode(raw)
			require.NoError(t, err)
			var got []int32
			results := r.run(raw)
			for _, res := range results {
				got = append(got, status(res))
			}
			if want := w.apply(e); !equalJSON(want, got) {
				t.Fatalf("entry %d: statuses %v, want %v", i, got, want)
			}
			require.Equal(t, w.content(), r.content(w.clock), "entry %d", i)
		}
	}
}

func equalJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func (w *twin) content() map[string]twinRecord {
	live := map[string]twinRecord{}
	for k, rec := range w.live {
		if rec.expire == 0 || rec.expire > w.clock {
			live[k] = rec
		}
	}
	return live
}

// content is what is stored and not expired.
func (r *replica) content(sec uint32) map[string]twinRecord {
	live := map[string]twinRecord{}
	for _, hashKey := range []string{"", "a", "b"} {
		for _, sortKey := range []string{"", "x", "y"} {
			if h, v, ok := r.stored(hashKey, sortKey); ok && !h.ExpiredAt(sec) {
				live[string(enc(hashKey, sortKey))] = twinRecord{v, h.Expire}
			}
		}
	}
	return live
}

// TestPutsMakeNoGarbage: beside the results (a slice and one shared reply per
// entry) a run of puts and removes allocates nothing once buffers have grown.
func TestPutsMakeNoGarbage(t *testing.T) {
	ops := make([]command.Op, 200)
	for i := range ops {
		ops[i] = put("hash", strconv.Itoa(i), "value", 0)
		if i%5 == 0 {
			ops[i] = remove("hash", strconv.Itoa(i))
		}
	}
	raw := entry(command.Header{StampMS: stampAt(now)}, ops...)
	a, b := New(Identity{}, State{}), new(engine.Batch)
	n := testing.AllocsPerRun(50, func() {
		b.Reset()
		e, err := command.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Apply(storage{}, e, a.State().AppliedIndex+1, b); err != nil {
			t.Fatal(err)
		}
		a.AppendState(b)
	})
	if n > 4 {
		t.Errorf("%v allocations for %d ops", n, len(ops))
	}
}
