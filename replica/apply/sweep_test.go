package apply

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
)

func sweepEntry(sec uint32, s command.Sweep) []byte {
	return command.AppendAlone(nil, command.Header{StampMS: stampAt(sec)}, command.KindSweep, s.AppendTo(nil))
}

// seen is a decision about the record as it is stored now.
func (r *replica) seen(hashKey, sortKey string, expire uint32) command.Change {
	h, _, ok := r.stored(hashKey, sortKey)
	require.True(r.t, ok)
	return command.Change{Key: enc(hashKey, sortKey), Index: h.Index, WriteTimeMS: h.WriteTimeMS, Expire: expire}
}

func (r *replica) pass() command.Pass {
	p, err := LoadPass(r.engine)
	require.NoError(r.t, err)
	return p
}

func TestSweep(t *testing.T) {
	r := newReplica(t)
	require.Equal(t, command.Pass{}, r.pass())
	for _, k := range []string{"deleted", "kept", "shortened", "overwritten", "removed", "expired"} {
		r.do(put("h", k, k, 0))
	}
	r.do(put("h", "expired", "x", now+5))
	changes := []command.Change{
		r.seen("h", "deleted", 0), r.seen("h", "shortened", now+50), r.seen("h", "overwritten", 0), r.seen("h", "removed", now+50),
		r.seen("h", "expired", now+99), {Key: enc("h", "never"), Index: 1}, {Key: []byte("x")}, {Key: engine.InternalPrefix},
	}
	r.do(put("h", "overwritten", "again", 0))
	r.do(remove("h", "removed"))
	first := command.Pass{Rules: 1, Began: now, From: enc("h", "x")}
	r.run(sweepEntry(now+10, command.Sweep{Next: first, Changes: changes}))
	r.requireAbsent("h", "deleted")
	r.requireStored("h", "kept", "kept", 0)
	r.requireStored("h", "shortened", "shortened", now+50)
	r.requireStored("h", "overwritten", "again", 0)
	r.requireAbsent("h", "removed")
	r.requireStored("h", "expired", "x", now+5)
	require.Equal(t, first, r.pass())

	// A step that was planned on another pass is void.
	r.run(sweepEntry(now+11, command.Sweep{Next: command.Pass{Rules: 2}, Changes: []command.Change{r.seen("h", "kept", 0)}}))
	r.requireStored("h", "kept", "kept", 0)
	require.Equal(t, first, r.pass())
	done := command.Pass{Rules: 1, Began: now, Done: true, From: []byte{}}
	r.run(sweepEntry(now+12, command.Sweep{Expect: first, Next: done, Changes: []command.Change{r.seen("h", "kept", 0)}}))
	r.requireAbsent("h", "kept")
	require.Equal(t, done, r.pass())
}

// The same log with sweeps in it, in runs cut differently.
func TestSweepsAndRuns(t *testing.T) {
	rnd := seeded(t)
	for range 20 {
		one := newReplica(t)
		var log [][]byte
		pass := command.Pass{}
		for i, e := range script(rnd, 80) {
			log = append(log, e)
			one.run(e)
			if i%5 > 0 {
				continue
			}
			next := command.Pass{Rules: 3, Began: uint32(i), From: []byte{byte(i)}}
			s := command.Sweep{Expect: pass, Next: next}
			for _, hashKey := range []string{"", "a", "b"} {
				for _, sortKey := range []string{"", "x", "y"} {
					if h, _, ok := one.stored(hashKey, sortKey); ok && rnd.IntN(2) == 0 {
						s.Changes = append(s.Changes, command.Change{
							Key: enc(hashKey, sortKey), Index: h.Index, WriteTimeMS: h.WriteTimeMS, Expire: uint32(rnd.IntN(2) * (now + rnd.IntN(100))),
						})
					}
				}
			}
			step := command.AppendAlone(nil, command.Header{StampMS: one.State().ClockMS}, command.KindSweep, s.AppendTo(nil))
			one.run(step)
			log, pass = append(log, step), next
		}
		for _, cut := range []string{"all at once", "random", "random, restarts and compactions"} {
			other := newReplica(t)
			for rest := log; len(rest) > 0; {
				n := len(rest)
				if cut != "all at once" {
					n = 1 + rnd.IntN(min(n, 15))
				}
				other.run(rest[:n]...)
				rest = rest[n:]
			}
			for _, r := range []*replica{one, other} {
				r.engine.SetClock(r.State().ClockSec())
				require.NoError(t, r.engine.Compact(t.Context(), engine.CompactOptions{}))
			}
			require.Equal(t, one.dump(), other.dump(), cut)
		}
	}
}
