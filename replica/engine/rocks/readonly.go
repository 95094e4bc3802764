package rocks

import (
	"fmt"
	"os"

	"github.com/linxGnu/grocksdb"
)

// ReadOnly is a database of a stopped node, opened without writing a byte to it.
// It shows what was flushed; writes after that are in the raft log alone.
type ReadOnly struct {
	db      *grocksdb.DB
	opt     *grocksdb.Options
	scratch string
}

// OpenReadOnly opens the database in dir.
func OpenReadOnly(dir string) (*ReadOnly, error) {
	if err := checkTables(dir); err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	// RocksDB begins a text log wherever it opens; it must not be in dir.
	scratch, err := os.MkdirTemp("", "arion-rocks-*")
	if err != nil {
		return nil, err
	}
	opt := grocksdb.NewDefaultOptions()
	opt.SetDbLogDir(scratch)
	db, err := grocksdb.OpenDbForReadOnly(opt, dir, false)
	if err != nil {
		opt.Destroy()
		os.RemoveAll(scratch)
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &ReadOnly{db: db, opt: opt, scratch: scratch}, nil
}

// Each hands every record to f, in order of the keys, from start on; checksums are
// verified on the way. f may not keep the slices, and ends the walk with an error.
func (r *ReadOnly) Each(start []byte, f func(key, value []byte) error) error {
	ro := grocksdb.NewDefaultReadOptions()
	defer ro.Destroy()
	ro.SetVerifyChecksums(true)
	ro.SetFillCache(false)
	it := r.db.NewIterator(ro)
	defer it.Close()
	for it.Seek(start); it.Valid(); it.Next() {
		if err := f(it.Key().Data(), it.Value().Data()); err != nil {
			return err
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read %s: %w", r.db.Name(), err)
	}
	return nil
}

// Close closes the database. It may be called once.
func (r *ReadOnly) Close() {
	r.db.Close()
	r.opt.Destroy()
	os.RemoveAll(r.scratch)
}
