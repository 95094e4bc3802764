package compat

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/rocks"
	"github.com/arionkv/arion/replica/partition"
)

// TestNewerBytes: what is inside logs and streams is refused in the same way by
// the code that reads it.
func TestNewerBytes(t *testing.T) {
	const future = "\x63"
	for name, read := range map[string]func([]byte) error{
		"command of a partition": func(b []byte) error { _, err := command.Decode(b); return err },
		"entry of a partition":   func(b []byte) error { _, err := partition.LoggedCommand(b); return err },
		"command of the catalog": func(b []byte) error { _, err := catalog.Decode(b); return err },
		"catalog":                func(b []byte) error { _, err := catalog.Restore(b); return err },
	} {
		err := read([]byte(future + "\x01 and what nobody knows yet, long enough"))
		require.Error(t, err, name)
		require.Contains(t, err.Error(), "99", name)
		require.Contains(t, err.Error(), "this build knows", name)
		require.Contains(t, err.Error(), "newer release", name)
	}
}

// TestNewerEngine: the bookkeeping of a partition says the format of its data.
func TestNewerEngine(t *testing.T) {
	dir := t.TempDir()
	opener, err := rocks.NewOpener(rocks.DefaultConfig())
	require.NoError(t, err)
	defer opener.Close()
	db, err := opener.Open(dir, engine.Options{})
	require.NoError(t, err)
	defer db.Close()
	var b engine.Batch
	apply.State{AppliedIndex: 7, ClockMS: 1, Format: newerFormat}.AppendTo(&b)
	require.NoError(t, db.Apply(&b))
	_, err = apply.Load(db)
	require.ErrorIs(t, err, apply.ErrFormat)
	require.ErrorContains(t, err, "99, this build knows up to 2: start the node with the newer release")
}
