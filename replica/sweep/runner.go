// Package sweep deletes records and changes their expiry by the rules of a
// table's env user_specified_compaction. See docs/design/0003.
package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/internal/rules"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

const (
	// again is the age at which a finished pass of the same rules is repeated:
	// records come under a rule by being written and by ageing.
	again = 24 * time.Hour
	// A step is proposed when it holds so much, so that writes of clients do not
	// wait long behind it.
	stepChanges = 512
	stepBytes   = 256 << 10
	// A page is what is read at once; after it the pass pauses as long as it took.
	pageRows  = 2048
	pageBytes = 1 << 20
	// stepTimeout bounds one step; the next Tick goes on from what was stored.
	stepTimeout = 30 * time.Second
	// retryDelay is the pause after a pass that failed.
	retryDelay = 10 * time.Second
)

// View is what a pass reads: an engine that stays open until Release.
type View interface {
	Get(key, dst []byte) ([]byte, bool, error)
	NewIter(o engine.IterOptions) (engine.Iter, error)
	Release()
}

// Target is the leading replica of a partition.
type Target struct {
	Table, Index int32
	Rules        *rules.Rules
	// Acquire opens what is applied; Barrier says when it is all that is committed.
	Acquire func() (View, error)
	Barrier func(done func(error))
	Sweep   func(s command.Sweep, done func(error))
	NowSec  func() uint32
}

type id struct{ table, index int32 }

// Runner sweeps the partitions that this node leads, one at a time.
type Runner struct {
	log    *logrus.Entry
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	running id // zero = none
	stop    context.CancelFunc
	notYet  map[id]wait
}

// wait is when a partition has to be looked at again under these rules.
type wait struct {
	rules uint64
	at    time.Time
}

