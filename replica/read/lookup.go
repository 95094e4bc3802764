package read

import (
	"fmt"
	"sync/atomic"
)

const (
	// firstChunk keys are fetched before the size of the records is known: at
	// the largest value a client may write (1 MiB), 16 MiB.
	firstChunk = 16
	// knownChunk keys are fetched at first where earlier lookups of the partition
	// found small records: a multi_get of 100 is one crossing then. If these are the
	// first large ones, 128 MiB.
	knownChunk = 128
	// maxChunk keys are the most per crossing; more gain nothing.
	maxChunk = 256
)

// lookup finds n keys in chunks, one crossing each. Chunks shrink and grow with
// the size of what is found, to about pageBytes.
type lookup struct {
	src    Source
	pace   *pace
	now    uint32
	timer  timer
	n      int
	encode func(dst []byte, i int) []byte // appends the encoded key i
}

// each calls visit for every live record in order, with the index of its key; a
// record is valid during the call. It stops early when visit returns false or
// the time is up; more then says that there may be further records.
func (l *lookup) each(s *scratch, visit func(i int, value []byte) bool) (more bool, err error) {
	chunk := l.pace.first()
	for done := 0; done < l.n; {
		if done > 0 && l.timer.late() {
			return true, nil
		}
		size := min(chunk, l.n-done)
		if err := l.fetch(s, done, size); err != nil {
			return false, err
		}
		chunk = l.pace.next(size, s.page.Bytes())
		for i := range size {
			value, ok, err := l.live(s, i)
			if err != nil {
				return false, err
			}
			if ok && !visit(done+i, value) {
				return true, nil
			}
		}
		done += size
	}
	return false, nil
}

func (l *lookup) fetch(s *scratch, first, n int) error {
	s.keys, s.buf = s.keys[:0], s.buf[:0]
	for i := range n {
		start := len(s.buf)
		s.buf = l.encode(s.buf, first+i)
		s.keys = append(s.keys, s.buf[start:len(s.buf):len(s.buf)])
	}
	if err := l.src.MultiGet(s.keys, &s.page); err != nil {
		return fmt.Errorf("get %d keys: %w", n, err)
	}
	s.filled()
	return nil
}

// live returns row i of the page, if its record lives.
func (l *lookup) live(s *scratch, i int) (value []byte, ok bool, err error) {
	if !s.page.Found(i) {
		return nil, false, nil
	}
	h, value, err := decodeRecord(s.keys[i], s.page.Value(i))
	return value, err == nil && !h.ExpiredAt(l.now), err
}

// pace is how many keys lookups of a partition take at a time.
type pace struct{ record atomic.Int64 }

// first keys are as many as fill a page if they are like the records found before:
// record is their length on average, quick to rise and slow to fall, so that a
// table with a few large ones is read with care.
func (p *pace) first() int {
	record := int(p.record.Load())
	if record == 0 {
		return firstChunk
	}
	return min(max(firstChunk, pageBytes/record), knownChunk)
}

// paceFall is how many lookups of smaller records take e (2.7) off the excess.
const paceFall = 64

// next is told the size of what the last keys had.
func (p *pace) next(keys, bytes int) int {
	average, record := int64(bytes/keys+1), p.record.Load()
	if now := max(average, record-(record-average)/paceFall); now != record {
		p.record.Store(now)
	}
	return min(max(1, pageBytes/int(average)), maxChunk)
}
