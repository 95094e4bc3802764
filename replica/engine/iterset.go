package engine

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
	"time"
)

// IterSet keeps the open iterators of one engine, so that Close can name and
// free them. It is for engines. The zero IterSet is ready.
type IterSet struct {
	mu   sync.Mutex
	next uint64
	open map[uint64]openIter
}

type openIter struct {
	o     IterOptions
	since time.Time
	free  func()
}

// Add registers an iterator; free is what CloseAll calls, outside the lock.
func (s *IterSet) Add(o IterOptions, free func()) (id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[uint64]openIter)
	}
	s.next++
	s.open[s.next] = openIter{o: o, since: time.Now(), free: free}
	return s.next
}

// Remove forgets an iterator that was closed.
func (s *IterSet) Remove(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

// Len is the number of open iterators.
func (s *IterSet) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// CloseAll frees what is still open and returns it as an error, or nil.
func (s *IterSet) CloseAll(dir string) error {
	s.mu.Lock()
	left := s.open
	s.open = nil
	s.mu.Unlock()
	if len(left) == 0 {
		return nil
	}
	e := &OpenItersError{Dir: dir}
	for _, it := range left {
		it.free()
		e.Iters = append(e.Iters, OpenIter{Label: it.o.Label, Lower: it.o.Lower, Upper: it.o.Upper, Age: time.Since(it.since)})
	}
	slices.SortFunc(e.Iters, func(a, b OpenIter) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), bytes.Compare(a.Lower, b.Lower))
	})
	return e
}