// NewRunner makes a Runner. Close ends it.
func NewRunner(log *logrus.Entry) *Runner {
	r := &Runner{log: log, notYet: map[id]wait{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Close cancels the pass that runs and waits for it.
func (r *Runner) Close() {
	r.cancel()
	r.wg.Wait()
}

// Tick starts a pass if one is due and none runs. targets are all partitions led
// by this node whose table has rules; a pass of another partition is cancelled.
func (r *Runner) Tick(targets []Target, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := make(map[id]uint64, len(targets))
	for _, t := range targets {
		known[id{t.Table, t.Index}] = t.Rules.Digest
	}
	for k, w := range r.notYet {
		if known[k] != w.rules {
			delete(r.notYet, k) // led by others, or other rules
		}
	}
	if r.running != (id{}) {
		if _, led := known[r.running]; !led {
			r.stop()
		}
		return
	}
	for _, t := range targets {
		k := id{t.Table, t.Index}
		if w, ok := r.notYet[k]; ok && now.Before(w.at) {
			continue
		}
		if r.ctx.Err() == nil {
			r.startLocked(k, t)
		}
		return
	}
}

func (r *Runner) startLocked(k id, t Target) {
	ctx, cancel := context.WithCancel(r.ctx)
	r.running, r.stop = k, cancel
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		defer cancel()
		next, err := (&pass{Target: t, ctx: ctx}).run()
		log := r.log.WithFields(logrus.Fields{"table": t.Table, "partition": t.Index})
		if err != nil {
			next = time.Now().Add(retryDelay)
			if ctx.Err() == nil {
				log.WithError(err).Info("sweep by compaction rules interrupted")
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.running = id{}
		r.notYet[k] = wait{t.Rules.Digest, next}
	}()
}

// pass is one go at a partition.
type pass struct {
	Target
	ctx    context.Context
	stored command.Pass
	at     []byte // where to read on: at or behind stored.From
}

// errOvertaken is a step that another leader was quicker with.
var errOvertaken = errors.New("another leader sweeps the partition")

// run goes through the partition from where the stored pass is, and returns when
// to look again.
func (p *pass) run() (next time.Time, err error) {
	// What a former leader had in the log is applied after this.
	if err := p.wait(p.Barrier); err != nil {
		return next, err
	}
	if err := p.load(); err != nil {
		return next, err
	}
	now := p.NowSec()
	if p.stored.Done && p.stored.Rules == p.Rules.Digest {
		if age := time.Duration(int64(now)-int64(p.stored.Began)) * time.Second; age < again {
			return time.Now().Add(again - age), nil
		}
	}
	if p.stored.Done || p.stored.Rules != p.Rules.Digest {
		if err := p.step(command.Pass{Rules: p.Rules.Digest, Began: now}, nil); err != nil {
			return next, err
		}
	}
	p.at = p.stored.From
	for !p.stored.Done {
		began := time.Now()
		if err := p.page(); err != nil {
			return next, err
		}
		select {
		case <-p.ctx.Done():
			return next, p.ctx.Err()
		case <-time.After(time.Since(began)):
		}
	}
	return time.Now().Add(again), nil
}

func (p *pass) load() error {
	v, err := p.Acquire()
	if err != nil {
		return err
	}
	defer v.Release()
	p.stored, err = apply.LoadPass(v)
	return err
}

// page judges the next records and proposes what is to be done. A page on which
// nothing is to be done costs no entry: whoever goes on from the stored position
// finds the same.
func (p *pass) page() error {
	changes, from, err := p.judge()
	if err != nil {
		return err
	}
	p.at = from
	if len(changes) == 0 && from != nil {
		return nil
	}
	next := p.stored
	next.From, next.Done = from, from == nil
	return p.step(next, changes)
}

// judge reads on from the position. from is where to go on, nil at the end.
func (p *pass) judge() (changes []command.Change, from []byte, err error) {
	v, err := p.Acquire()
	if err != nil {
		return nil, nil, err
	}
	defer v.Release()
	it, err := v.NewIter(engine.IterOptions{
		Lower: p.at, Upper: engine.InternalPrefix, ValuePrefix: record.HeaderLen, Bulk: true, Label: "sweep",
	})
	if err != nil {
		return nil, nil, err
	}
	defer it.Close()
	now := p.NowSec()
	var page engine.Page
	if err := it.Next(pageRows, pageBytes, &page); err != nil {
		return nil, nil, err
	}
	size := 0
	for i := range page.Len() {
		k := page.Key(i)
		if len(changes) >= stepChanges || size >= stepBytes {
			return changes, bytes.Clone(k), nil
		}
		h, _, err := record.Decode(page.Value(i))
		if err != nil {
			return nil, nil, fmt.Errorf("record %x: %w: %w", k, engine.ErrCorruption, err)
		}
		if h.ExpiredAt(now) {
			continue
		}
		if expire, change := p.Rules.Judge(k, h.Expire, now); change {
			changes = append(changes, command.Change{Key: bytes.Clone(k), Index: h.Index, WriteTimeMS: h.WriteTimeMS, Expire: expire})
			size += len(k)
		}
	}
	if page.Len() == 0 {
		return nil, nil, nil
	}
	return changes, append(bytes.Clone(page.Key(page.Len()-1)), 0), nil
}

// step proposes one entry and makes sure that it counted.
func (p *pass) step(next command.Pass, changes []command.Change) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	s := command.Sweep{Expect: p.stored, Next: next, Changes: changes}
	if err := p.wait(func(done func(error)) { p.Sweep(s, done) }); err != nil {
		return err
	}
	if err := p.load(); err != nil {
		return err
	}
	if !p.stored.Equal(next) {
		return errOvertaken
	}
	return nil
}

// wait makes a call with a callback into one that blocks.
func (p *pass) wait(call func(done func(error))) error {
	done := make(chan error, 1)
	call(func(err error) { done <- err })
	t := time.NewTimer(stepTimeout)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-p.ctx.Done():
		return p.ctx.Err()
	case <-t.C:
		return errors.New("no answer in time")
	}
}
