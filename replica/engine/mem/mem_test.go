package mem_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/enginetest"
	"github.com/arionkv/arion/replica/engine/mem"
)

func TestConformance(t *testing.T) { enginetest.Run(t, mem.Opener{}) }

func TestMetamorphic(t *testing.T) {
	enginetest.Metamorphic(t, mem.Opener{}, enginetest.Disturb{Flush: 5, Compact: 2, Reopen: 1, Checkpoint: 1}, 2000)
}

func TestCrashShowsLastFlush(t *testing.T) {
	dir := t.TempDir()
	e, err := mem.Opener{}.Open(dir, engine.Options{})
	require.NoError(t, err)
	write := func(key string) {
		var b engine.Batch
		b.Put([]byte(key), nil)
		require.NoError(t, e.Apply(&b))
	}
	write("flushed")
	require.NoError(t, e.Flush())
	write("lost")
	e.(*mem.Engine).Crash()
	require.ErrorIs(t, e.Flush(), engine.ErrClosed)

	e, err = mem.Opener{}.Open(dir, engine.Options{MustExist: true})
	require.NoError(t, err)
	_, found, err := e.Get([]byte("flushed"), nil)
	require.NoError(t, err)
	require.True(t, found)
	_, found, err = e.Get([]byte("lost"), nil)
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, e.Close())
}

func TestDamagedFileIsCorruption(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "MEM"), []byte("damaged"), 0o600))
	_, err := mem.Opener{}.Open(dir, engine.Options{})
	require.True(t, errors.Is(err, engine.ErrCorruption), "%v", err)
}
