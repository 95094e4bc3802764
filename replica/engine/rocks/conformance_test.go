package rocks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
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
	t.Helper()
	o, err := NewOpener(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	return o
}

// open opens a database that the end of the test closes.
func open(t testing.TB, o *Opener, dir string) *store {
	t.Helper()
	e, err := o.Open(dir, engine.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e.(*store)
}

func TestConformance(t *testing.T) {
	for name, c := range map[string]Config{"default": DefaultConfig(), "tiny": tiny()} {
		t.Run(name, func(t *testing.T) { enginetest.Run(t, newOpener(t, c)) })
	}
}

func TestMetamorphic(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		d    enginetest.Disturb
	}{
		{"default", DefaultConfig(), enginetest.Disturb{Flush: 1}},
		{"tiny", tiny(), enginetest.Disturb{Flush: 10, Compact: 1}},
		{"tiny reopened", tiny(), enginetest.Disturb{Flush: 5, Reopen: 1, Checkpoint: 1}},
	} {
		t.Run(c.name, func(t *testing.T) { enginetest.Metamorphic(t, newOpener(t, c.cfg), c.d, 1500) })
	}
}
