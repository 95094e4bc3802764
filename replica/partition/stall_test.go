package partition

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
)

// stalling opens engines whose writes wait while mu is locked.
type stalling struct{ mu *sync.Mutex }

type stallEngine struct {
	engine.Engine
	mu *sync.Mutex
}

func (s stalling) Open(dir string, o engine.Options) (engine.Engine, error) {
	e, err := mem.Opener{}.Open(dir, o)
	return &stallEngine{e, s.mu}, err
}

func (e *stallEngine) Apply(b *engine.Batch) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.Engine.Apply(b)
}

// While the engine stands still, so many writes are taken as fit into the window and
// have not waited for long; the others are told to come back.
func TestStalledEnginePushesBack(t *testing.T) {
	var mu sync.Mutex
	c := newCluster(t, stalling{&mu}, 1)
	c.tune = func(o *Options) { o.QueueWait = time.Nanosecond }
	c.openAll(0)
	_, p := c.leader(0)
	c.put(0, "a", "1")

	mu.Lock()
	answers := make(chan error, 1000)
	refused, taken := 0, 0
	eventually(t, "refusals", func() bool {
		p.Write(command.Put, putArgs("a", "2"), func(_ apply.Result, err error) { answers <- err })
		taken++
		select {
		case err := <-answers:
			assert.Equal(t, code.Busy, code.Of(err), "%v", err)
			refused++
			taken--
		default:
		}
		return refused > 10
	})
	mu.Unlock()
	require.LessOrEqual(t, taken, p.o.Window+1)
	for range taken {
		require.NoError(t, <-answers)
	}
	c.put(0, "a", "3")
}
