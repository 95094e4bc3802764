package client

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
)

const rpcGetScanner = "RPC_RRDB_RRDB_GET_SCANNER"

var (
	// Opening reads and may be repeated.
	opOpenScan = opSpec{name: "scan", class: classScan}
	// Going on uses the context up: a lost answer cannot be asked for again, the
	// scan has to be opened anew behind the last record.
	opNextScan = opSpec{name: "scan", class: classScan, single: true}
)

// fetch gets the next page. One fetch runs at a time; it owns s.at.
func (s *Scanner) fetch() {
	s.mu.Lock()
	if s.closed {
		s.fetching = false
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	if s.at.segment >= len(s.segments) {
		s.recount()
		return
	}
	if s.at.after == nil {
		s.at.after = clone(s.segments[s.at.segment].After)
	}
	if s.segments[s.at.segment].Done {
		s.at = position{segment: s.at.segment + 1}
		s.fetch()
		return
	}
	if s.at.context > 0 {
		s.goOn()
		return
	}
	s.open()
}

func (s *Scanner) newOp(spec *opSpec) *op[*arrival] {
	o := newOp(s.t, spec, key.Hash(s.hashKey, nil), s.decode)
	if !s.ordered {
		p := s.segments[s.at.segment].Partition
		o.c.fixed, o.c.hash = p, uint64(p)
	}
	return o
}

// arrival is a page as it comes in.
type arrival struct {
	wire.Rows
	memory *memory // of rows
	rows   []Row   // without what does not belong
	last   []byte  // key of the last record sent, if there was one
}

// memory holds the rows of a page and the bytes they are parts of.
type memory struct {
	rows  []Row
	bytes []byte
	frame []byte // that bytes are part of, or nil
}

// maxIdleBytes is the most bytes of a page that are kept with its rows.
const maxIdleBytes = 1 << 20

var memories = sync.Pool{New: func() any { return new(memory) }}

// free gives the memory to other pages.
func (m *memory) free() {
	if m == nil {
		return
	}
	if m.frame != nil {
		wire.GiveMemory(m.frame)
		m.frame, m.bytes = nil, nil
	}
	if cap(m.bytes) <= maxIdleBytes {
		memories.Put(m)
	}
}

// keep gives the memory for a page, with its bytes.
func (s *Scanner) keep(c *call, body []byte) *memory {
	switch {
	case !s.o.Reuse:
		return &memory{bytes: c.keep(body)}
	case c.own != nil:
		m := memories.Get().(*memory)
		m.frame, m.bytes = c.own, body
		return m
	}
	m := memories.Get().(*memory)
	m.bytes = append(m.bytes[:0], body...)
	return m
}

// decode reads a page in one pass. It splits the keys, and drops what does not
// belong: records of another partition, left over from a split, and anything not
// behind the last key.
func (s *Scanner) decode(c *call, body []byte) (*arrival, error) {
	m := s.keep(c, body)
	in := wire.ReadRows(m.bytes)
	m.rows = slices.Grow(m.rows[:0], in.Len())
	a := &arrival{memory: m}
	after := s.at.after
	owner := owner{g: &s.segments[s.at.segment], all: s.ordered}
	for r := (wire.Row{}); in.Next(&r); a.last = r.Key {
		hashKey, sortKey, err := key.Decode(r.Key)
		if err != nil {
			m.free()
			return nil, c.badDecode(err)
		}
		if after != nil {
			if bytes.Compare(r.Key, after) <= 0 {
				continue
			}
			after = nil // what follows is in order
		}
		if !owner.has(hashKey, sortKey) {
			continue
		}
		m.rows = m.rows[:len(m.rows)+1]
		row := &m.rows[len(m.rows)-1]
		row.HashKey, row.SortKey, row.Value, row.Expires = hashKey, sortKey, r.Value, time.Time{}
		if r.Expire != 0 {
			row.Expires = time.Unix(key.EpochUnix+int64(r.Expire), 0)
		}
	}
	var err error
	if a.Rows, err = in.End(); err != nil {
		m.free()
		return nil, c.badDecode(err)
	}
	if a.Status != 0 && a.Status != statusIncomplete {
		m.free()
		return nil, c.badStatus(a.Status)
	}
	a.rows = m.rows
	return a, nil
}

// owner tells the records of a segment's partition, asking about a hash key once.
type owner struct {
	g       *segment
	all     bool
	hashKey []byte
	owned   bool
}

func (o *owner) has(hashKey, sortKey []byte) bool {
	if o.all {
		return true
	}
	if len(hashKey) == 0 || !bytes.Equal(hashKey, o.hashKey) {
		o.hashKey = hashKey
		o.owned = key.PartitionIndex(key.Hash(hashKey, sortKey), o.g.Count) == o.g.Partition
	}
	return o.owned
}

// open starts the scan of the segment behind the last record.
func (s *Scanner) open() {
	req, err := s.openRequest()
	if err != nil {
		s.failed(err)
		return
	}
	o := s.newOp(&opOpenScan)
	o.c.frame = wire.AppendRequest(o.into(), rpcGetScanner, req)
	o.startInner(context.Background(), func(got *arrival, err error) {
		if err != nil {
			s.failed(err)
			return
		}
		s.arrived(&o.c, got)
	})
}

func (s *Scanner) goOn() {
	o := s.newOp(&opNextScan)
	o.c.frame = wire.AppendScan(o.into(), s.at.context)
	o.startInner(context.Background(), func(got *arrival, err error) {
		s.at.context = 0
		switch {
		case err == nil:
			s.arrived(&o.c, got)
		case errors.Is(err, ErrClosed):
			s.failed(err)
		default:
			// Whatever was wrong, opening anew finds out: a context that is gone, a
			// leader that moved, a connection that broke.
			s.fetch()
		}
	})
}

func (s *Scanner) openRequest() (*rrdb.GetScannerRequest, error) {
	const op = "scan"
	if err := checkKey(op, s.t.name, s.hashKey, s.ordered); err != nil {
		return nil, err
	}
	if !s.o.SortKeys.ok() || !s.o.HashKeys.ok() {
		return nil, invalid(op, s.t.name, "filter type")
	}
	yes := true
	full := !s.ordered
	req := &rrdb.GetScannerRequest{
		StartInclusive: true, BatchSize: clamp(s.pageSize()), NoValue: s.o.NoValue,
		HashKeyFilterType: rrdb.FilterType(s.o.HashKeys.Type), HashKeyFilterPattern: base.BlobOf(s.o.HashKeys.Pattern),
		SortKeyFilterType: rrdb.FilterType(s.o.SortKeys.Type), SortKeyFilterPattern: base.BlobOf(s.o.SortKeys.Pattern),
		ValidatePartitionHash: &full, FullScan: &full,
	}
	if s.o.Expiry {
		req.ReturnExpireTs = &yes
	}
	if s.ordered {
		s.orderedRange(req)
	} else {
		req.StartKey, req.StopKey = base.BlobOf([]byte{0, 0}), base.BlobOf([]byte{0xff, 0xff})
	}
	if s.at.after != nil {
		req.StartKey, req.StartInclusive = base.BlobOf(s.at.after), false
	}
	return req, nil
}

func (s *Scanner) orderedRange(req *rrdb.GetScannerRequest) {
	req.StartKey = base.BlobOf(key.Append(nil, s.hashKey, s.bounds.Start))
	req.StartInclusive = !s.bounds.StartExclusive
	if len(s.bounds.Stop) == 0 {
		req.StopKey = base.BlobOf(key.Successor(key.Append(nil, s.hashKey, nil)))
		return
	}
	req.StopKey = base.BlobOf(key.Append(nil, s.hashKey, s.bounds.Stop))
	req.StopInclusive = s.bounds.StopInclusive
}

func (s *Scanner) pageSize() int {
	if s.o.PageSize > 0 {
		return s.o.PageSize
	}
	return defaultPage
}

// arrived takes a page from the server.
func (s *Scanner) arrived(c *call, got *arrival) {
	rows := got.rows
	if got.last != nil {
		s.at.after = append(s.at.after[:0], got.last...)
	}
	s.at.context = max(got.Context, 0)
	// Out of time, the server gives what it has and no context.
	cut := got.Status == statusIncomplete
	if cut && got.last == nil {
		s.failed(c.badStatus(got.Status))
		return
	}
	p := &page{segment: s.at.segment, rows: rows, memory: got.memory, last: !cut && s.at.context == 0}
	if p.last {
		s.at = position{segment: s.at.segment + 1}
	}
	s.mu.Lock()
	if s.closed {
		s.fetching = false
		at := s.at
		s.mu.Unlock()
		s.clear(at)
		return
	}
	if len(rows) == 0 && !p.last {
		s.mu.Unlock()
		s.fetch() // everything was filtered away
		return
	}
	s.next, s.fetching = p, false
	if len(s.rows) == 0 {
		s.turnLocked()
	}
	s.serve()
}

// failed reports an error to those who wait. The scan stays where it is.
func (s *Scanner) failed(err error) {
	s.mu.Lock()
	s.fetching = false
	s.at.context = 0
	queue := s.queue
	s.queue = nil
	s.mu.Unlock()
	for _, r := range queue {
		r.d.fire(nil, err)
	}
}

// recount ends the scan, unless partitions have split under it: then the new
// ones are scanned too. Only routing asked for now, after the last page, tells.
func (s *Scanner) recount() {
	if s.ordered {
		s.finish()
		return
	}
	stale := s.t.route.Current()
	if stale == nil || !s.t.route.Refresh(stale, recounter{s}) {
		// Somebody refreshed in between; that is as good if there is a result.
		if s.t.route.Current() == nil {
			s.t.route.Refresh(nil, recounter{s})
			return
		}
		recounter{s}.OnRoute(nil)
	}
}

func (s *Scanner) finish() {
	s.mu.Lock()
	s.fetching, s.ended = false, true
	s.serve()
}

type recounter struct{ s *Scanner }

func (r recounter) OnRoute(err error) {
	s := r.s
	snap := s.t.route.Current()
	if err != nil || snap == nil {
		c := call{t: s.t, op: &opOpenScan, placed: -1}
		if err == nil || isNoTable(err) {
			err = errNoTable
		}
		s.failed(c.errorLocked(err))
		return
	}
	s.mu.Lock()
	grown := s.growLocked(snap.Count)
	s.mu.Unlock()
	if !grown {
		s.finish()
		return
	}
	s.fetch()
}

// growLocked adds the partitions that came from splits up to count.
func (s *Scanner) growLocked(count int32) bool {
	had := len(s.segments)
	for i := range had {
		g := &s.segments[i]
		times := count / g.Count
		if times < 2 || g.Count*times != count {
			continue
		}
		old := *g
		g.Count, g.Seen = count, old.seenBy(0, times)
		for j := int32(1); j < times; j++ {
			child := segment{Partition: old.Partition + j*old.Count, Count: count, Seen: old.seenBy(j, times)}
			for _, last := range child.Seen {
				if bytes.Compare(last, child.After) > 0 {
					child.After = clone(last)
				}
			}
			s.segments = append(s.segments, child)
		}
	}
	return len(s.segments) > had
}

// seenBy gives what was delivered of the j-th of the partitions that g became, of
// times in all, by the partitions that one may become. Part k of it holds the
// hashes Partition + (j + k·times)·Count, modulo seenParts·times·Count.
func (g *segment) seenBy(j, times int32) (seen [seenParts][]byte) {
	if times > seenParts {
		return seen
	}
	for k := range seen {
		seen[k] = clone(g.Seen[(j+int32(k)*times)%seenParts]) // each is overwritten on its own
	}
	return seen
}
