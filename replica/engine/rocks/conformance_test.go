package rocks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine/enginetest"
)

// tiny makes a few hundred keys reach several levels and many files.
func tiny() Config {
	c := DefaultConfig()
	c.BlockCacheBytes = 8 << 20
	c.MemtablesBytes = 4 << 20
	c.MemtableBytes = 64 << 10
	c.TableBytes = 16 << 10
	c.LevelBytes = 32 << 10
	return c
}

func newOpener(t testing.TB, c Config) *Opener {
	o, err := NewOpener(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	return o
}

func TestConformance(t *testing.T) {
	for name, c := range map[string]Config{"default": DefaultConfig(), "tiny": tiny()} {
		t.Run(name, func(t *testing.T) { enginetest.Run(t, newOpener(t, c)) })
	}
}
