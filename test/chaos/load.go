package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/test/linear"
)

// Load makes clients fight over few records and writes down what they saw.
//
// Hash keys are used for a while and then left for fresh ones, since the cost of
// judging a history grows faster than its length. At the end every hash key is
// read once more: what was acknowledged at the beginning must still be there.
type Load struct {
	History *linear.History
	metas   []string
	name    string
	tables  []*client.Table // of clients that stay
	probes  []*probe
	workers int
	ops     atomic.Int64
	value   atomic.Int64
	seed    uint64
}

const (
	// hashKeys are fought over at a time, opsPerHash is how often each is used.
	hashKeys   = 6
	opsPerHash = 120
	// callTimeout is above an election and below the length of long faults.
	callTimeout = 3 * time.Second
	// rest is what a worker does between two operations, so that histories last.
	rest = 4 * time.Millisecond
)

// NewLoad prepares a load. The tables must be one, empty, through clients made
// with Options. A third of the workers use clients of their own that come and go.
func NewLoad(seed uint64, workers int, metas []string, tables ...*client.Table) *Load {
	return &Load{
		History: linear.NewHistory(), metas: metas, name: tables[0].Name(), tables: tables,
		workers: workers, seed: seed,
	}
}

// Probe adds readers that each cling to one server, for the table of this id.
func (l *Load) Probe(addrs []string, table int32, count int) {
	for i, addr := range addrs {
		number := l.workers + 1 + i
		l.probes = append(l.probes, &probe{
			l: l, addr: addr, table: table, count: int32(count),
			w: worker{l: l, number: number, rng: rand.New(rand.NewPCG(l.seed, uint64(number)))},
		})
	}
}

// Options are those of clients that a Load may use: they do not repeat writes of
// unknown outcome, since one that is carried out twice has two places in the
// history.
func Options() []client.Option {
	return []client.Option{client.WithRetry(client.RetryPolicy{NoRepeatAfterUnknown: true})}
}

// Run works until ctx ends. Calls under way are finished.
func (l *Load) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range l.workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			w := &worker{
				l: l, number: i, table: l.tables[i%len(l.tables)],
				rng: rand.New(rand.NewPCG(l.seed, uint64(i))), last: map[string]linear.Row{},
			}
			if i%3 == 2 {
				w.comeAndGo(ctx)
			} else {
				w.stay(ctx)
			}
		}()
	}
	for _, p := range l.probes {
		wg.Add(1)
		go func() { defer wg.Done(); p.run(ctx) }()
	}
	wg.Wait()
}

// Finish reads every hash key that was used and adds that to the history. The
// cluster must be well.
func (l *Load) Finish(ctx context.Context) error {
	w := &worker{l: l, number: l.workers, table: l.tables[0], last: map[string]linear.Row{}}
	generations := l.ops.Load()/(hashKeys*opsPerHash) + 1
	for n := range generations * hashKeys {
		in := linear.Input{Kind: linear.MultiGet, Hash: hashKey(n)}
		call := l.History.Begin(w.number, in)
		out, err := w.do(ctx, in)
		if err != nil {
			return fmt.Errorf("read of %s at the end: %w", in.Hash, err)
		}
		call.End(out)
	}
	return nil
}

func hashKey(n int64) string { return fmt.Sprintf("h%d", n) }

type worker struct {
	l      *Load
	number int
	table  *client.Table
	rng    *rand.Rand
	last   map[string]linear.Row // as last seen, for checks that have a chance
}

func (w *worker) jitter() time.Duration { return rest/2 + time.Duration(w.rng.Int64N(int64(rest))) }

func (w *worker) stay(ctx context.Context) {
	for ctx.Err() == nil {
		w.step()
		time.Sleep(w.jitter())
	}
}

// visit is how many operations a passing client does.
const visit = 30

// comeAndGo works through one client after the other. A newcomer asks the metas
// for the routing and so finds a new leader while others, who have heard of no
// error, still talk to the old one: those two must not disagree.
func (w *worker) comeAndGo(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := client.Open(ctx, w.l.metas, Options()...)
		if err != nil {
			time.Sleep(w.jitter())
			continue
		}
		w.table = c.Table(w.l.name)
		for i := 0; i < visit && ctx.Err() == nil; i++ {
			w.step()
			time.Sleep(w.jitter())
		}
		c.Close()
	}
}

func (w *worker) step() {
	in := w.choose()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	call := w.l.History.Begin(w.number, in)
	out, err := w.do(ctx, in)
	switch {
	case err == nil:
		call.End(out)
		w.learn(in, out)
	case client.IsUnknownOutcome(err):
		call.End(linear.Output{Unknown: true})
	}
}

