package raft

import "github.com/lni/dragonboat/v4/config"

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

// logDBConfig sizes the log store.
func logDBConfig(shards int) config.LogDBConfig {
	c := config.GetTinyMemLogDBConfig()
	c.Shards = uint64(shards)
	c.KVWriteBufferSize = logBuffer
	c.KVLevel0FileNumCompactionTrigger = logTables
	c.KVLevel0SlowdownWritesTrigger = 2 * logTables
	c.KVLevel0StopWritesTrigger = 3 * logTables
	return c
}
