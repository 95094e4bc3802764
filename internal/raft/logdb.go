package raft

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/cockroachdb/pebble"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"

	"github.com/arionkv/arion/internal/raft/wal"
)

// LogStore is the kind of a raft log.
type LogStore string

const (
	// OwnLog is package wal, for new directories.
	OwnLog LogStore = "wal"
	// PebbleLog is dragonboat's default. Directories that were made with it keep
	// it.
	PebbleLog LogStore = "pebble"
)

// valid accepts the empty one of format 1.
func (l LogStore) valid() bool { return l == OwnLog || l == PebbleLog || l == "" }

// LogDir is the directory of a log of our own, below that of the deployment.
const LogDir = "log"

// logFactory makes dragonboat use a log of our own.
type logFactory struct {
	wal.Options
	made *atomic.Pointer[wal.Store]
}

// Name implements config.LogDBFactory. It is recorded in the directory.
func (f logFactory) Name() string { return wal.Name }

// Create implements config.LogDBFactory.
func (f logFactory) Create(_ config.NodeHostConfig, _ config.LogDBCallback, dirs, _ []string) (raftio.ILogDB, error) {
	o := f.Options
	o.Dir = filepath.Join(dirs[0], LogDir)
	s, err := wal.Open(o)
	if err != nil {
		return nil, err
	}
	f.made.Store(s)
	return s, nil
}

const (
	// logBuffer is what the log store gathers in memory before it writes a table.
	// Entries live until the next truncation, so most are written twice whatever
	// the size; with dragonboat's smallest preset, 4 MB, flushing and merging small
	// tables took a seventh of the CPU time of writes and disk time from the syncs.
	// Up to four buffers exist while the disk is slow: 128 MB. The write-ahead file
	// is reserved at this size.
	logBuffer = 32 << 20
	// logTables is how many tables may lie unmerged. Reading the log is rare, and
	// truncation drops most tables before anybody has looked at them.
	logTables = 16
)

// logDBConfig sizes a log store of Pebble.
func logDBConfig(shards int) config.LogDBConfig {
	c := config.GetTinyMemLogDBConfig()
	c.Shards = uint64(shards)
	c.KVWriteBufferSize = logBuffer
	c.KVLevel0FileNumCompactionTrigger = logTables
	c.KVLevel0SlowdownWritesTrigger = 2 * logTables
	c.KVLevel0StopWritesTrigger = 3 * logTables
	return c
}

// checkPebble looks for damage that dragonboat and Pebble answer with a panic, or
// not at all: without CURRENT Pebble makes a new and empty log.
func checkPebble(dir string, started bool) error {
	stores, err := filepath.Glob(filepath.Join(dir, stableHostDir, "*", "logdb-*"))
	if err != nil {
		return err
	}
	if len(stores) == 0 && started {
		return pebbleDamage(dir, "there is no log, although there was one")
	}
	for _, s := range stores {
		if _, err := os.Stat(filepath.Join(s, "CURRENT")); errors.Is(err, fs.ErrNotExist) && started {
			return pebbleDamage(s, "CURRENT is missing")
		}
	}
	return nil
}

func pebbleDamage(dir string, found any) error {
	return fmt.Errorf("%w: %s: %v. %s", wal.ErrDamaged, dir, found, wal.Advice)
}

// errGaveUp: dragonboat panicked on what it found.
var errGaveUp = errors.New("dragonboat gave up")

// pebbleError says what to do about a log in Pebble that cannot be read.
func pebbleError(err error, s settings) error {
	if s.LogStore == PebbleLog && s.Started && (errors.Is(err, errGaveUp) || errors.Is(err, pebble.ErrCorruption)) {
		return fmt.Errorf("%w: %w. If the disk is well and not full: %s", wal.ErrDamaged, err, wal.Advice)
	}
	return err
}
