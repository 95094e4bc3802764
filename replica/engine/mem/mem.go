// Package mem is an engine in memory, for tests and as the model that rocks is
// compared with. It keeps the whole contract, crash included: Flush writes one
// file, and whatever was applied later is gone unless Close comes first.
package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/btree"

	"github.com/arionkv/arion/replica/engine"
)

// Opener opens engines in memory. The zero Opener is ready.
type Opener struct{}

var _ engine.Opener = Opener{}

// dataFile holds the state at the last Flush: one batch of puts.
const dataFile = "MEM"

// degree of the tree: wide enough to be fast, small enough that the tests of a
// few hundred keys have more than one level.
const degree = 16

type item struct{ key, value []byte }

func less(a, b item) bool { return bytes.Compare(a.key, b.key) < 0 }

// Engine is a sorted map with copy-on-write views.
type Engine struct {
	dir         string
	beforeFlush func() // may be nil
	iters       engine.IterSet

	// flushMu is taken before mu: it orders writers of the file.
	flushMu sync.Mutex

	mu      sync.RWMutex
	tree    *btree.BTreeG[item]
	clock   uint32
	index   int32 // with count, see Purge
	count   int32
	dropped uint64
	closed  bool
}

var _ engine.Engine = (*Engine)(nil)

// Open reads the state of the last Flush in dir, creating dir if it is absent.
func (Opener) Open(dir string, o engine.Options) (engine.Engine, error) {
	e := &Engine{dir: dir, beforeFlush: o.BeforeFlush, tree: btree.NewG(degree, less)}
	err := e.load()
	if errors.Is(err, fs.ErrNotExist) {
		if o.MustExist {
			return nil, fmt.Errorf("open %s: %w", dir, engine.ErrNotExist)
		}
		if err = os.MkdirAll(dir, 0o755); err == nil {
			err = e.save(dir, e.tree)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return e, nil
}

// Get implements engine.Engine.
func (e *Engine) Get(key, dst []byte) ([]byte, bool, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return dst, false, engine.ErrClosed
	}
	it, found := e.tree.Get(item{key: key})
	return append(dst, it.value...), found, nil
}

// MultiGet implements engine.Engine.
func (e *Engine) MultiGet(keys [][]byte, p *engine.Page) error {
	p.Reset()
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return engine.ErrClosed
	}
	for _, k := range keys {
		if it, found := e.tree.Get(item{key: k}); found {
			p.Append(nil, it.value)
		} else {
			p.AppendMissing()
		}
	}
	return nil
}

// Apply implements engine.Engine.
func (e *Engine) Apply(b *engine.Batch) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return engine.ErrClosed
	}
	applyTo(e.tree, b)
	return nil
}

func applyTo(t *btree.BTreeG[item], b *engine.Batch) {
	b.Each(func(kind engine.Kind, key, value []byte) {
		switch kind {
		case engine.KindPut:
			t.ReplaceOrInsert(item{key: bytes.Clone(key), value: bytes.Clone(value)})
		case engine.KindDelete:
			t.Delete(item{key: key})
		case engine.KindDeleteRange:
			deleteRange(t, key, value, func(item) bool { return true })
		}
	})
}

// deleteRange removes what drop chooses; nil to is no bound.
func deleteRange(t *btree.BTreeG[item], from, to []byte, drop func(item) bool) (n uint64) {
	var dead []item
	t.AscendGreaterOrEqual(item{key: from}, func(it item) bool {
		if to != nil && bytes.Compare(it.key, to) >= 0 {
			return false
		}
		if drop(it) {
			dead = append(dead, it)
		}
		return true
	})
	for _, it := range dead {
		t.Delete(it)
	}
	return uint64(len(dead))
}

// Flush implements engine.Engine.
func (e *Engine) Flush() error { return e.saveView(e.dir) }

// Checkpoint implements engine.Engine.
func (e *Engine) Checkpoint(dir string) error {
	if err := e.check(); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return e.saveView(dir)
}

// Compact implements engine.Engine.
func (e *Engine) Compact(ctx context.Context, o engine.CompactOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	to := o.To
	if to == nil {
		to = engine.InternalPrefix
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return engine.ErrClosed
	}
	e.dropped += deleteRange(e.tree, o.From, to, func(it item) bool {
		return engine.FilterDrop(it.key, it.value, e.clock) || engine.FilterForeign(it.key, e.index, e.count)
	})
	return nil
}

// SetClock implements engine.Engine.
func (e *Engine) SetClock(sec uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clock = max(e.clock, sec)
}

// Purge implements engine.Purger.
func (e *Engine) Purge(index, count int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.index, e.count = index, count
}

// Stats implements engine.Engine.
func (e *Engine) Stats() engine.Stats {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return engine.Stats{}
	}
	s := engine.Stats{EstimatedKeys: uint64(e.tree.Len()), FilterDropped: e.dropped, OpenIters: e.iters.Len()}
	if st, err := os.Stat(filepath.Join(e.dir, dataFile)); err == nil {
		s.SizeBytes, s.TableFiles = uint64(st.Size()), 1
	}
	return s
}

// Close implements engine.Engine.
func (e *Engine) Close() error {
	flushErr := e.Flush()
	if errors.Is(flushErr, engine.ErrClosed) {
		return nil
	}
	return errors.Join(flushErr, e.shut())
}

// Crash closes without making anything durable, as kill -9 would. Open of the
// same directory then shows the state of the last Flush.
func (e *Engine) Crash() { _ = e.shut() }

func (e *Engine) shut() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	return e.iters.CloseAll(e.dir)
}

func (e *Engine) check() error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return engine.ErrClosed
	}
	return nil
}

// view returns a frozen copy. Clone changes the original's bookkeeping too, so
// it needs the write lock.
func (e *Engine) view() (*btree.BTreeG[item], error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, engine.ErrClosed
	}
	return e.tree.Clone(), nil
}
