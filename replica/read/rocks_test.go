//go:build cgo

package read_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine/rocks"
)

func TestAgainstTwinOnRocks(t *testing.T) {
	c := rocks.DefaultConfig()
	c.BlockCacheBytes, c.MemtablesBytes, c.MemtableBytes = 16<<20, 8<<20, 1<<20
	o, err := rocks.NewOpener(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	compareWithTwin(t, o, 5)
}
