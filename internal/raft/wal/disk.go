package wal

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/arionkv/arion/internal/durable"
)

// disk is a directory. Names made, changed or removed are durable after SyncDir,
// content is after file.Sync.
type disk interface {
	Create(name string) (file, error) // an existing one is emptied
	Open(name string) (file, error)
	Rename(from, to string) error
	Remove(name string) error
	List() ([]string, error)
	SyncDir() error
	ReadFile(name string) ([]byte, error)
	// ReplaceFile leaves the old content or the new, and durably the new.
	ReplaceFile(name string, content []byte) error
}

type file interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Size() (int64, error)
	// Reserve gives an empty file size bytes of zeros that need not be written. It
	// may fail with errors.ErrUnsupported.
	Reserve(size int64) error
	Close() error
}

// dirDisk is a directory of the operating system.
type dirDisk struct {
	dir      string
	readOnly bool
}

func (d dirDisk) Create(name string) (file, error) {
	f, err := os.OpenFile(filepath.Join(d.dir, name), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o644)
	return osFile{f}, err
}

func (d dirDisk) Open(name string) (file, error) {
	mode := os.O_RDWR
	if d.readOnly {
		mode = os.O_RDONLY
	}
	f, err := os.OpenFile(filepath.Join(d.dir, name), mode, 0)
	return osFile{f}, err
}

func (d dirDisk) Rename(from, to string) error {
	return os.Rename(filepath.Join(d.dir, from), filepath.Join(d.dir, to))
}

func (d dirDisk) Remove(name string) error { return os.Remove(filepath.Join(d.dir, name)) }

func (d dirDisk) List() ([]string, error) {
	entries, err := os.ReadDir(d.dir)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (d dirDisk) SyncDir() error { return durable.SyncDir(d.dir) }

func (d dirDisk) ReadFile(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(d.dir, name))
}

func (d dirDisk) ReplaceFile(name string, content []byte) error {
	return durable.ReplaceFile(filepath.Join(d.dir, name), content)
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Sync makes the content durable, but not times nobody asks for. The length of a
// segment never changes once it is in use.
func (f osFile) Sync() error { return syncData(f.File) }

// Reserve implements file.
func (f osFile) Reserve(size int64) error { return reserve(f.File, size) }

// fill writes zeros to [from, to) and syncs, each MB for itself: 64 MB at once held up
// the syncs of the log, and everybody's writes with them, for 50 to 300 ms.
func fill(f file, from, to int64) error {
	zeros := make([]byte, min(to-from, 1<<20))
	for from < to {
		n := min(to-from, int64(len(zeros)))
		if _, err := f.WriteAt(zeros[:n], from); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// closeFile joins the outcome of Close to err.
func closeFile(f io.Closer, err error) error { return errors.Join(err, f.Close()) }
