package partition

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/replica/engine/mem"
)

const heirID = 4

// heirTo makes the cluster open replica 4 of partition 0, formed anew from replica
// survivor; one that does not join begins with its data.
func (c *cluster) heirTo(survivor int64) {
	c.tune = func(o *Options) {
		a := o.Assignment
		a.HeirOf, a.ReplicaID = survivor, heirID
		if a.Join {
			a.ReplicaID++
		} else {
			a.InitialMembers = []*arion.ReplicaMember{{ReplicaID: heirID, NodeID: c.nodes[survivor-1].id(), Voting: true}}
		}
		o.Dir = DirOf(filepath.Dir(o.Dir), table, a.PartitionIndex, a.ReplicaID)
	}
}

// TestHeir: two of three replicas are gone; the third one's data goes on alone under a new id, wherever a crash
// interrupts it, and a replica that joins gets all of it.
func TestHeir(t *testing.T) {
	for _, crash := range []string{"nowhere", "after the move", "no estate"} {
		t.Run(crash, func(t *testing.T) {
			c := newCluster(t, mem.Opener{}, 3)
			c.openAll(0)
			c.put(0, "old", "v")
			n := c.nodes[0]
			eventually(t, "the write on the survivor", func() bool { v, _ := peek(n.partition(0), "old"); return v == "v" })
			c.nodes[1].stop()
			c.nodes[2].stop()
			p := n.partition(0)
			dir, live := p.machine.place.dir, p.machine.place.live
			require.NoError(t, p.Close())
			heirDir := DirOf(filepath.Dir(dir), table, 0, heirID)
			c.heirTo(1)
			switch crash {
			case "after the move":
				_, err := openPlace(heirDir, identity{TableID: table, ReplicaID: heirID, Rooted: true})
				require.NoError(t, err)
				require.NoError(t, os.Rename(filepath.Join(dir, live), filepath.Join(heirDir, adoptedDir)))
			case "no estate":
				require.NoError(t, os.RemoveAll(dir))
				_, err := n.tryOpen(0, false)
				require.ErrorIs(t, err, ErrDataLost, "it must not begin empty")
				return
			}
			heir, err := n.tryOpen(0, false)
			require.NoError(t, err)
			c.put(0, "new", "w")
			v, err := get(heir, "old")
			require.NoError(t, err)
			require.Equal(t, "v", v)

			c.nodes[1].start()
			require.NoError(t, heir.ChangeMember(t.Context(), arion.MemberOp_ADD_NONVOTING, heirID+1, c.nodes[1].id(), 0))
			joined, err := c.nodes[1].tryOpen(0, true)
			require.NoError(t, err)
			for _, name := range []string{"old", "new"} {
				eventually(t, name+" on the replica that joined", func() bool { v, _ := peek(joined, name); return v != "" })
			}
		})
	}
}
