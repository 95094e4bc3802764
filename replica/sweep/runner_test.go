package sweep

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/rules"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const now = 1000

// partition applies steps at once, without raft.
type partition struct {
	t      *testing.T
	engine engine.Engine
	mu     sync.Mutex
	apply  *apply.Applier
	steps  int
	refuse error // of the next steps
	before func()
}

func newPartition(t *testing.T, records int) *partition {
	e, err := mem.Opener{}.Open(t.TempDir()+"/p", engine.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	p := &partition{t: t, engine: e, apply: apply.New(apply.Identity{TableID: 1}, apply.State{})}
	var b engine.Batch
	for i := range records {
		b.PutHeader(encoded(i), record.Header{Expire: now + 500, Index: uint64(i + 1), WriteTimeMS: 5}, []byte("v"))
	}
	require.NoError(t, e.Apply(&b))
	return p
}

func encoded(i int) []byte { return key.Append(nil, fmt.Appendf(nil, "k%06d", i), nil) }

func (p *partition) sweep(s command.Sweep, done func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.before != nil {
		p.before()
	}
	if p.refuse != nil {
		done(p.refuse)
		return
	}
	p.steps++
	raw := command.AppendAlone(nil, command.Header{StampMS: (now + record.EpochUnix) * 1000}, command.KindSweep, s.AppendTo(nil))
	e, err := command.Decode(raw)
	require.NoError(p.t, err)
	var b engine.Batch
	_, err = p.apply.Apply(p.engine, e, p.apply.State().AppliedIndex+1, &b)
	require.NoError(p.t, err)
	p.apply.AppendState(&b)
	require.NoError(p.t, p.engine.Apply(&b))
	done(nil)
}

type view struct{ engine.Engine }

func (view) Release() {}

func (p *partition) target(text string) Target {
	r, err := rules.Parse(text)
	require.NoError(p.t, err)
	return Target{
		Table: 1, Rules: r, NowSec: func() uint32 { return now }, Sweep: p.sweep,
		Acquire: func() (View, error) { return view{p.engine}, nil },
		Barrier: func(done func(error)) { done(nil) },
	}
}

func (p *partition) expiry(i int) uint32 {
	b, found, err := p.engine.Get(encoded(i), nil)
	require.NoError(p.t, err)
	if !found {
		return 0
	}
	h, _, err := record.Decode(b)
	require.NoError(p.t, err)
	return h.Expire
}

func (p *partition) stored() command.Pass {
	pass, err := apply.LoadPass(p.engine)
	require.NoError(p.t, err)
	return pass
}

// Everything gains 100 seconds, which shows how often each record was changed.
const longer = `{"ops":[{"type":"COT_UPDATE_TTL","params":"{\"type\":\"UTOT_FROM_CURRENT\",\"value\":100}",
	"rules":[{"type":"FRT_HASHKEY_PATTERN","params":"{\"pattern\":\"k\",\"match_type\":\"SMT_MATCH_PREFIX\"}"}]}]}`

func (p *partition) run(t Target) (time.Time, error) {
	return (&pass{Target: t, ctx: p.t.Context()}).run()
}

func TestPassChangesEachRecordOnce(t *testing.T) {
	const n = 5000
	p := newPartition(t, n)
	target := p.target(longer)
	// The leader goes away in the middle, and once more.
	for _, steps := range []int{3, 7} {
		p.before = func() {
			if p.steps >= steps {
				p.refuse = fmt.Errorf("not the leader")
			}
		}
		_, err := p.run(target)
		require.ErrorContains(t, err, "not the leader")
		p.refuse = nil
		require.False(t, p.stored().Done)
	}
	p.before = nil
	next, err := p.run(target)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(again), next, time.Minute)
	require.True(t, p.stored().Done)
	for i := range n {
		require.EqualValues(t, now+600, p.expiry(i), i)
	}
	steps := p.steps
	_, err = p.run(target)
	require.NoError(t, err)
	require.Equal(t, steps, p.steps, "nothing is due for a day")
}

func TestOvertaken(t *testing.T) {
	p := newPartition(t, 2000)
	target := p.target(longer)
	other := command.Pass{Rules: 99, Began: 1, From: []byte("x")}
	p.before = func() {
		if p.steps == 2 {
			p.before = nil
			p.mu.Unlock()
			p.sweep(command.Sweep{Expect: p.stored(), Next: other}, func(error) {})
			p.mu.Lock()
		}
	}
	_, err := p.run(target)
	require.ErrorIs(t, err, errOvertaken)
	require.True(t, other.Equal(p.stored()), "the late step is void")
}

func TestNothingToDoCostsTwoEntries(t *testing.T) {
	p := newPartition(t, 10000)
	_, err := p.run(p.target(`{"ops":[{"type":"COT_DELETE","params":"","rules":[{"type":"FRT_HASHKEY_PATTERN",
		"params":"{\"pattern\":\"no\",\"match_type\":\"SMT_MATCH_PREFIX\"}"}]}]}`))
	require.NoError(t, err)
	require.Equal(t, 2, p.steps, "the beginning and the end")
}

func TestRunner(t *testing.T) {
	p := newPartition(t, 1000)
	r := NewRunner(obs.Discard())
	target := p.target(longer)
	idle := func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.running == id{} }
	r.Tick([]Target{target}, time.Now())
	require.Eventually(t, func() bool { return p.stored().Done && idle() }, 20*time.Second, time.Millisecond)
	r.Tick([]Target{target}, time.Now())
	require.True(t, idle(), "not due")
	r.Tick(nil, time.Now())
	require.Empty(t, r.notYet, "no memory of partitions led by others")

	// A pass of a partition that this node leads no more is cancelled.
	block := make(chan struct{})
	target.Barrier = func(func(error)) { close(block) }
	r.Tick([]Target{target}, time.Now())
	<-block
	r.Tick(nil, time.Now())
	require.Eventually(t, idle, 20*time.Second, time.Millisecond)
	r.Close()
	r.Tick([]Target{target}, time.Now())
	require.True(t, idle(), "closed")
}
