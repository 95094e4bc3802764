// Package hotkey finds the hash keys that take most of a partition's requests.
//
// A Sketch is always on and costs a request about 12 ns (BenchmarkObserve): in each
// second the first requests are all looked at, of the rest one in sampleEvery.
// It keeps slots counters by the space-saving rule: a key that has none takes
// over the smallest and inherits its count as possible error. Hence a count is
// never too small, and a key with more than 1/slots of the requests is among
// them for certain. Counts halve every halfLife, so that what is reported is
// hot now.
package hotkey

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// slots: a key with a thirtieth of a partition's requests is seen. More make
	// every look slower and find keys that nobody would call hot.
	slots = 32
	// fullPerSec requests of a second are all looked at, so that a quiet partition
	// is described well; beyond, sampleEvery keeps the mean cost low.
	fullPerSec  = 512
	sampleEvery = 16
	// halfLife in seconds: about the time an operator needs to look twice.
	halfLife = 10
	// maxKey bounds the memory of a slot: 32 slots of two sketches then take 64
	// KB of a partition at worst. Longer keys are shown cut off.
	maxKey = 1 << 10

	// A key is hot with at least hotShare of the requests, and with at least
	// hotCount of them, or three requests in a minute would be a discovery.
	hotShare = 0.1
	hotCount = 50
)

// Sketch counts the keys of one sort of requests of one partition. The zero
// Sketch is ready. Safe for concurrent use.
type Sketch struct {
	second atomic.Int64  // that seen counts
	seen   atomic.Uint64 // requests in it

	mu     sync.Mutex
	hashes [slots]uint64
	items  [slots]item
	used   int
	total  float64
	halved int64 // second of the last halving
}

type item struct {
	key    []byte
	length int // of the whole key
	count  float64
	excess float64 // part of count that may be other keys'
}

// seed is common to all sketches: only speed depends on it, and nobody outside
// can choose keys that collide.
var seed = maphash.MakeSeed()

// Observe counts one request for key in a second of the wall clock. key is not
// kept.
func (s *Sketch) Observe(key []byte, second int64) {
	if old := s.second.Load(); old != second && s.second.CompareAndSwap(old, second) {
		s.seen.Store(0)
	}
	n, weight := s.seen.Add(1), 1.0
	if n > fullPerSec {
		if n%sampleEvery != 0 {
			return
		}
		weight = sampleEvery
	}
	hash := maphash.Bytes(seed, key)
	if !s.mu.TryLock() {
		return // one sample less costs nothing; waiting would
	}
	defer s.mu.Unlock()
	s.decayLocked(second)
	s.addLocked(hash, key, weight)
}

func (s *Sketch) addLocked(hash uint64, key []byte, weight float64) {
	s.total += weight
	for i := range s.used {
		if s.hashes[i] == hash {
			s.items[i].count += weight
			return
		}
	}
	i := s.used
	if i < slots {
		s.used++
	} else {
		i = s.smallestLocked()
	}
	x := &s.items[i]
	s.hashes[i] = hash
	x.excess, x.count = x.count, x.count+weight
	x.key, x.length = append(x.key[:0], key[:min(len(key), maxKey)]...), len(key)
}

func (s *Sketch) smallestLocked() int {
	at := 0
	for i := range s.items {
		if s.items[i].count < s.items[at].count {
			at = i
		}
	}
	return at
}

// decayLocked halves everything once per halfLife.
func (s *Sketch) decayLocked(second int64) {
	if s.halved == 0 || second < s.halved {
		s.halved = second // the first request, or a clock set back
	}
	for ; second-s.halved >= halfLife && s.total > 1; s.halved += halfLife {
		s.total /= 2
		for i := range s.used {
			s.items[i].count /= 2
			s.items[i].excess /= 2
		}
	}
	if second-s.halved >= halfLife {
		s.halved = second
	}
}

// Key is a key with what is known of it.
type Key struct {
	Key    []byte  // the first bytes of a very long one
	Length int     // of the whole key
	Share  float64 // of the requests of the last seconds, at least
	Count  float64 // requests of the last seconds, at least, older ones counting less
}

// Top returns the hottest keys, hottest first, at most n.
func (s *Sketch) Top(n int, second int64) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decayLocked(second)
	keys := make([]Key, 0, s.used)
	for i := range s.used {
		x := &s.items[i]
		if sure := x.count - x.excess; sure >= 1 {
			keys = append(keys, Key{Key: slices.Clone(x.key), Length: x.length, Count: sure, Share: sure / s.total})
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		switch {
		case a.Count > b.Count:
			return -1
		case a.Count < b.Count:
			return 1
		}
		return slices.Compare(a.Key, b.Key)
	})
	return keys[:min(n, len(keys))]
}

// Hot returns the hottest key if it deserves the name.
func (s *Sketch) Hot(second int64) (Key, bool) {
	top := s.Top(1, second)
	if len(top) == 0 || top[0].Share < hotShare || top[0].Count < hotCount {
		return Key{}, false
	}
	return top[0], true
}

// Reset forgets everything.
func (s *Sketch) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.items[:])
	s.used, s.total = 0, 0
}
