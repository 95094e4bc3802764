package onebox

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func usual(dir string) *Options {
	return &Options{Dir: dir, Metas: 1, Replicas: 3, MetaPort: 34601, ReplicaPort: 34801}
}

func TestParseTable(t *testing.T) {
	for text, want := range map[string]Table{
		"temp:8":     {Name: "temp", Partitions: 8},
		"temp:4:1":   {Name: "temp", Partitions: 4, Replicas: 1},
		"a.b_c-d:16": {Name: "a.b_c-d", Partitions: 16},
		"ns:temp:8":  {Name: "ns:temp", Partitions: 8},
		"ns:7:8:2":   {Name: "ns:7", Partitions: 8, Replicas: 2},
	} {
		got, err := ParseTable(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "temp", "temp:", ":8", "temp:x", "temp:0", "temp:1", "temp:3", "temp:2048", "temp:8:0", "te mp:8", "temp:-8"} {
		_, err := ParseTable(text)
		require.Error(t, err, "%q", text)
	}
}

func TestValidate(t *testing.T) {
	require.NoError(t, usual("x").Validate())
	for name, spoil := range map[string]func(*Options){
		"--dir is required":                      func(o *Options) { o.Dir = "" },
		"--metas must be 1, 3 or 5, not 2":       func(o *Options) { o.Metas = 2 },
		"--replicas must be between 1 and 16":    func(o *Options) { o.Replicas = 0 },
		"--meta-port 80":                         func(o *Options) { o.MetaPort = 80 },
		"--replica-port 65534":                   func(o *Options) { o.ReplicaPort = 65534 },
		"rpc of replica1 and meta1 would both":   func(o *Options) { o.ReplicaPort = 34601 },
		"rpc of replica1 and meta1 would":        func(o *Options) { o.ReplicaPort = 24601 },
		"--table t is given twice":               func(o *Options) { o.Tables = []Table{{Name: "t"}, {Name: "t"}} },
		"--table t wants 4 replicas, and there ": func(o *Options) { o.Tables = []Table{{Name: "t", Replicas: 4}} },
	} {
		o := usual("x")
		spoil(o)
		require.ErrorContains(t, o.Validate(), name)
	}
}

func TestRecall(t *testing.T) {
	dir := t.TempDir()
	first := usual(dir)
	require.NoError(t, first.Recall(Flags{}), "a new directory has no record")
	first.Replicas = 1
	require.NoError(t, first.record())

	silent := usual(dir)
	require.NoError(t, silent.Recall(Flags{}))
	require.Equal(t, 1, silent.Replicas, "a flag that was not given follows the record")

	grown := usual(dir)
	require.NoError(t, grown.Recall(Flags{Replicas: true}))
	require.Equal(t, 3, grown.Replicas)
	require.NoError(t, grown.record())

	shrunk := usual(dir)
	shrunk.Replicas, shrunk.MetaPort = 2, 5001
	err := shrunk.Recall(Flags{Replicas: true, MetaPort: true})
	require.ErrorContains(t, err, "was made with --replicas 3, not 2")
	require.ErrorContains(t, err, "was made with --meta-port 34601, not 5001")
}

func TestPortInUseIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	o := usual("x")
	o.MetaPort = l.Addr().(*net.TCPAddr).Port
	require.ErrorContains(t, o.checkPorts(), l.Addr().String()+", the rpc port of meta1")
}
