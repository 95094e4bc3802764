// Package bench drives load through the Go client and reports what came back:
// operations per second, latencies, errors, and where it was measured.
package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/client"
)

// Options say what to run.
type Options struct {
	Metas     []string
	Table     string
	Workload  string        // one of Workloads
	Records   int           // size of the key space; load writes each once
	SortKeys  int           // records per hash key
	ValueSize int           // bytes
	InFlight  int           // calls waiting for an answer at once
	Duration  time.Duration // of all workloads but load
	ReadShare float64       // of mixed, 0 to 1
	TTL       time.Duration // of written records
	Seed      uint64
}

// Workloads by name, with what they do.
var Workloads = map[string]string{
	"load":  "write every record once",
	"set":   "write random records",
	"get":   "read random records",
	"mixed": "read and write random records, see --reads",
	"incr":  "count in random records of their own",
}

// Defaults are those of the command line.
func Defaults() Options {
	return Options{
		Workload: "mixed", Records: 100_000, SortKeys: 10, ValueSize: 100,
		InFlight: 128, Duration: 10 * time.Second, ReadShare: 0.5, Seed: 1,
	}
}

// Validate reports everything that is wrong.
func (o *Options) Validate() error {
	var problems []error
	check := func(ok bool, text string) {
		if !ok {
			problems = append(problems, errors.New(text))
		}
	}
	_, known := Workloads[o.Workload]
	check(known, fmt.Sprintf("--workload %q is none of load, set, get, mixed, incr", o.Workload))
	check(o.Table != "", "--table is required")
	check(o.Records > 0, "--records must be positive")
	check(o.SortKeys > 0, "--sort-keys must be positive")
	check(o.ValueSize >= 0 && o.ValueSize <= 1<<20, "--value-size must be between 0 and 1 MB")
	check(o.InFlight > 0, "--in-flight must be positive")
	check(o.Duration > 0, "--duration must be positive")
	check(o.ReadShare >= 0 && o.ReadShare <= 1, "--reads must be between 0 and 1")
	return errors.Join(problems...)
}

// Run drives the load until it is done or ctx ends; what was measured until
// then is reported.
func Run(ctx context.Context, o Options) (*Report, error) {
	c, err := client.Open(ctx, o.Metas)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	t := c.Table(o.Table)
	if _, err := t.Partitions(ctx); err != nil {
		return nil, err
	}
	r := &run{options: o, table: t, value: value(o)}
	return r.drive(ctx), nil
}

// value is random, so that compression does not flatter the result.
func value(o Options) []byte {
	b := make([]byte, o.ValueSize)
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

type run struct {
	options Options
	table   *client.Table
	value   []byte
	next    atomic.Int64 // record that load writes next
}

// drive splits the calls in flight among as many issuers as there are
// processors; each keeps its share outstanding.
func (r *run) drive(ctx context.Context) *Report {
	if r.options.Workload != "load" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.options.Duration)
		defer cancel()
	}
	issuers := min(runtime.GOMAXPROCS(0), r.options.InFlight)
	lanes := make([]*lane, issuers)
	begin := time.Now()
	var group sync.WaitGroup
	for i := range lanes {
		share := r.options.InFlight / issuers
		if i < r.options.InFlight%issuers {
			share++
		}
		lanes[i] = newLane(share)
		group.Go(func() { r.issue(ctx, lanes[i], rand.New(rand.NewPCG(r.options.Seed, uint64(i)+1))) })
	}
	group.Wait()
	return newReport(r.options, lanes, time.Since(begin))
}

// issue keeps the lane full until ctx ends or nothing is left, then waits for
// what is outstanding.
func (r *run) issue(ctx context.Context, l *lane, rng *rand.Rand) {
	defer l.drain()
	for l.take(ctx) {
		if !r.one(l, rng) {
			l.give()
			return
		}
	}
}

// one issues a call; false means that load has written everything.
func (r *run) one(l *lane, rng *rand.Rand) bool {
	// The calls are bounded by the client's own time-out, so that ending the
	// run does not fail those in flight.
	ctx := context.Background()
	begin := time.Now()
	n := rng.IntN(r.options.Records)
	switch r.options.Workload {
	case "load":
		n = int(r.next.Add(1)) - 1
		if n >= r.options.Records {
			return false
		}
		r.set(ctx, l, n, begin)
	case "set":
		r.set(ctx, l, n, begin)
	case "get":
		r.get(ctx, l, n, begin)
	case "mixed":
		if rng.Float64() < r.options.ReadShare {
			r.get(ctx, l, n, begin)
		} else {
			r.set(ctx, l, n, begin)
		}
	case "incr":
		hashKey, sortKey := r.keys(n)
		r.table.IncrAsync(ctx, hashKey, append(sortKey, "-count"...), 1).AddBoth(func(v int64, err error) (int64, error) {
			l.done(begin, false, err)
			return v, nil
		})
	}
	return true
}

func (r *run) set(ctx context.Context, l *lane, n int, begin time.Time) {
	hashKey, sortKey := r.keys(n)
	v := append([]byte(nil), r.value...)
	if len(v) >= 8 {
		binary.BigEndian.PutUint64(v, uint64(n)) // no two records alike
	}
	r.table.SetTTLAsync(ctx, hashKey, sortKey, v, r.options.TTL).AddBoth(func(v struct{}, err error) (struct{}, error) {
		l.done(begin, false, err)
		return v, nil
	})
}

func (r *run) get(ctx context.Context, l *lane, n int, begin time.Time) {
	hashKey, sortKey := r.keys(n)
	r.table.GetAsync(ctx, hashKey, sortKey).AddBoth(func(v []byte, err error) ([]byte, error) {
		l.done(begin, true, err)
		return v, nil
	})
}

// keys of record n: neighbours share a hash key.
func (r *run) keys(n int) (hashKey, sortKey []byte) {
	hashKey = strconv.AppendInt([]byte("bench-"), int64(n/r.options.SortKeys), 10)
	return hashKey, strconv.AppendInt([]byte("field-"), int64(n%r.options.SortKeys), 10)
}
