package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
)

func TestParseDir(t *testing.T) {
	for name, want := range map[string]bool{
		"1.2.3": true, "1.2": false, "1.2.x": false, "-1.2.3": false, "99999999999.0.1": false, "lost+found": false, "1.2.3.4": false,
	} {
		_, ok := parseDir(name)
		require.Equal(t, want, ok, name)
	}
}

// TestOrphans: what nobody asks for any more goes to the trash and loses its log;
// what is asked for, and what is not ours, stays.
func TestOrphans(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"1.0.1", "1.0.4", "2.3.2", "notes"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "partitions", name), 0o755))
	}
	var freed []int64
	h := &Host{
		o: Options{Dir: dir, RemoveLog: func(a *arion.ReplicaAssignment) error {
			freed = append(freed, a.ReplicaID)
			return nil
		}},
		log:   logrus.NewEntry(logrus.New()),
		slots: map[gpid]*slot{{1, 0}: {assignment: &arion.ReplicaAssignment{TableID: 1, ReplicaID: 4}}},
	}
	h.buryOrphansLocked()
	h.wg.Wait()
	require.ElementsMatch(t, []int64{1, 2}, freed)
	left, err := os.ReadDir(filepath.Join(dir, "partitions"))
	require.NoError(t, err)
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	require.Equal(t, []string{"1.0.4", "notes"}, names)
	h.buryOrphansLocked()
	h.wg.Wait()
	require.Len(t, freed, 2, "once per life")
}