// choose makes up an operation.
func (w *worker) choose() linear.Input {
	in := linear.Input{Hash: w.hash(w.l.ops.Add(1)), Cell: w.rng.IntN(linear.Counter)}
	switch p := w.rng.IntN(100); {
	case p < 30:
		in.Kind = linear.Get
	case p < 50:
		in.Kind, in.Value = linear.Put, w.fresh()
	case p < 55:
		in.Kind = linear.Remove
	case p < 70:
		in.Kind, in.Cell, in.By = linear.Incr, linear.Counter, w.rng.Int64N(1000)+1
	case p < 80:
		in.Kind, in.Value = linear.CheckAndSet, w.fresh()
		in.Expect = w.last[in.Hash][in.Cell]
	case p < 88:
		in.Kind = linear.MultiPut
		in.Row[0], in.Row[2] = w.fresh(), w.fresh()
	default:
		in.Kind = linear.MultiGet
	}
	return in
}

// hash is one of the hash keys in use after n operations.
func (w *worker) hash(n int64) string {
	generation := n / (hashKeys * opsPerHash)
	return hashKey(generation*hashKeys + w.rng.Int64N(hashKeys))
}

// fresh is a value that was never written before.
func (w *worker) fresh() string { return "v" + strconv.FormatInt(w.l.value.Add(1), 10) }

func (w *worker) learn(in linear.Input, out linear.Output) {
	row := w.last[in.Hash]
	switch in.Kind {
	case linear.Get:
		row[in.Cell] = out.Value
	case linear.Put:
		row[in.Cell] = in.Value
	case linear.Remove:
		row[in.Cell] = ""
	case linear.CheckAndSet:
		row[in.Cell] = out.Value
		if out.Passed {
			row[in.Cell] = in.Value
		}
	case linear.MultiGet:
		row = out.Row
	}
	w.last[in.Hash] = row
}

// do carries an operation out.
func (w *worker) do(ctx context.Context, in linear.Input) (out linear.Output, err error) {
	hash, cell := []byte(in.Hash), sortKey(in.Cell)
	switch in.Kind {
	case linear.Get:
		var v []byte
		v, err = w.table.Get(ctx, hash, cell)
		if errors.Is(err, client.ErrNotFound) {
			return out, nil
		}
		out.Value = string(v)
	case linear.Put:
		err = w.table.Set(ctx, hash, cell, []byte(in.Value))
	case linear.Remove:
		err = w.table.Del(ctx, hash, cell)
	case linear.Incr:
		out.Number, err = w.table.Incr(ctx, hash, cell, in.By)
	case linear.CheckAndSet:
		return w.checkAndSet(ctx, in)
	case linear.MultiPut:
		var records []client.Record
		for i, v := range in.Row {
			if v != "" {
				records = append(records, client.Record{SortKey: sortKey(i), Value: []byte(v)})
			}
		}
		err = w.table.MultiSet(ctx, hash, records)
	case linear.MultiGet:
		return w.multiGet(ctx, hash)
	}
	return out, err
}

func (w *worker) checkAndSet(ctx context.Context, in linear.Input) (out linear.Output, err error) {
	check := client.Check{SortKey: sortKey(in.Cell), Type: client.BytesEqual, Operand: []byte(in.Expect), ReturnValue: true}
	if in.Expect == "" {
		check.Type, check.Operand = client.ValueNotExist, nil
	}
	r, err := w.table.CheckAndSet(ctx, []byte(in.Hash), check, client.Put{SortKey: sortKey(in.Cell), Value: []byte(in.Value)})
	return linear.Output{Passed: r.Passed, Value: string(r.Value)}, err
}

func (w *worker) multiGet(ctx context.Context, hash []byte) (out linear.Output, err error) {
	r, err := w.table.MultiGetRange(ctx, hash, client.RangeOptions{})
	if err != nil {
		return out, err
	}
	if !r.Complete {
		return out, errors.New("incomplete answer for a handful of records")
	}
	for _, rec := range r.Records {
		cell, err := strconv.Atoi(string(rec.SortKey))
		if err != nil || cell < 0 || cell >= linear.Cells {
			return out, fmt.Errorf("unknown sort key %q", rec.SortKey)
		}
		out.Row[cell] = string(rec.Value)
	}
	return out, nil
}

func sortKey(cell int) []byte { return []byte(strconv.Itoa(cell)) }
