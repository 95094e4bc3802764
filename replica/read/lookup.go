package read

import "fmt"

const (
	// firstChunk keys are fetched before the size of the records is known: at
	// the largest value a client may write (1 MiB), 16 MiB.
	firstChunk = 16
	// maxChunk keys are the most per crossing; more gain nothing.
	maxChunk = 256
)

// lookup finds n keys in chunks, one crossing each. Chunks shrink and grow with
// the size of what is found, to about pageBytes.
type lookup struct {
	src    Source
	now    uint32
	timer  timer
	n      int
	encode func(dst []byte, i int) []byte // appends the encoded key i
}

// each calls visit for every live record in order, with the index of its key; a
// record is valid during the call. It stops early when visit returns false or
// the time is up; more then says that there may be further records.
func (l *lookup) each(s *scratch, visit func(i int, value []byte) bool) (more bool, err error) {
	chunk := firstChunk
	for done := 0; done < l.n; {
		if done > 0 && l.timer.late() {
			return true, nil
		}
		size := min(chunk, l.n-done)
		if err := l.fetch(s, done, size); err != nil {
			return false, err
		}
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
		chunk = nextChunk(chunk, s.page.Bytes())
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

func nextChunk(chunk, pageSize int) int {
	switch {
	case pageSize > pageBytes:
		return max(1, chunk/2)
	case pageSize < pageBytes/4:
		return min(maxChunk, chunk*2)
	}
	return chunk
}
