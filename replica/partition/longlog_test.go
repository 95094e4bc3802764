package partition

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine/mem"
)

func TestLongLogIsDue(t *testing.T) {
	l := newLongLog()
	l.add(100, maxLogBytes-1)
	require.Empty(t, l.due)
	l.add(100, 1)
	require.Equal(t, keepEntries(50), <-l.due, "a quarter of the bytes stay")
	l.add(1, maxLogBytes*8)
	l.add(1, maxLogBytes)
	require.Equal(t, keepEntries(1), <-l.due, "one entry at least stays")
	require.Empty(t, l.due, "one order at a time")
	l.add(0, 0)
	require.Equal(t, keepEntries(1), <-l.due, "what came meanwhile is not forgotten")
}

// Few large entries truncate the log as many small ones do.
func TestLargeEntriesTruncateLog(t *testing.T) {
	c := newCluster(t, mem.Opener{}, 1)
	c.tune = func(o *Options) { o.WriteBytes, o.EntryBytes = 1<<20, 1<<20 }
	c.openAll(0)
	value := strings.Repeat("v", 900<<10)
	for range maxLogBytes/len(value) + 1 {
		c.put(0, "k", value)
	}
	_, p := c.leader(0)
	eventually(t, "truncation", p.truncated)
}
