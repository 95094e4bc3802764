package rocks

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
)

func TestStatusMarks(t *testing.T) {
	for text, want := range map[string]error{
		"Corruption: block checksum mismatch":                              engine.ErrCorruption,
		"IO error: No space left on device: While appending to file: x":    engine.ErrNoSpace,
		"IO error: While appending: Disk quota exceeded":                   engine.ErrNoSpace,
		"Result incomplete: Manual compaction paused":                      errPaused,
		"Shutdown in progress: ":                                           engine.ErrClosed,
		"IO error: While open a file for appending: Corruption: in a name": nil,
		"Invalid argument: No space left on device is only text here":      nil,
	} {
		err := statusError("op", "dir", text)
		require.ErrorContains(t, err, text)
		for _, mark := range []error{engine.ErrCorruption, engine.ErrNoSpace, errPaused, engine.ErrClosed} {
			require.Equal(t, mark == want, errors.Is(err, mark), "%s: %v", text, mark) //nolint:errorlint // identity wanted
		}
	}
}

func TestOpenTwiceIsRefused(t *testing.T) {
	o := newOpener(t, DefaultConfig())
	dir := t.TempDir()
	open(t, o, dir)
	_, err := o.Open(dir, engine.Options{})
	require.ErrorContains(t, err, dir)
}

// TestBackgroundErrorSurfaces makes the directory vanish: the flush fails, and
// so does what follows, until a new Open.
func TestBackgroundErrorSurfaces(t *testing.T) {
	o := newOpener(t, DefaultConfig())
	dir := filepath.Join(t.TempDir(), "db")
	e, err := o.Open(dir, engine.Options{})
	require.NoError(t, err)
	fill(t, e, 10, 0)
	require.NoError(t, os.RemoveAll(dir))
	require.Error(t, e.Flush())
	require.Error(t, e.Stats().BackgroundError)
	var b engine.Batch
	b.Put([]byte("k"), nil)
	require.Error(t, e.Apply(&b))
	_, found, err := e.Get([]byte("\x00\x08hash0000sort000000"), nil)
	require.NoError(t, err, "reads go on")
	require.True(t, found)
	require.Error(t, e.Close())
	require.NoError(t, e.Close())
}
