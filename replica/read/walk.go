package read

import (
	"bytes"
	"fmt"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

const (
	// pageRows is the most rows fetched per crossing. A full scan batch with its
	// look-ahead fits into one page, and at some hundred nanoseconds a row a page
	// is far shorter than any time limit, which is checked between pages.
	pageRows = 1024
	// pageBytes ends a page early. The cost of a crossing is long lost in that
	// of copying so much, and pages are kept for reuse.
	pageBytes = 1 << 20
	// pageSlack is room for headers, key prefixes and the look-ahead row when
	// little of a request's byte limit is left.
	pageSlack = 4 << 10
)

// walk goes through a range until a limit or the end. It examines one row more
// than a limit allows only to learn that there is one.
type walk struct {
	src         Source
	now         uint32
	in          interval
	reverse     bool
	headersOnly bool // values are not looked at
	keyFrom     int  // returned keys are stored keys from this byte on
	timer       timer
	// Limits of rows examined, rows kept, and bytes of returned keys and values.
	// No maxBytes means no limit.
	maxExamined, maxRows, maxBytes int
	// keep decides on live rows; nil keeps all.
	keep func(encoded []byte) bool
	// hides, if set, says which stored rows are not there for anybody.
	hides func(encoded []byte) bool

	examined, rows, bytes int
	late                  bool
	next                  []byte // first row not examined, if ended by a limit
}

// ending says why a walk stopped.
type ending int

const (
	complete ending = iota // no row of the range is left
	limited                // rows are left
	timedOut               // rows are left, and the time is up
)

// run walks through pages of s. The rows to keep are s.picks of s.page; before the
// walk goes on to another page it calls flush, which may be nil. When it ends, the
// rows picked last are in the page still.
func (w *walk) run(s *scratch, flush func()) (ending, error) {
	s.picks = s.picks[:0]
	if w.in.empty() {
		return complete, nil
	}
	it, err := w.src.NewIter(w.options())
	if err != nil {
		return complete, fmt.Errorf("iterate: %w", err)
	}
	defer it.Close()
	for {
		rows, size := w.want()
		if err := it.Next(rows, size, &s.page); err != nil {
			return complete, fmt.Errorf("iterate: %w", err)
		}
		if s.page.Len() == 0 {
			return complete, nil
		}
		s.filled()
		more, err := w.examine(s)
		if err != nil {
			return complete, err
		}
		if more {
			return w.stopped(), nil
		}
		if flush != nil {
			flush()
		}
		s.picks = s.picks[:0]
		w.late = w.timer.late()
	}
}

func (w *walk) options() engine.IterOptions {
	o := engine.IterOptions{Lower: w.in.lower, Upper: w.in.upper, Reverse: w.reverse, Label: "read"}
	if w.headersOnly {
		o.ValuePrefix = record.HeaderLen
	}
	return o
}

// want sizes the next page: the rows still allowed and one to look ahead.
func (w *walk) want() (rows, size int) {
	rows, size = min(w.maxExamined-w.examined, pageRows-1), pageBytes
	if w.keep == nil {
		rows = min(rows, w.maxRows-w.rows)
	}
	if w.maxBytes > 0 {
		size = min(size, w.maxBytes-w.bytes+pageSlack)
	}
	if w.full() {
		rows = 0
	}
	return rows + 1, size
}

func (w *walk) full() bool { return w.late || w.atLimit() }

func (w *walk) atLimit() bool {
	return w.examined >= w.maxExamined || w.rows >= w.maxRows || w.maxBytes > 0 && w.bytes >= w.maxBytes
}

// examine looks at the rows of a page, fills s.picks, and reports whether a row
// was left because the walk is full.
func (w *walk) examine(s *scratch) (more bool, err error) {
	s.picks = s.picks[:0]
	for i := range s.page.Len() {
		k := s.page.Key(i)
		if w.full() {
			w.next = bytes.Clone(k)
			return true, nil
		}
		w.examined++
		h, value, err := decodeRecord(k, s.page.Value(i))
		if err != nil {
			return false, err
		}
		if h.ExpiredAt(w.now) || w.hides != nil && w.hides(k) || w.keep != nil && !w.keep(k) {
			continue
		}
		w.rows++
		w.bytes += len(k) - w.keyFrom + len(value)
		s.picks = append(s.picks, i)
	}
	return false, nil
}

// stopped says why a full walk is full. A walk that got what it wanted and ran
// late only while looking ahead is not late.
func (w *walk) stopped() ending {
	if w.atLimit() {
		return limited
	}
	return timedOut
}
