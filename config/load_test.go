package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDefaultIsValid(t *testing.T) {
	require.NoError(t, Default().Validate())
}

func TestSampleEqualsDefaults(t *testing.T) {
	got, err := Load("samples/arion.toml", nil)
	require.NoError(t, err)
	require.Equal(t, Default(), got)

	text, err := os.ReadFile("samples/arion.toml")
	require.NoError(t, err)
	for _, s := range Default().Settings() {
		_, key, _ := strings.Cut(s.Key, ".")
		require.Contains(t, string(text), "\n"+key+" = ", "%s is missing in the sample", s.Key)
	}
}

func TestRoleSamplesLoad(t *testing.T) {
	meta, err := Load("samples/meta.toml", nil)
	require.NoError(t, err)
	require.NoError(t, meta.ValidateMeta())

	replica, err := Load("samples/replica.toml", nil)
	require.NoError(t, err)
	require.Equal(t, "10.0.0.11:34801", replica.RPCAddress())
	require.Error(t, replica.ValidateMeta())
}

func TestFewerThanFortySettings(t *testing.T) {
	require.Less(t, len(Default().Settings()), 40)
}

// Each bad file has one mistake, and expect.txt says how it is reported.
func TestBadFiles(t *testing.T) {
	expect := readExpectations(t)
	files, err := filepath.Glob("testdata/*.bad.toml")
	require.NoError(t, err)
	require.Len(t, files, len(expect))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".bad.toml")
		t.Run(name, func(t *testing.T) {
			require.Contains(t, expect, name)
			_, err := Load(file, nil)
			require.ErrorContains(t, err, expect[name])
			require.ErrorContains(t, err, file, "the message must name the file")
		})
	}
}

func readExpectations(t *testing.T) map[string]string {
	text, err := os.ReadFile("testdata/expect.txt")
	require.NoError(t, err)
	expect := make(map[string]string)
	for _, line := range strings.Split(string(text), "\n") {
		if name, want, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, "#") {
			expect[name] = want
		}
	}
	return expect
}

func TestMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.toml"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.toml")
	require.NoError(t, os.WriteFile(file, []byte("[node]\ndir = \"file\"\nname = \"file\"\nzone = \"file\"\n"), 0o600))
	t.Setenv("ARION_NODE_NAME", "env")
	t.Setenv("ARION_NODE_ZONE", "env")

	c, err := Load(file, map[string]any{"node.zone": "flag"})
	require.NoError(t, err)
	require.Equal(t, Node{Dir: "file", Name: "env", Zone: "flag", Cluster: "arion"}, c.Node)
}

func TestEnvironmentAlone(t *testing.T) {
	t.Setenv("ARION_META_SERVERS", "10.0.0.1:34601,10.0.0.2:34601,10.0.0.3:34601")
	t.Setenv("ARION_RAFT_TICK", "20ms")
	t.Setenv("ARION_REPLICA_BLOCK_CACHE", "1GB")
	t.Setenv("ARION_RPC_THFT_HOST_PORTS", "true")
	c, err := Load("", nil)
	require.NoError(t, err)
	require.Len(t, c.Meta.Servers, 3)
	require.Equal(t, 20*time.Millisecond, c.Raft.Tick)
	require.Equal(t, GB, c.Replica.BlockCache)
	require.True(t, c.RPC.ThftHostPorts)
}

func TestMistypedEnvironment(t *testing.T) {
	t.Setenv("ARION_RAFT_TICKS", "20ms")
	t.Setenv("ARION_HISTORY", "belongs to the shell")
	t.Setenv("ARION_META", "so does this")
	_, err := Load("", nil)
	require.EqualError(t, err, "ARION_RAFT_TICKS is not a setting")
}

func TestTypedOverrides(t *testing.T) {
	c, err := Load("", map[string]any{
		"meta.servers":        []string{"127.0.0.1:1601"},
		"replica.block_cache": "96MB",
		"rpc.listen":          "127.0.0.1:1801",
	})
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.1:1601"}, c.Meta.Servers)
	require.Equal(t, 96*MB, c.Replica.BlockCache)
}

func TestValidateReportsEverything(t *testing.T) {
	c := Default()
	c.Node.Dir = ""
	c.Raft.Tick = 0
	c.Log.Format = "xml"
	err := c.Validate()
	for _, key := range []string{"node.dir", "raft.tick", "log.format"} {
		require.ErrorContains(t, err, key)
	}
	var problems Problems
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems, 3)
}

func TestSecretsAreHidden(t *testing.T) {
	c := Default()
	c.Gossip.Key = "MDEyMzQ1Njc4OWFiY2RlZg=="
	require.NoError(t, c.Validate())
	require.Equal(t, "(hidden)", c.Effective()["gossip.key"])
	require.Equal(t, "64MB", c.Effective()["replica.write_buffer"])
}
