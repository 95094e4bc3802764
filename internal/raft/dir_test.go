package raft

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/raft/wal"
)

func TestMain(m *testing.M) {
	l, _ := test.NewNullLogger()
	obs.InstallRaftLogger(logrus.NewEntry(l))
	goleak.VerifyTestMain(m)
}

func testOptions(t *testing.T, dir, addr string) Options {
	l, _ := test.NewNullLogger()
	return Options{Dir: dir, Cluster: "test", NodeID: 5, Address: addr, Tick: 20 * time.Millisecond, Log: logrus.NewEntry(l)}
}

func reopen(t *testing.T, o Options) *Host {
	t.Helper()
	h, err := Open(o)
	require.NoError(t, err)
	require.NoError(t, h.Close())
	require.NoError(t, h.Close(), "twice")
	return h
}

// A container that restarts has another host name: the directory must not care.
func TestHostNameMayChange(t *testing.T) {
	o := testOptions(t, t.TempDir(), freeAddress(t))
	reopen(t, o)

	// What a start on another machine would have left behind.
	path := filepath.Join(o.Dir, flagFile)
	body, err := readFlag(path)
	require.NoError(t, err)
	var status raftpb.RaftDataStatus
	require.NoError(t, status.Unmarshal(body))
	status.Hostname = "former-name"
	body, err = status.Marshal()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(flagSum(body), body...), 0o644))
	name, err := os.Hostname()
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(o.Dir, name), filepath.Join(o.Dir, "former-name")))

	before := logFiles(t, o.Dir)
	require.NotEmpty(t, before)
	reopen(t, o)
	require.NotEmpty(t, logFiles(t, o.Dir))
	to, err := os.Readlink(filepath.Join(o.Dir, name))
	require.NoError(t, err)
	require.Equal(t, stableHostDir, to)
}

func logFiles(t *testing.T, dir string) []string {
	files, err := filepath.Glob(filepath.Join(dir, stableHostDir, "*", LogDir, "*.log"))
	require.NoError(t, err)
	return files
}

// The address may change too: members are named by node id.
func TestAddressMayChange(t *testing.T) {
	dir := t.TempDir()
	reopen(t, testOptions(t, dir, freeAddress(t)))
	reopen(t, testOptions(t, dir, freeAddress(t)))

	o := testOptions(t, dir, freeAddress(t))
	o.NodeID = 6
	_, err := Open(o)
	require.Error(t, err, "another node's directory")
	o = testOptions(t, dir, freeAddress(t))
	o.Cluster = "other"
	_, err = Open(o)
	require.Error(t, err, "another cluster's directory")
}

func TestLogShardsAreRecorded(t *testing.T) {
	o := testOptions(t, t.TempDir(), freeAddress(t))
	o.LogShards, o.LogStore = 2, PebbleLog
	reopen(t, o)
	l, hook := test.NewNullLogger()
	o.Log, o.LogShards = logrus.NewEntry(l), 4
	reopen(t, o)
	require.Contains(t, hook.LastEntry().Message, "configured one is ignored")
	s, found, err := readSettings(o.Dir)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, settings{Format: 1, LogStore: PebbleLog, LogShards: 2, Started: true}, s)
}

func TestTornFirstStart(t *testing.T) {
	o := testOptions(t, t.TempDir(), freeAddress(t))
	require.NoError(t, writeSettings(o.Dir, settings{Format: 1, LogShards: 1}))
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, flagFile), []byte("abc"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, hostIDFile), nil, 0o644))
	reopen(t, o)

	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, flagFile), []byte("abc"), 0o644))
	_, err := Open(o)
	require.ErrorIs(t, err, errTornFlag, "after the first start it is damage")
}

func TestBadSettings(t *testing.T) {
	for name, content := range map[string]string{
		"newer format": `{"format":3,"log_shards":1}`,
		"other log":    `{"format":2,"log_shards":1,"log_store":"paper"}`,
		"no shards":    `{"format":1}`,
		"not json":     `log`,
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, t.TempDir(), freeAddress(t))
			require.NoError(t, os.WriteFile(filepath.Join(o.Dir, settingsFile), []byte(content), 0o644))
			_, err := Open(o)
			require.Error(t, err)
		})
	}
}

func TestStrayTuningFileIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile(strayFiles[1], []byte("{}"), 0o644))
	_, err := Open(testOptions(t, t.TempDir(), freeAddress(t)))
	require.ErrorContains(t, err, strayFiles[1])
}

func TestAddressInUse(t *testing.T) {
	addr := freeAddress(t)
	h, err := Open(testOptions(t, t.TempDir(), addr))
	require.NoError(t, err)
	defer h.Close()
	_, err = Open(testOptions(t, t.TempDir(), addr))
	require.ErrorContains(t, err, "address already in use")
}

func TestOptionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"address":        func(o *Options) { o.Address = "nowhere" },
		"port":           func(o *Options) { o.Address = "127.0.0.1:0" },
		"listen":         func(o *Options) { o.Listen = "x" },
		"tick":           func(o *Options) { o.Tick = time.Microsecond },
		"election":       func(o *Options) { o.ElectionTicks = 3 },
		"few heartbeats": func(o *Options) { o.ElectionTicks, o.HeartbeatTicks = 6, 3 },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t, t.TempDir(), "127.0.0.1:1234")
			change(&o)
			_, err := Open(o)
			require.Error(t, err)
		})
	}
}

// A directory that was made with Pebble goes on with it, and what it holds stays.
func TestPebbleDirectoryStaysPebble(t *testing.T) {
	o := testOptions(t, t.TempDir(), freeAddress(t))
	o.LogStore = PebbleLog
	reopen(t, o)
	// As builds that knew no other log wrote it.
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, settingsFile), []byte(`{"format":1,"log_shards":1,"started":true}`), 0o644))
	o.LogStore = ""
	h, err := Open(o)
	require.NoError(t, err)
	require.Nil(t, h.wal.Load())
	require.NoError(t, h.Close())
	s, _, err := readSettings(o.Dir)
	require.NoError(t, err)
	require.Equal(t, settings{Format: 1, LogStore: PebbleLog, LogShards: 1, Started: true}, s)
	require.Empty(t, logFiles(t, o.Dir))

	current, err := filepath.Glob(filepath.Join(o.Dir, stableHostDir, "*", "logdb-0", "CURRENT"))
	require.NoError(t, err)
	require.Len(t, current, 1)
	require.NoError(t, os.Remove(current[0]))
	_, err = Open(o)
	require.ErrorIs(t, err, wal.ErrDamaged)
	require.ErrorContains(t, err, "CURRENT is missing")
	require.ErrorContains(t, err, wal.Advice)
}

// The step workers of a log of our own may be as many as wanted.
func TestStepWorkersMayChange(t *testing.T) {
	o := testOptions(t, t.TempDir(), freeAddress(t))
	reopen(t, o)
	o.LogShards = 4
	reopen(t, o)
	o.LogShards = 2
	reopen(t, o)
}

// A log that was there is not made anew.
func TestMissingLogIsRefused(t *testing.T) {
	o := testOptions(t, t.TempDir(), freeAddress(t))
	reopen(t, o)
	for _, f := range logFiles(t, o.Dir) {
		require.NoError(t, os.RemoveAll(filepath.Dir(f)))
	}
	_, err := Open(o)
	require.ErrorIs(t, err, wal.ErrDamaged)
}
