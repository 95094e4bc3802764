package rowcache

import (
	"sync"
	"sync/atomic"

	"github.com/arionkv/arion/replica/engine"
)

// cached is an engine with the cache in front.
type cached struct {
	engine.Engine
	cache *cache
	id    atomic.Uint32 // names its records in the cache
	// state counts writes, see the package comment.
	state atomic.Uint64
	// used is set by the first read: until then there is nothing to take out, as on
	// replicas that nobody reads.
	used   atomic.Bool
	bypass atomic.Bool // the table asks to leave caches alone
	closed atomic.Bool
}

const (
	writeBegun = 1 << 16
	writers    = writeBegun - 1
)

// newID makes everything cached for the engine unreachable.
func (e *cached) newID() { e.id.Store(e.cache.ids.Add(1)) }

// Get implements engine.Engine.
func (e *cached) Get(key, dst []byte) ([]byte, bool, error) {
	if e.bypass.Load() || e.closed.Load() {
		return e.Engine.Get(key, dst)
	}
	id, state := e.id.Load(), e.state.Load()
	h := hash(id, key)
	s := e.cache.shard(h)
	if value, ok := s.get(h, id, key, dst); ok {
		return value, true, nil
	}
	at := len(dst)
	value, found, err := e.Engine.Get(key, dst)
	if found && err == nil {
		e.keep(s, h, id, key, value[at:], state)
	}
	return value, found, err
}

// keep takes in what the engine gave for a read that began at a state.
func (e *cached) keep(s *shard, h uint64, id uint32, key, value []byte, state uint64) {
	if len(key)+len(value) > maxRecord || state&writers != 0 {
		return
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	s.put(h, id, key, value, func() bool { return e.state.Load() == state })
}

// mostKeys is the largest MultiGet that looks here. Those of more keys ask for
// neighbours, which the engine walks over about as fast, and would turn the cache
// over.
const mostKeys = 64

// lookup is a MultiGet in progress.
type lookup struct {
	buf    []byte // values that were there
	rows   []part
	missed [][]byte
	page   engine.Page
}

// part is one key's value: in buf, or as the next row of page.
type part struct {
	hash    uint64
	off, to uint32
	hit     bool
}

var lookups = sync.Pool{New: func() any { return new(lookup) }}

// maxIdlePage is the largest page kept for the next lookup: as much as all of buf can
// be. Large values must not stay in memory for good.
const maxIdlePage = mostKeys * maxRecord

func (l *lookup) end() {
	clear(l.missed)
	if l.page.Bytes() > maxIdlePage {
		l.page = engine.Page{}
	}
	lookups.Put(l)
}

// MultiGet implements engine.Engine.
func (e *cached) MultiGet(keys [][]byte, p *engine.Page) error {
	id, state := e.id.Load(), e.state.Load()
	if len(keys) > mostKeys || state&writers != 0 || e.bypass.Load() || e.closed.Load() {
		return e.Engine.MultiGet(keys, p)
	}
	l := lookups.Get().(*lookup)
	defer l.end()
	l.find(e.cache, id, keys)
	if len(l.missed) == len(keys) {
		err := e.Engine.MultiGet(keys, p)
		if err == nil {
			e.keepMissed(l, id, keys, p, state)
		}
		return err
	}
	if len(l.missed) > 0 {
		if err := e.Engine.MultiGet(l.missed, &l.page); err != nil {
			return err
		}
	}
	if e.state.Load() != state {
		return e.Engine.MultiGet(keys, p) // a write may stand between two of the rows
	}
	l.fill(p)
	e.keepMissed(l, id, keys, &l.page, state)
	return nil
}

// find looks every key up.
func (l *lookup) find(c *cache, id uint32, keys [][]byte) {
	l.buf, l.rows, l.missed = l.buf[:0], l.rows[:0], l.missed[:0]
	for _, k := range keys {
		h := hash(id, k)
		c.shard(h).fetchSet(h)
		l.rows = append(l.rows, part{hash: h})
	}
	for i := range l.rows {
		h := l.rows[i].hash
		c.shard(h).fetchRecord(h)
	}
	for i, k := range keys {
		r := &l.rows[i]
		r.off = uint32(len(l.buf))
		l.buf, r.hit = c.shard(r.hash).get(r.hash, id, k, l.buf)
		r.to = uint32(len(l.buf))
		if !r.hit {
			l.missed = append(l.missed, k)
		}
	}
}

// fill puts what was here and what the engine had into one page.
func (l *lookup) fill(p *engine.Page) {
	p.Reset()
	next := 0
	for _, r := range l.rows {
		switch {
		case r.hit:
			p.Append(nil, l.buf[r.off:r.to])
			continue
		case l.page.Found(next):
			p.Append(nil, l.page.Value(next))
		default:
			p.AppendMissing()
		}
		next++
	}
}

// keepMissed takes in what the engine had; p has a row for each key that missed.
func (e *cached) keepMissed(l *lookup, id uint32, keys [][]byte, p *engine.Page, state uint64) {
	next := 0
	for i, r := range l.rows {
		if r.hit {
			continue
		}
		if p.Found(next) {
			e.keep(e.cache.shard(r.hash), r.hash, id, keys[i], p.Value(next), state)
		}
		next++
	}
}

// Apply implements engine.Engine.
func (e *cached) Apply(b *engine.Batch) error {
	e.state.Add(writeBegun + 1)
	if e.used.Load() {
		e.takeOut(b)
	}
	err := e.Engine.Apply(b)
	e.state.Add(^uint64(0))
	return err
}

func (e *cached) takeOut(b *engine.Batch) {
	id := e.id.Load()
	b.Each(func(kind engine.Kind, key, _ []byte) {
		if kind == engine.KindDeleteRange {
			e.newID()
			return
		}
		h := hash(id, key)
		e.cache.shard(h).remove(h, id, key)
	})
}

// Close implements engine.Engine. What is cached becomes unreachable.
func (e *cached) Close() error {
	e.closed.Store(true)
	return e.Engine.Close()
}

// Tune implements engine.Tuner, if the engine does.
func (e *cached) Tune(t engine.Tuning) error {
	e.bypass.Store(t.NoCacheFill)
	if tuner, ok := e.Engine.(engine.Tuner); ok {
		return tuner.Tune(t)
	}
	return nil
}

// Purge implements engine.Purger, if the engine does.
func (e *cached) Purge(index, count int32) {
	if p, ok := e.Engine.(engine.Purger); ok {
		p.Purge(index, count)
	}
}
