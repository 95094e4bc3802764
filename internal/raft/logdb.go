package raft

import (
	"path/filepath"
	"sync/atomic"

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
