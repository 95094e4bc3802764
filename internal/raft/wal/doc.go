// Package wal is the raft log of a node: one append-only log for all replicas,
// which dragonboat uses as its log store.
//
// The log is a row of segments, files of a fixed length that are written to the
// end before they are used, so that a synced append changes no metadata of the
// file system. One call to save is one record, one write and one sync; callers
// that come while a sync is running share the next one. What a replica's records
// said last (term, vote, commit, snapshot, bootstrap) is held in memory and
// repeated at the begin of each segment, therefore old segments are kept only for
// the entries in them. See docs/design/0005-raft-log.md.
//
// disk.go      files, as an interface that tests replace by a disk that forgets
// record.go    the format of records
// manifest.go  the list of segments
// segment.go   one file
// replica.go   what is known of a replica, and where its entries are
// writer.go    append, group commit, change of segment
// keeper.go    makes segments ahead, frees and empties old ones
// recover.go   reads the log at open and tells a torn end from damage
// store.go     dragonboat's interface
package wal
