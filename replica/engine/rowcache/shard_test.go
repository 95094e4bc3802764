package rowcache

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func newShard(chunks int) *shard {
	s := new(shard)
	s.init(make([]byte, chunks*chunkBytes))
	return s
}

func always() bool { return true }

// insert misses twice, which is enough at any time.
func (s *shard) insert(id uint32, key, value string) {
	h := hash(id, []byte(key))
	for range 2 {
		s.put(h, id, []byte(key), []byte(value), always)
	}
}

// fillUp uses all the memory once.
func (s *shard) fillUp() {
	for i := 0; s.chunks < len(s.ends); i++ {
		s.insert(1, fmt.Sprint("filler", i), "value")
	}
}

func (s *shard) look(id uint32, key string) (string, bool) {
	v, ok := s.get(hash(id, []byte(key)), id, []byte(key), nil)
	return string(v), ok
}

// checkShard holds the shard against what must be true of it at any time.
func checkShard(t *testing.T, s *shard) {
	live := 0
	for i := range s.slots {
		if s.slots[i] == 0 {
			continue
		}
		live++
		unit := s.slots[i].unit()
		h, id, key, _ := s.record(unit)
		require.Equal(t, hash(id, key), h)
		require.Same(t, &s.slots[i], s.slotOfLocked(h, unit))
		at := int(unit) * unitBytes
		require.Less(t, at%chunkBytes, s.ends[at/chunkBytes], "a record beyond the end of its chunk")
	}
	require.Equal(t, s.records, uint64(live))
}

// Random work on a shard that is far too small: what is found is what was put last.
func TestShardAgreesWithAMap(t *testing.T) {
	s := newShard(shardChunks)
	rng := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{}
	hits := 0
	for range 200_000 {
		id := uint32(rng.IntN(3))
		key := fmt.Sprint("key", rng.IntN(3000))
		name := fmt.Sprint(id, key)
		switch rng.IntN(10) {
		case 0:
			s.remove(hash(id, []byte(key)), id, []byte(key))
			delete(want, name)
		case 1, 2, 3:
			if _, there := s.look(id, key); !there {
				value := fmt.Sprint(rng.Uint64(), string(make([]byte, rng.IntN(600))))
				s.insert(id, key, value)
				want[name] = value
			}
		default:
			if v, ok := s.look(id, key); ok {
				hits++
				require.Equal(t, want[name], v)
			}
		}
	}
	require.Positive(t, hits)
	checkShard(t, s)
}

// What is read stays, what is not read goes.
func TestSecondChance(t *testing.T) {
	s := newShard(shardChunks)
	for i := range 50 {
		s.insert(1, fmt.Sprint("hot", i), "value")
	}
	for i := range 20_000 {
		s.insert(1, fmt.Sprint("cold", i), "some value of a record that nobody asks for again")
		if i%100 == 0 {
			for j := range 50 {
				s.look(1, fmt.Sprint("hot", j))
			}
		}
	}
	kept := 0
	for i := range 50 {
		if _, ok := s.look(1, fmt.Sprint("hot", i)); ok {
			kept++
		}
	}
	require.Greater(t, kept, 45, "of 50 records that are read all the time")
	_, ok := s.look(1, "cold0")
	require.False(t, ok)
	require.Equal(t, shardChunks, s.chunks)
	checkShard(t, s)
}

// A walk over many records displaces nothing.
func TestOneMissIsNotEnough(t *testing.T) {
	s := newShard(shardChunks)
	s.fillUp()
	records := s.records
	once := func(key string) { s.put(hash(1, []byte(key)), 1, []byte(key), []byte("value"), always) }
	for i := range 100 {
		once(fmt.Sprint("once", i))
	}
	require.Equal(t, records, s.records)
	once("twice")
	once("twice")
	_, there := s.look(1, "twice")
	require.True(t, there)
}

// The size asked for is not exceeded, and is used nearly whole.
func TestCacheSizes(t *testing.T) {
	for _, bytes := range []int64{SmallestBytes, SmallestBytes + 1, 1 << 20, 100<<20 + 12345} {
		c, err := newCache(bytes)
		require.NoError(t, err)
		require.LessOrEqual(t, int64(len(c.memory)), bytes)
		require.Greater(t, int64(len(c.memory)), bytes*3/4)
		for i := range c.shards {
			require.GreaterOrEqual(t, len(c.shards[i].ends), shardChunks)
		}
		require.NoError(t, c.close())
		require.Zero(t, c.stats().Records)
	}
	_, err := newCache(SmallestBytes - 1)
	require.ErrorContains(t, err, "at least")
}

// What one request with large values needed does not wait for the next.
func TestLargePagesAreNotKept(t *testing.T) {
	small, large := new(lookup), new(lookup)
	small.page.Append(nil, make([]byte, maxIdlePage))
	large.page.Append(nil, make([]byte, maxIdlePage+1))
	small.end()
	large.end()
	require.Equal(t, maxIdlePage, small.page.Bytes())
	require.Zero(t, large.page.Bytes())
}
