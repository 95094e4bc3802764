// Package faulty wraps any engine and makes chosen calls fail, wait or lie, for
// tests of what stands above. A Plan belongs to the Opener and reaches every
// engine and iterator opened through it.
package faulty

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/arionkv/arion/replica/engine"
)

// Op names a method.
type Op string

// The methods a Fault can strike.
const (
	Open       Op = "open"
	Get        Op = "get"
	MultiGet   Op = "multi-get"
	NewIter    Op = "new-iter"
	Next       Op = "next"
	Apply      Op = "apply"
	Flush      Op = "flush"
	Checkpoint Op = "checkpoint"
	Compact    Op = "compact"
	Close      Op = "close"
)

// Fault strikes calls of Op. The zero values of the other fields mean: in every
// directory, at once, for ever, and nothing happens.
type Fault struct {
	Op Op
	// Dir limits the fault to engines whose directory ends so.
	Dir string
	// Skip lets that many calls pass first; Times, if positive, ends the fault
	// after so many strikes.
	Skip, Times int

	// Delay and then Hook run before the call. Hook may block, to hold a call
	// until the test has seen it; it runs without locks.
	Delay time.Duration
	Hook  func()
	// Err is what the call returns. It is then not made, unless AfterCall is
	// set: the effect happened, the answer was lost. Close is always made.
	Err       error
	AfterCall bool
}

// Plan is the list of faults in force. The zero Plan is ready and harmless. It
// may be changed at any time from any goroutine.
type Plan struct {
	mu     sync.Mutex
	faults []*Fault
	calls  map[Op]int
}

// Add puts f in force after the present faults. The first that matches a call
// strikes. undo takes it out again.
func (p *Plan) Add(f Fault) (undo func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := &f
	p.faults = append(p.faults, own)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults = slices.DeleteFunc(p.faults, func(f *Fault) bool { return f == own })
	}
}

// Clear takes out all faults.
func (p *Plan) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

// Calls counts the calls of op so far, struck or not.
func (p *Plan) Calls(op Op) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[op]
}

// strike counts a call and picks its fault; a copy, since Add's may change.
func (p *Plan) strike(op Op, dir string) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = make(map[Op]int)
	}
	p.calls[op]++
	for i, f := range p.faults {
		if f.Op != op || !strings.HasSuffix(dir, f.Dir) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				p.faults = slices.Delete(p.faults, i, i+1)
			}
		}
		return *f
	}
	return Fault{}
}

// do makes a call under the plan.
func (p *Plan) do(op Op, dir string, call func() error) error {
	f := p.strike(op, dir)
	if f.Delay > 0 {
		time.Sleep(f.Delay)
	}
	if f.Hook != nil {
		f.Hook()
	}
	if f.Err != nil && !f.AfterCall && op != Close {
		return f.Err
	}
	if err := call(); err != nil {
		return err
	}
	return f.Err
}

// Opener wraps the engines that Base opens.
type Opener struct {
	Base engine.Opener
	Plan *Plan
}

var _ engine.Opener = Opener{}

// Open implements engine.Opener.
func (o Opener) Open(dir string, opts engine.Options) (engine.Engine, error) {
	var e engine.Engine
	err := o.Plan.do(Open, dir, func() (err error) {
		e, err = o.Base.Open(dir, opts)
		return err
	})
	if err != nil {
		if e != nil { // opened, and the answer lost: nobody else can close it
			_ = e.Close()
		}
		return nil, err
	}
	return Wrap(e, dir, o.Plan), nil
}

// Wrap puts an open engine under a plan.
func Wrap(e engine.Engine, dir string, p *Plan) engine.Engine {
	return &faulty{Engine: e, dir: dir, plan: p}
}

// faulty passes SetClock and Stats through: they return no errors.
type faulty struct {
	engine.Engine
	dir  string
	plan *Plan
}

func (f *faulty) do(op Op, call func() error) error { return f.plan.do(op, f.dir, call) }

func (f *faulty) Get(key, dst []byte) (value []byte, found bool, err error) {
	value = dst
	err = f.do(Get, func() (err error) {
		value, found, err = f.Engine.Get(key, dst)
		return err
	})
	if err != nil {
		return dst, false, err
	}
	return value, found, nil
}

func (f *faulty) MultiGet(keys [][]byte, p *engine.Page) error {
	return f.do(MultiGet, func() error { return f.Engine.MultiGet(keys, p) })
}

func (f *faulty) Apply(b *engine.Batch) error {
	return f.do(Apply, func() error { return f.Engine.Apply(b) })
}

func (f *faulty) Flush() error { return f.do(Flush, f.Engine.Flush) }

func (f *faulty) Checkpoint(dir string) error {
	return f.do(Checkpoint, func() error { return f.Engine.Checkpoint(dir) })
}

func (f *faulty) Compact(ctx context.Context, o engine.CompactOptions) error {
	return f.do(Compact, func() error { return f.Engine.Compact(ctx, o) })
}

// Tune implements engine.Tuner if the engine does, and else does nothing.
func (f *faulty) Tune(t engine.Tuning) error {
	if tuner, ok := f.Engine.(engine.Tuner); ok {
		return tuner.Tune(t)
	}
	return nil
}

func (f *faulty) Close() error { return f.do(Close, f.Engine.Close) }

func (f *faulty) NewIter(o engine.IterOptions) (engine.Iter, error) {
	var it engine.Iter
	err := f.do(NewIter, func() (err error) {
		it, err = f.Engine.NewIter(o)
		return err
	})
	if err != nil {
		if it != nil {
			it.Close()
		}
		return nil, err
	}
	return &faultyIter{Iter: it, f: f}, nil
}

type faultyIter struct {
	engine.Iter
	f *faulty
}

func (it *faultyIter) Next(maxRows, maxBytes int, p *engine.Page) error {
	return it.f.do(Next, func() error { return it.Iter.Next(maxRows, maxBytes, p) })
}
