package offline

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/internal/identity"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/rocks"
	"github.com/arionkv/arion/replica/record"
)

// stopped makes the directory of a stopped node with one replica of partition 2.7
// that holds n records.
func stopped(t *testing.T, n int) string {
	dir := t.TempDir()
	replica := filepath.Join(dir, "partitions", "2.7.1")
	require.NoError(t, os.MkdirAll(replica, 0o755))
	write := func(path, text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(filepath.Join(dir, identity.FileName), "{}")
	write(filepath.Join(dir, "LOCK"), "")
	write(filepath.Join(replica, "replica.json"), `{"format":1,"table_id":2,"partition_index":7,"replica_id":1}`)
	write(filepath.Join(replica, "CURRENT"), "db-000001\n")
	o, err := rocks.NewOpener(rocks.DefaultConfig())
	require.NoError(t, err)
	e, err := o.Open(filepath.Join(replica, "db-000001"), engine.Options{})
	require.NoError(t, err)
	var b engine.Batch
	for i := range n {
		k := key.Append(nil, []byte("h"+strconv.Itoa(i)), []byte("s\x00"))
		b.PutHeader(k, record.Header{Index: uint64(i + 1), WriteTimeMS: 1700000000000}, []byte{0xff, byte(i)})
	}
	require.NoError(t, e.Apply(&b))
	require.NoError(t, e.Flush())
	require.NoError(t, e.Close())
	require.NoError(t, o.Close())
	return dir
}

func TestRecordsOfAStoppedNode(t *testing.T) {
	dir := stopped(t, 5)
	n, err := Open(dir)
	require.NoError(t, err)
	defer n.Close()
	var out bytes.Buffer
	o := Options{Out: &out, Quote: func(b []byte) string { return fmt.Sprintf("%q", b) }, Limit: 2}
	require.NoError(t, n.Records(o))
	require.Equal(t, `2.7 "h0" : "s\x00" => "\xff\x00"  index 1, written 2023-11-14T22:13:20Z, expires never
2.7 "h1" : "s\x00" => "\xff\x01"  index 2, written 2023-11-14T22:13:20Z, expires never
`, out.String())
	o.Partition = "2.8"
	require.ErrorContains(t, n.Records(o), "no replica of partition 2.8")
}

// Reading writes nothing, and damage is found.
func TestVerify(t *testing.T) {
	dir := stopped(t, 1000)
	before := listing(t, dir)
	n, err := Open(dir)
	require.NoError(t, err)
	report, err := n.Verify("")
	require.NoError(t, err)
	require.Equal(t, int64(1000), report.Records)
	require.Len(t, report.Problems, 1, "only that there is no raft log: %v", report.Problems)
	require.Contains(t, report.Problems[0], "log:")
	n.Close()
	require.Equal(t, before, listing(t, dir))

	tables, err := filepath.Glob(filepath.Join(dir, "partitions", "*", "db-*", "*.sst"))
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	f, err := os.OpenFile(tables[0], os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("damage"), 300)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	n, err = Open(dir)
	require.NoError(t, err)
	defer n.Close()
	report, err = n.Verify("2.7")
	require.NoError(t, err)
	require.Len(t, report.Problems, 2, "%v", report.Problems)
	require.Contains(t, report.Problems[0], "partition 2.7")
}

func listing(t *testing.T, dir string) (all []string) {
	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		all = append(all, fmt.Sprint(path, info.Size(), info.ModTime()))
		return err
	}))
	return all
}

func TestRunningNodesAreRefused(t *testing.T) {
	dir := stopped(t, 1)
	lock, err := os.Open(filepath.Join(dir, "LOCK"))
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	_, err = Open(dir)
	require.ErrorContains(t, err, "stop it first")
	_, err = Open(filepath.Dir(dir))
	require.ErrorContains(t, err, "several nodes")
	_, err = Open(t.TempDir())
	require.ErrorContains(t, err, "no data directory")
}
