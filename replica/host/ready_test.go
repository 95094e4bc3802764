package host

import (
	"errors"
	"testing"

	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/replica/partition"
	"github.com/arionkv/arion/replica/table"
)

// A node is ready when every replica is open or has failed to open; it names the
// failed ones to operators and to the metas, which replace them.
func TestReadyWithFailedReplicas(t *testing.T) {
	log, _ := test.NewNullLogger()
	var damage error
	h := &Host{
		o: Options{
			Dir: t.TempDir(),
			Open: func(*arion.ReplicaAssignment, string, func()) (*partition.Partition, error) {
				return nil, damage
			},
		},
		log:    log.WithField("component", "host"),
		slots:  map[gpid]*slot{},
		tables: map[int32]*table.Table{1: {}},
	}
	require.Error(t, h.Ready(), "no meta server has answered")
	h.synced = true
	require.NoError(t, h.Ready(), "nothing is wanted of it")
	a := &arion.ReplicaAssignment{TableID: 1, PartitionIndex: 3, ReplicaID: 7}
	id, s := gpid{1, 3}, &slot{assignment: a, order: a, wanted: true}
	h.slots[id] = s
	require.ErrorContains(t, h.Ready(), "1 of 1 replicas are not open")
	require.Empty(t, h.Failed())

	damage = errors.New("block 5 is damaged")
	h.open(id, s)
	require.NoError(t, h.Ready())
	require.Equal(t, []string{"replica 7 of 1.3: block 5 is damaged"}, h.Failed())
	require.Equal(t, arion.ReplicaState_FAILED, h.Reports()[0].State)

	damage = partition.ErrDataLost
	h.open(id, s)
	require.NoError(t, h.Ready())
	require.Equal(t, arion.ReplicaState_LOST, h.Reports()[0].State)

	s.wanted = false
	require.Empty(t, h.Failed(), "it is somebody else's now")
}
