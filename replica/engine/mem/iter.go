package mem

import (
	"bytes"
	"sync"

	"github.com/google/btree"

	"github.com/arionkv/arion/replica/engine"
)

type iter struct {
	e  *Engine
	o  engine.IterOptions
	id uint64

	mu   sync.Mutex
	view *btree.BTreeG[item] // nil once closed
	last []byte              // key of the last row shown, nil before the first
}

// NewIter implements engine.Engine.
func (e *Engine) NewIter(o engine.IterOptions) (engine.Iter, error) {
	view, err := e.view()
	if err != nil {
		return nil, err
	}
	o.Lower, o.Upper = bytes.Clone(o.Lower), bytes.Clone(o.Upper)
	it := &iter{e: e, o: o, view: view}
	it.id = e.iters.Add(o, it.free)
	if err := e.check(); err != nil { // closed between view and Add
		it.Close()
		return nil, err
	}
	return it, nil
}

// Next implements engine.Iter.
func (it *iter) Next(maxRows, maxBytes int, p *engine.Page) error {
	p.Reset()
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.view == nil {
		return engine.ErrClosed
	}
	it.walk(func(row item) bool {
		p.Append(row.key, it.cut(row.value))
		it.last = append(make([]byte, 0, len(row.key)), row.key...)
		return p.Len() < maxRows && p.Bytes() < maxBytes
	})
	return nil
}

// walk visits the rows not yet shown until fn returns false.
func (it *iter) walk(fn func(item) bool) {
	if it.o.Reverse {
		it.walkDown(fn)
		return
	}
	from := it.o.Lower
	if it.last != nil {
		from = it.last
	}
	it.view.AscendGreaterOrEqual(item{key: from}, func(row item) bool {
		if it.o.Upper != nil && bytes.Compare(row.key, it.o.Upper) >= 0 {
			return false
		}
		return it.isLast(row) || fn(row)
	})
}

func (it *iter) walkDown(fn func(item) bool) {
	visit := func(row item) bool {
		if bytes.Compare(row.key, it.o.Lower) < 0 {
			return false
		}
		isUpper := it.o.Upper != nil && bytes.Equal(row.key, it.o.Upper)
		return isUpper || it.isLast(row) || fn(row)
	}
	switch {
	case it.last != nil:
		it.view.DescendLessOrEqual(item{key: it.last}, visit)
	case it.o.Upper != nil:
		it.view.DescendLessOrEqual(item{key: it.o.Upper}, visit)
	default:
		it.view.Descend(visit)
	}
}

func (it *iter) isLast(row item) bool { return it.last != nil && bytes.Equal(row.key, it.last) }

func (it *iter) cut(value []byte) []byte {
	if it.o.ValuePrefix > 0 && len(value) > it.o.ValuePrefix {
		return value[:it.o.ValuePrefix]
	}
	return value
}

// Close implements engine.Iter.
func (it *iter) Close() {
	it.free()
	it.e.iters.Remove(it.id)
}

func (it *iter) free() {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.view = nil
}
