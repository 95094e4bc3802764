package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/key"
)

// ErrScannerClosed is given by a scanner after Close.
var ErrScannerClosed = errors.New("scanner closed")

// defaultPage is the number of records fetched at a time; servers cap it at 1000.
const defaultPage = 500

// ScanOptions says what a scanner delivers. The zero value delivers everything.
type ScanOptions struct {
	PageSize   int // records fetched at a time; 0 = 500
	NoValue    bool
	SortKeys   Filter
	HashKeys   Filter // unordered scanners only
	Expiry     bool   // fill in Row.Expires
	NoPrefetch bool   // do not fetch the next page while this one is consumed
	// Reuse is for long scans: rows and their bytes are the caller's only until the
	// scanner is asked for more, and serve for later pages then. Such a scanner
	// belongs to one goroutine.
	Reuse bool
}

// Row is one record from a scanner. The slices are the caller's to keep, but for
// ScanOptions.Reuse.
type Row struct {
	HashKey, SortKey, Value []byte
	// Expires is when the record dies, with ScanOptions.Expiry; zero = never.
	Expires time.Time
}

// Scanner delivers records in order of their keys, page by page. When a leader
// changes, a connection breaks or the server forgets the scan, it goes on from
// the last record by itself: nothing is lost and nothing comes twice. Records
// written while it runs may or may not be seen.
//
// An error from Next is not the end: the next call tries again from the same
// place. A scanner may be used from several goroutines; each record goes to one.
type Scanner struct {
	t *Table
	o ScanOptions
	// hashKey and bounds are set for an ordered scanner.
	ordered bool
	hashKey []byte
	bounds  Range

	mu       sync.Mutex
	segments []segment
	rows     []Row   // fetched and not delivered yet, of segment current
	memory   *memory // of rows
	lent     *memory // of the rows delivered last, with Reuse
	current  int
	endsSeg  bool // rows are the last of their segment
	next     *page
	fetching bool
	at       position // of the fetching
	queue    []*request
	ended    bool
	closed   bool
}

// segment is the scan of one partition, as far as it was delivered.
type segment struct {
	// Partition of Count at the time the scan began. An ordered scanner has one
	// segment and finds its partition by the hash key.
	Partition, Count int32
	// After is the encoded key of the last record delivered.
	After []byte
	// Seen is, for each partition that this one becomes when it splits once or
	// twice, the last key delivered that belongs there. When a split happens under
	// the scan, the server drops the records that moved from some page on; the new
	// partition is then scanned behind what was delivered of it.
	Seen [seenParts][]byte
	Done bool
}

// seenParts covers two splits of a partition during one scan. Were there more,
// records would come twice, but none would be lost.
const seenParts = 4

// position is how far fetching has come; it is ahead of the delivery.
type position struct {
	segment int
	after   []byte
	context int64 // live at the server, or 0
}

// page is a fetched page that waits for the rows before it to be consumed.
type page struct {
	segment int
	rows    []Row
	memory  *memory
	last    bool // of its segment
}

// request is a caller that waits for rows, at most max of them.
type request struct {
	s   *Scanner
	max int
	d   *Deferred[[]Row]
}

// Scan makes a scanner over the records of a hash key, in order of the sort key.
// It does no I/O; a bad argument is reported by the first Next.
func (t *Table) Scan(hashKey []byte, r Range, o ScanOptions) *Scanner {
	if o.SortKeys.Type == NoFilter {
		o.SortKeys = r.Filter
	}
	return &Scanner{t: t, o: o, ordered: true, hashKey: clone(hashKey),
		bounds:   Range{Start: clone(r.Start), Stop: clone(r.Stop), StartExclusive: r.StartExclusive, StopInclusive: r.StopInclusive},
		segments: make([]segment, 1)}
}

