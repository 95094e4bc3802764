package raft

import (
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/arionkv/arion/internal/durable"
)

// A raft directory:
//
//	settings.json    what must not change after the first start, by us
//	peers.json       the address book, by us
//	dragonboat.ds    the same by dragonboat, with the host name blanked by us
//	NODEHOST.ID      our own target
//	LOCK             held while open
//	host/<deployment>/…  log and snapshots
//	<host name>      link to host
//
// dragonboat names a directory after the machine and refuses to start on a
// machine of another name. A container that restarts has a new name and its old
// volume, so both are undone: see linkHostDir and forgetHostName.
const (
	settingsFile = "settings.json"
	// settingsFormat 1 means a log in Pebble, 2 one of our own (package wal), which
	// builds that know only 1 must not touch.
	settingsFormat = 2
	flagFile       = "dragonboat.ds"
	hostIDFile     = "NODEHOST.ID"
	stableHostDir  = "host"
)

// settings are the choices recorded at the first start.
type settings struct {
	Format int `json:"format"`
	// LogStore is the kind of the log, empty in directories of format 1.
	LogStore LogStore `json:"log_store,omitempty"`
	// LogShards is the number of step workers, and with Pebble of log stores too,
	// which may not change then.
	LogShards int `json:"log_shards"`
	// Started tells that the host has been open once. Before that, a torn file
	// of dragonboat is the trace of a crash during the first start, not damage.
	Started bool `json:"started"`
}

func readSettings(dir string) (settings, bool, error) {
	raw, err := os.ReadFile(filepath.Join(dir, settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return settings{}, false, nil
	}
	if err != nil {
		return settings{}, false, err
	}
	var s settings
	if err := json.Unmarshal(raw, &s); err != nil {
		return settings{}, false, fmt.Errorf("%s is damaged: %w", settingsFile, err)
	}
	switch {
	case s.Format > settingsFormat:
		return settings{}, false, fmt.Errorf("%s has format %d, this build knows up to %d: start the node with the newer release",
			filepath.Join(dir, settingsFile), s.Format, settingsFormat)
	case s.Format < 1 || s.LogShards < 1 || !s.LogStore.valid():
		return settings{}, false, fmt.Errorf("%s makes no sense: %s", settingsFile, raw)
	}
	if s.LogStore == "" {
		s.LogStore = PebbleLog
	}
	return s, true, nil
}

func writeSettings(dir string, s settings) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return durable.ReplaceFile(filepath.Join(dir, settingsFile), append(raw, '\n'))
}

// newSettings are those of a new directory.
func newSettings(store LogStore, logShards int) settings {
	s := settings{Format: settingsFormat, LogStore: store, LogShards: logShards}
	if store == PebbleLog {
		s.Format = 1 // former builds may go on with it
	}
	return s
}

// prepareDir makes dir ready for dragonboat and returns the settings in force. An
// existing directory keeps the log it has.
func prepareDir(dir string, store LogStore, logShards int) (settings, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return settings{}, err
	}
	s, found, err := readSettings(dir)
	if err != nil {
		return settings{}, err
	}
	if !found {
		if _, err := os.Stat(filepath.Join(dir, flagFile)); err == nil {
			return settings{}, fmt.Errorf("%s holds a raft log but no %s", dir, settingsFile)
		}
		s = newSettings(store, logShards)
		if err := writeSettings(dir, s); err != nil {
			return settings{}, err
		}
	}
	if s.LogStore == OwnLog {
		s.LogShards = logShards
	}
	if !s.Started {
		if err := dropTornFiles(dir); err != nil {
			return settings{}, err
		}
	}
	return s, errors.Join(adaptFlags(dir, s), linkHostDir(dir))
}

// dropTornFiles removes flag files that a crash during the first start left
// half written. dragonboat would panic on them for ever.
func dropTornFiles(dir string) error {
	for _, name := range []string{flagFile, hostIDFile} {
		path := filepath.Join(dir, name)
		_, err := readFlag(path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if !errors.Is(err, errTornFlag) {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

var errTornFlag = errors.New("damaged flag file")

// readFlag returns the body of a flag file, which follows 8 bytes of its MD5.
func readFlag(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(raw) < 8 || string(raw[:8]) != string(flagSum(raw[8:])) {
		return nil, fmt.Errorf("%s: %w", path, errTornFlag)
	}
	return raw[8:], nil
}

func flagSum(body []byte) []byte {
	sum := md5.Sum(body)
	return sum[8:]
}

// adaptFlags changes what dragonboat recorded and may change: the host name is
// blanked, an empty one is not checked; and the number of step workers, which
// share a log of our own, is the one asked for. The file is replaced atomically,
// so a crash changes nothing.
func adaptFlags(dir string, s settings) error {
	path := filepath.Join(dir, flagFile)
	body, err := readFlag(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var status raftpb.RaftDataStatus
	if err := status.Unmarshal(body); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	workers := status.StepWorkerCount
	if s.LogStore == OwnLog {
		workers = uint64(s.LogShards)
	}
	if status.Hostname == "" && status.StepWorkerCount == workers {
		return nil
	}
	status.Hostname, status.StepWorkerCount = "", workers
	body, err = status.Marshal()
	if err != nil {
		return err
	}
	return durable.ReplaceFile(path, append(flagSum(body), body...))
}

// linkHostDir makes the directory that dragonboat names after the machine a link
// to one that always has the same name. Links of former names stay: records in
// the log name files through them. (A file system of our own that maps the name
// would be simpler, but dragonboat takes only its own ones.)
func linkHostDir(dir string) error {
	name, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, stableHostDir), 0o755); err != nil {
		return err
	}
	if name == stableHostDir {
		return nil
	}
	link := filepath.Join(dir, name)
	if to, err := os.Readlink(link); err == nil && to == stableHostDir {
		return nil
	}
	if err := os.Symlink(stableHostDir, link); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// strayFiles are dragonboat's tuning files. It reads them from the working
// directory when the process starts, before any of our code can object.
var strayFiles = []string{"dragonboat-hard-settings.json", "dragonboat-soft-settings.json"}

// checkWorkingDir refuses to run under tuning files: they change the format of
// the log and timings this package relies on, from a place nobody looks at.
func checkWorkingDir() error {
	for _, name := range strayFiles {
		if _, err := os.Stat(name); err == nil {
			wd, _ := os.Getwd()
			return fmt.Errorf("%s in the working directory %s changes how raft stores data: remove it", name, wd)
		}
	}
	return nil
}
