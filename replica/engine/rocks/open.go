package rocks

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/linxGnu/grocksdb"

	"github.com/arionkv/arion/internal/durable"
	"github.com/arionkv/arion/replica/engine"
)

// Open opens or creates the database in dir. The parent of a new dir is synced.
func (o *Opener) Open(dir string, opts engine.Options) (engine.Engine, error) {
	s := &store{dir: dir, opener: o}
	s.closed.Store(true) // the keeper sees it before it is open
	err := o.admit(s)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	if err = prepare(dir, opts.MustExist); err != nil {
		err = fmt.Errorf("open %s: %w", dir, err)
	} else {
		err = s.open(opts)
	}
	if err != nil {
		o.forget(s)
		return nil, err
	}
	return s, nil
}

func (s *store) open(opts engine.Options) error {
	s.options = s.opener.options.Clone()
	s.options.SetCreateIfMissing(!opts.MustExist)
	s.hook = newHook(opts.BeforeFlush)
	s.c = C.arion_db_new(handle(s.options), ptr([]byte(s.dir)), C.size_t(len(s.dir)), C.uintptr_t(s.hook))
	db, err := grocksdb.OpenDb(s.options, s.dir)
	if err != nil {
		s.options.Destroy()
		C.arion_db_free(s.c)
		s.hook.free()
		return statusError("open", s.dir, err.Error())
	}
	s.db = db
	C.arion_db_attach(s.c, handle(db))
	s.life, s.end = context.WithCancel(context.Background())
	s.closed.Store(false)
	return nil
}

// prepare makes sure that RocksDB does not create an empty database where one
// was lost: without CURRENT it would, even beside tables full of data.
func prepare(dir string, mustExist bool) error {
	_, err := os.Stat(filepath.Join(dir, "CURRENT"))
	if err == nil {
		return checkTables(dir)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if tables, _ := filepath.Glob(filepath.Join(dir, "*.sst")); len(tables) > 0 {
		return fmt.Errorf("%w: tables without a CURRENT file", engine.ErrCorruption)
	}
	if mustExist {
		return engine.ErrNotExist
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// Checkpoint implements engine.Engine.
func (s *store) Checkpoint(dir string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	err := s.checkpoint(dir)
	for try := 1; err != nil && try < checkpointTries && vanished(err); try++ {
		// A change of settings replaces the file of options while the checkpoint is
		// about to link it, which RocksDB 7.8 does not exclude.
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		err = s.checkpoint(dir)
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

const checkpointTries = 5

// vanished recognises, by RocksDB's words for ENOENT, a file that was deleted under
// a checkpoint.
func vanished(err error) bool { return strings.Contains(err.Error(), "No such file or directory") }

func (s *store) checkpoint(dir string) error {
	cp, err := s.db.NewCheckpoint()
	if err != nil {
		return statusError("checkpoint", dir, err.Error())
	}
	defer cp.Destroy()
	const flushFirst = 0 // size of the log from which on to flush: there is no log
	if err := cp.CreateCheckpoint(dir, flushFirst); err != nil {
		return statusError("checkpoint", dir, err.Error())
	}
	return nil
}
