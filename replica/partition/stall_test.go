package partition

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
)

// stalling opens engines that say they have stopped writes while on is set.
type stalling struct{ on *atomic.Bool }

type stallEngine struct {
	engine.Engine
	on *atomic.Bool
}

func (s stalling) Open(dir string, o engine.Options) (engine.Engine, error) {
	e, err := mem.Opener{}.Open(dir, o)
	return &stallEngine{e, s.on}, err
}

func (e *stallEngine) Stats() engine.Stats {
	st := e.Engine.Stats()
	st.WriteStopped = e.on.Load()
	return st
}

func TestStalledEnginePushesBack(t *testing.T) {
	var on atomic.Bool
	c := newCluster(t, stalling{&on}, 1)
	c.openAll(0)
	_, p := c.leader(0)
	c.put(0, "a", "1")

	on.Store(true)
	p.Report()
	_, err := do(p, command.Put, putArgs("a", "2"))
	require.Equal(t, code.Busy, code.Of(err), "%v", err)
	value, err := get(p, "a")
	require.NoError(t, err, "reads go on")
	require.Equal(t, "1", value)

	on.Store(false)
	p.Report()
	c.put(0, "a", "3")
}
