package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDivideMemory(t *testing.T) {
	for name, memory := range map[string]Size{"smallest": smallestMemory, "small": 512 * MB, "large": 64 * GB} {
		t.Run(name, func(t *testing.T) {
			c := Default()
			c.Node.Memory = memory
			c.DivideMemory()
			require.NoError(t, c.Validate())
			require.LessOrEqual(t, c.Replica.BlockCache+c.HeapLimit(), memory)
			require.Less(t, c.Replica.WriteBuffer, c.Replica.BlockCache)
			require.GreaterOrEqual(t, c.Replica.WriteBuffer, 16*MB)
		})
	}
}

func TestWithoutBudgetNothingChanges(t *testing.T) {
	c := Default()
	c.DivideMemory()
	require.Equal(t, Default(), c)
	require.Zero(t, c.HeapLimit())
}

func TestBudgetTooSmall(t *testing.T) {
	c := Default()
	c.Node.Memory = smallestMemory - 1
	require.ErrorContains(t, c.Validate(), "node.memory")
}

func TestLoadDividesMemory(t *testing.T) {
	c, err := Load("", map[string]any{"node.memory": "1GB"})
	require.NoError(t, err)
	require.Equal(t, 1*GB/100*cacheShare, c.Replica.BlockCache)
}
