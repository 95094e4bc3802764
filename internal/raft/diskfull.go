package raft

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/statemachine"
	"github.com/lni/vfs"
	"github.com/sirupsen/logrus"
)

// spaceRetry is the pause before a write that found the disk full is tried again.
const spaceRetry = time.Second

// Directories of snapshots under way are called so; dragonboat's internal/server
// has the same.
const (
	savedSuffix    = ".generating"
	receivedSuffix = ".receiving"
)

// snapshotFS lets a process live through a full disk. dragonboat panics when it
// cannot write a snapshot, be it the few hundred bytes that stand for one of a
// partition, every snapshot_entries of entries. With this, a snapshot of our own is
// put off until as many more entries have come, and one that arrives waits.
//
// Only files of snapshots are treated so, and no failed sync: what was written
// before it may be lost.
type snapshotFS struct {
	config.IFS
	log *logrus.Entry
}

// attempt calls f, which works in dir, until it finds the space that it needs.
func (s snapshotFS) attempt(dir string, f func() error) error {
	for {
		err := f()
		full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
		switch {
		case full && strings.HasSuffix(dir, savedSuffix):
			return fmt.Errorf("%w: %v", statemachine.ErrSnapshotAborted, err) // dragonboat sees only one wrapped
		case !full || !strings.HasSuffix(dir, receivedSuffix):
			return err
		}
		s.log.WithError(err).Error("disk is full, a snapshot from another replica waits for space")
		time.Sleep(spaceRetry)
	}
}

func (s snapshotFS) MkdirAll(dir string, perm os.FileMode) error {
	return s.attempt(dir, func() error { return s.IFS.MkdirAll(dir, perm) })
}

func (s snapshotFS) Rename(from, to string) error {
	return s.attempt(from, func() error { return s.IFS.Rename(from, to) })
}

func (s snapshotFS) Create(name string) (vfs.File, error) { return s.open(name, s.IFS.Create) }

func (s snapshotFS) OpenForAppend(name string) (vfs.File, error) {
	return s.open(name, s.IFS.OpenForAppend)
}

func (s snapshotFS) open(name string, open func(string) (vfs.File, error)) (f vfs.File, err error) {
	dir := s.PathDir(name)
	err = s.attempt(dir, func() error { f, err = open(name); return err })
	if err != nil || !strings.HasSuffix(dir, savedSuffix) && !strings.HasSuffix(dir, receivedSuffix) {
		return f, err
	}
	return snapshotFile{f, s, dir}, nil
}

type snapshotFile struct {
	vfs.File
	fs  snapshotFS
	dir string
}

func (f snapshotFile) Write(b []byte) (n int, err error) {
	err = f.fs.attempt(f.dir, func() error {
		m, err := f.File.Write(b[n:])
		n += m
		return err
	})
	return n, err
}

func (f snapshotFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.fs.attempt(f.dir, func() error {
		m, err := f.File.WriteAt(b[n:], at+int64(n))
		n += m
		return err
	})
	return n, err
}

// Sync does not repeat what failed.
func (f snapshotFile) Sync() error {
	err := f.File.Sync()
	if strings.HasSuffix(f.dir, savedSuffix) {
		return f.fs.attempt(f.dir, func() error { return err })
	}
	return err
}
