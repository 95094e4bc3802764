// Package logread reads the raft logs of a stopped node. Nothing is written. A log
// of our own is opened by package wal. One of an older directory, which dragonboat
// keeps in Pebble, is opened read-only, and its keys are taken apart here because
// dragonboat has no way to open it without running.
//
//	entry key: 01 01 | 00 00 | shard u64 BE | replica u64 BE | index u64 BE
package logread

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/cockroachdb/pebble"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/arionkv/arion/internal/raft/wal"
)

// Entry is one entry of a log.
type Entry struct {
	Shard, Replica uint64
	Index, Term    uint64
	// Kind is "command", "membership" or "empty".
	Kind    string
	Payload []byte // of a command, as proposed
}

// Log names a log found.
type Log struct{ Shard, Replica uint64 }

const (
	keyLen    = 28
	keyPrefix = "\x01\x01\x00\x00"
)

var errCompressed = errors.New("the entry is compressed")

// stores finds the databases below the raft directory of a node.
func stores(raftDir string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(raftDir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && (strings.HasPrefix(d.Name(), "logdb-") || wal.Holds(path)) {
			found = append(found, path)
			return filepath.SkipDir
		}
		return err
	})
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s holds no raft log", raftDir)
	}
	sort.Strings(found)
	return found, err
}

// quiet drops what Pebble has to tell.
type quiet struct{}

func (quiet) Infof(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...)) // Pebble's contract: it must not return
}

// Each hands the entries of all logs to f, in order of shard, replica and index,
// for each store of the directory. want limits them to one shard, 0 = all; from is
// the first index. f ends the walk with an error.
func Each(raftDir string, want, from uint64, f func(Entry) error) error {
	dirs, err := stores(raftDir)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		each := eachInPebble
		if wal.Holds(dir) {
			each = eachInWAL
		}
		if err := each(dir, want, from, f); err != nil {
			return err
		}
	}
	return nil
}

func eachInWAL(dir string, want, from uint64, f func(Entry) error) (err error) {
	s, err := wal.OpenReadOnly(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.Each(want, from, func(shard, replica uint64, raw *pb.Entry) error {
		e, err := describe(shard, replica, raw)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		return f(e)
	})
}

func eachInPebble(dir string, want, from uint64, f func(Entry) error) (err error) {
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, Logger: quiet{}})
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	lower := []byte(keyPrefix)
	if want != 0 {
		lower = binary.BigEndian.AppendUint64(lower, want)
	}
	it := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: after(lower)})
	defer func() { err = errors.Join(err, it.Close()) }()
	for valid := it.First(); valid; valid = it.Next() {
		e, err := decode(it.Key(), it.Value())
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		if e.Index < from {
			continue
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return it.Error()
}

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end
		}
	}
	return nil
}

func decode(key, value []byte) (e Entry, err error) {
	if len(key) != keyLen {
		return e, fmt.Errorf("key of %d bytes among the entries", len(key))
	}
	shard, index := binary.BigEndian.Uint64(key[4:]), binary.BigEndian.Uint64(key[20:])
	var raw pb.Entry
	if err := raw.Unmarshal(value); err != nil {
		return e, fmt.Errorf("entry %d of shard %d: %w", index, shard, err)
	}
	if raw.Index != index {
		return e, fmt.Errorf("entry of shard %d stored at index %d says it is %d", shard, index, raw.Index)
	}
	return describe(shard, binary.BigEndian.Uint64(key[12:]), &raw)
}

// describe takes an entry of raft apart.
func describe(shard, replica uint64, raw *pb.Entry) (Entry, error) {
	e := Entry{Shard: shard, Replica: replica, Index: raw.Index, Term: raw.Term}
	switch {
	case raw.Type == pb.ConfigChangeEntry:
		e.Kind = "membership"
	case len(raw.Cmd) == 0:
		e.Kind = "empty"
	case raw.Type == pb.EncodedEntry:
		// One byte says how the rest is compressed; 0 in the middle bits is not at all.
		const compression = 0x0e
		if raw.Cmd[0]&compression != 0 {
			return e, errCompressed
		}
		e.Kind, e.Payload = "command", raw.Cmd[1:]
	default:
		e.Kind, e.Payload = "command", raw.Cmd
	}
	return e, nil
}
