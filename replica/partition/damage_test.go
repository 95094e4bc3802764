package partition

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/lni/dragonboat/v4/statemachine"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
)

// rotting opens engines that cannot read once on is set.
type rotting struct{ on *atomic.Bool }

type rotten struct {
	engine.Engine
	on *atomic.Bool
}

func (r rotting) Open(dir string, o engine.Options) (engine.Engine, error) {
	e, err := mem.Opener{}.Open(dir, o)
	return rotten{e, r.on}, err
}

func (r rotten) Get(key, dst []byte) ([]byte, bool, error) {
	if r.on.Load() {
		return nil, false, fmt.Errorf("get: %w: checksum", engine.ErrCorruption)
	}
	return r.Engine.Get(key, dst)
}

func noteWhatGetSays(t *testing.T, p *Partition) {
	h, err := p.Acquire()
	require.NoError(t, err)
	defer h.Release()
	_, _, err = h.Get([]byte("k"), nil)
	p.NoteDamage(err)
}

// Whoever finds its data damaged leads no more, and says so to the metas.
func TestDamagedLeaderYields(t *testing.T) {
	var rot atomic.Bool
	c := newCluster(t, rotting{&rot}, 3)
	c.openAll(0)
	c.put(0, "k", "v")
	_, p := c.leader(0)
	noteWhatGetSays(t, p)
	require.NoError(t, p.Damage())
	require.Equal(t, arion.ReplicaState_SERVING, p.Report().State)

	rot.Store(true)
	noteWhatGetSays(t, p)
	rot.Store(false)
	require.ErrorIs(t, p.Damage(), engine.ErrCorruption)
	eventually(t, "report of a replica that failed", func() bool {
		r := p.Report()
		return r.State == arion.ReplicaState_FAILED && r.Error != ""
	})
	_, next := c.leader(0)
	require.NotSame(t, p, next)
	require.Equal(t, arion.ReplicaState_SERVING, next.Report().State)
	require.True(t, p.Yields())
	require.False(t, next.Yields())

	// Elected again, it hands over again.
	eventually(t, "the damaged replica to lead once more", func() bool {
		_, q := c.leader(0)
		if q != p {
			_ = q.TransferLeader(t.Context(), p.ReplicaID()) // or an election came between
		}
		return q == p
	})
	eventually(t, "another leader", func() bool {
		_, q := c.leader(0)
		return q != p
	})
}

// The last replica serves what it can read.
func TestDamagedLastReplicaServes(t *testing.T) {
	var rot atomic.Bool
	c := newCluster(t, rotting{&rot}, 1)
	c.openAll(0)
	c.put(0, "k", "v")
	_, p := c.leader(0)
	rot.Store(true)
	noteWhatGetSays(t, p)
	rot.Store(false)
	eventually(t, "an answer to who else there is", func() bool { return !p.Yields() })
	c.put(0, "k", "w")
	v, err := get(p, "k")
	require.NoError(t, err)
	require.Equal(t, "w", v)
	r := p.Report()
	require.Equal(t, arion.ReplicaState_SERVING, r.State)
	require.Contains(t, r.Error, "corruption")
}

// An entry that damaged data keeps from being applied stops the process once; the
// replica then stays shut.
func TestDamageWhileApplyingKeepsShut(t *testing.T) {
	var rot atomic.Bool
	c := newCluster(t, rotting{&rot}, 1)
	c.openAll(0)
	c.put(0, "k", "v")
	n, p := c.leader(0)
	rot.Store(true)
	entry := command.AppendOp(command.AppendHeader(envelope{}.append(nil), command.Header{}), command.Incr, incrArgs("k"))
	_, err := p.machine.Update([]statemachine.Entry{{Index: p.AppliedIndex() + 1, Cmd: entry}})
	require.ErrorIs(t, err, engine.ErrCorruption)
	rot.Store(false)
	n.stop()
	n.start()
	_, err = n.tryOpen(0, false)
	require.ErrorIs(t, err, engine.ErrCorruption)
	require.ErrorContains(t, err, damagedFile)

	// Whoever knows better may open it.
	marks, err := filepath.Glob(filepath.Join(n.dir, "partitions", "*", damagedFile))
	require.NoError(t, err)
	require.Len(t, marks, 1)
	require.NoError(t, os.Remove(marks[0]))
	n.open(0)
}