// UnorderedScanners makes scanners that together deliver the whole table, each
// record once: at most maxSplit of them, to be run in parallel. Within a
// partition records come in order of their keys.
func (t *Table) UnorderedScanners(ctx context.Context, maxSplit int, o ScanOptions) ([]*Scanner, error) {
	if maxSplit < 1 {
		return nil, invalid("scan", t.name, "%d scanners", maxSplit)
	}
	snap, err := t.routing(ctx, nil)
	if err != nil {
		return nil, err
	}
	n := min(maxSplit, int(snap.Count))
	scanners := make([]*Scanner, n)
	for i := range scanners {
		scanners[i] = &Scanner{t: t, o: o}
	}
	// Neighbours stay together: partition p goes to scanner p·n/count.
	for p := range snap.Count {
		s := scanners[int(p)*n/int(snap.Count)]
		s.segments = append(s.segments, segment{Partition: p, Count: snap.Count})
	}
	return scanners, nil
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

// Next gives the next record, or io.EOF after the last.
func (s *Scanner) Next(ctx context.Context) (Row, error) {
	s.mu.Lock()
	if len(s.queue) == 0 && len(s.rows) > 0 && !s.closed {
		rows := s.takeLocked(1)
		s.mu.Unlock()
		return rows[0], nil
	}
	s.mu.Unlock()
	rows, err := s.NextPageOf(ctx, 1)
	if err != nil {
		return Row{}, err
	}
	return rows[0], nil
}

// NextAsync is Next without waiting.
func (s *Scanner) NextAsync() *Deferred[Row] {
	return Then(s.pageAsync(1), func(rows []Row) (Row, error) { return rows[0], nil })
}

// NextPage gives the records that are there, at least one, or io.EOF.
func (s *Scanner) NextPage(ctx context.Context) ([]Row, error) {
	return s.NextPageOf(ctx, 0)
}

// NextPageOf is NextPage for at most limit records; 0 is no limit.
func (s *Scanner) NextPageOf(ctx context.Context, limit int) ([]Row, error) {
	d := s.pageAsync(limit)
	rows, err := d.Wait(ctx)
	if err != nil && err == ctx.Err() {
		d.cancelWith(err)
		if rows, err = d.Wait(context.Background()); errors.Is(err, ErrCanceled) {
			err = ctx.Err()
		}
	}
	return rows, err
}

// NextPageAsync is NextPage without waiting.
func (s *Scanner) NextPageAsync() *Deferred[[]Row] { return s.pageAsync(0) }

// Rows iterates over the records that are left. An error ends the iteration as
// its last pair. Leaving the loop early leaves the scanner where it stands.
func (s *Scanner) Rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for {
			row, err := s.Next(ctx)
			if err == io.EOF {
				return
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// Close ends the scanner and frees what the server holds for it. Calls that wait
// fail with ErrScannerClosed. Not closing costs the server a context for some
// minutes, unless the scan went to its end.
func (s *Scanner) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	queue := s.queue
	s.queue, s.rows, s.next = nil, nil, nil
	// A page on its way brings a new context, freed when it arrives.
	var at position
	if !s.fetching {
		at = s.at
	}
	s.mu.Unlock()
	s.clear(at)
	for _, r := range queue {
		r.d.fire(nil, ErrScannerClosed)
	}
	return nil
}

func (s *Scanner) pageAsync(limit int) *Deferred[[]Row] {
	r := &request{s: s, max: limit, d: &Deferred[[]Row]{exec: s.t.c.exec}}
	r.d.cancel = r
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		r.d.fire(nil, ErrScannerClosed)
		return r.d
	}
	s.queue = append(s.queue, r)
	s.serve()
	return r.d
}

// cancel takes a waiting request out of the queue.
func (r *request) cancel(cause error) {
	r.s.mu.Lock()
	found := false
	for i, q := range r.s.queue {
		if found = q == r; found {
			r.s.queue = append(r.s.queue[:i], r.s.queue[i+1:]...)
			break
		}
	}
	r.s.mu.Unlock()
	if found {
		r.d.fire(nil, &Error{Op: "scan", Table: r.s.t.name, Partition: -1, Kind: ErrCanceled, Cause: cause})
	}
}

// serve gives out the rows there are and fetches more if someone waits or
// prefetching is on. It unlocks.
func (s *Scanner) serve() {
	type delivery struct {
		r    *request
		rows []Row
		err  error
	}
	var out []delivery
	for len(s.queue) > 0 {
		if len(s.rows) == 0 && !s.turnLocked() {
			if !s.ended {
				break
			}
			s.takeBackLocked(nil)
			out = append(out, delivery{s.queue[0], nil, io.EOF})
		} else if len(s.rows) > 0 {
			out = append(out, delivery{s.queue[0], s.takeLocked(s.queue[0].max), nil})
		} else {
			continue // an empty page ended its segment
		}
		s.queue = s.queue[1:]
	}
	fetch := !s.fetching && !s.ended && !s.closed && s.next == nil && (len(s.queue) > 0 || !s.o.NoPrefetch)
	// The check for a split needs to know what was delivered.
	if fetch && s.at.segment >= len(s.segments) && len(s.rows) > 0 {
		fetch = false
	}
	s.fetching = s.fetching || fetch
	s.mu.Unlock()
	for _, d := range out {
		d.r.d.fire(d.rows, d.err)
	}
	if fetch {
		s.fetch()
	}
}

// turnLocked goes on to the fetched page, if there is one.
func (s *Scanner) turnLocked() bool {
	if s.next == nil {
		return false
	}
	s.rows, s.memory, s.current, s.endsSeg = s.next.rows, s.next.memory, s.next.segment, s.next.last
	s.next = nil
	if len(s.rows) == 0 && s.endsSeg {
		s.segments[s.current].Done = true
	}
	return true
}

// takeLocked delivers rows, at most limit of them if that is not 0.
func (s *Scanner) takeLocked(limit int) []Row {
	n := len(s.rows)
	if limit > 0 {
		n = min(n, limit)
	}
	rows := s.rows[:n:n]
	s.rows = s.rows[n:]
	s.takeBackLocked(s.memory)
	g := &s.segments[s.current]
	if !s.ordered {
		g.see(rows)
	}
	last := &rows[n-1]
	g.After = key.Append(g.After[:0], last.HashKey, last.SortKey)
	if len(s.rows) == 0 && s.endsSeg {
		g.Done = true
	}
	return rows
}

// takeBackLocked notes that rows of m are lent now, and those before no more.
func (s *Scanner) takeBackLocked(m *memory) {
	if !s.o.Reuse || s.lent == m {
		return
	}
	s.lent.free()
	s.lent = m
}

// see notes the last record of each of the partitions to come.
func (g *segment) see(rows []Row) {
	var seen [seenParts]bool
	left := seenParts
	var hashKey []byte // of the row before: the rows of one are together
	for i := len(rows) - 1; i >= 0 && left > 0; i-- {
		r := &rows[i]
		if len(r.HashKey) > 0 && bytes.Equal(r.HashKey, hashKey) {
			continue
		}
		hashKey = r.HashKey
		part := key.Hash(r.HashKey, r.SortKey) % (seenParts * uint64(g.Count)) / uint64(g.Count)
		if !seen[part] {
			seen[part], g.Seen[part] = true, key.Append(g.Seen[part][:0], r.HashKey, r.SortKey)
			left--
		}
	}
}

// clear frees a context at the server; nobody answers.
func (s *Scanner) clear(at position) {
	snap := s.t.route.Current()
	if at.context <= 0 || snap == nil {
		return
	}
	r := wire.Route{TableID: snap.TableID}
	if s.ordered {
		r.Hash = key.Hash(s.hashKey, nil)
		r.Partition = snap.Pick(r.Hash)
	} else {
		p := s.segments[at.segment].Partition
		if p >= snap.Count {
			return
		}
		r.Partition, r.Hash = snap.Serving(p), uint64(p)
	}
	leader := snap.Partitions[r.Partition].Leader
	if leader == nil {
		return
	}
	if c, err := leader.Conn(r.Hash); err == nil {
		frame := wire.AppendClearScanner(nil, at.context)
		wire.SetRoute(frame, r)
		c.SendOneway(frame)
	}
}
