package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"sync"
	"syscall"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/stretchr/testify/require"
)

// sectorBytes is what a disk writes whole or not at all.
const sectorBytes = 512

// memDisk is a disk that forgets: crash keeps what was synced, and of everything
// else a random part. Errors can be ordered for writes and syncs.
type memDisk struct {
	mu       sync.Mutex
	names    map[string]*memFile // as seen
	kept     map[string]*memFile // as after a crash
	space    int64               // bytes that files may grow by; <0 = no limit
	sync     error               // of the next syncs of content
	syncs    int
	reserved int // files made without writing zeros
	// onSync is called once, at the sync that makes left 0, before it has done
	// anything.
	left   int
	onSync func()
}

func (d *memDisk) armed(left int, f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left, d.onSync = left, f
}

func (d *memDisk) disarmed() { d.armed(0, nil) }

type memFile struct {
	d       *memDisk
	now     []byte
	durable []byte
	dirty   map[int64]bool // sectors
}

func newMemDisk() *memDisk {
	return &memDisk{names: map[string]*memFile{}, kept: map[string]*memFile{}, space: -1}
}

func (d *memDisk) Create(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &memFile{d: d, dirty: map[int64]bool{}}
	d.names[name] = f
	return f, nil
}

func (d *memDisk) Open(name string) (file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.names[name]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

func (d *memDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[to] = d.names[from]
	delete(d.names, from)
	return nil
}

func (d *memDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] == nil {
		return fs.ErrNotExist
	}
	delete(d.names, name)
	return nil
}

func (d *memDisk) List() (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := range d.names {
		names = append(names, n)
	}
	return names, nil
}

func (d *memDisk) SyncDir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = map[string]*memFile{}
	for n, f := range d.names {
		d.kept[n] = f
	}
	return nil
}

func (d *memDisk) ReadFile(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.names[name]; f != nil {
		return bytes.Clone(f.now), nil
	}
	return nil, fs.ErrNotExist
}

func (d *memDisk) ReplaceFile(name string, content []byte) error {
	d.mu.Lock()
	f := &memFile{d: d, now: bytes.Clone(content), durable: bytes.Clone(content), dirty: map[int64]bool{}}
	d.names[name] = f
	d.mu.Unlock()
	return d.SyncDir()
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if off >= int64(len(f.now)) {
		return 0, io.EOF
	}
	n := copy(p, f.now[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if grow := off + int64(len(p)) - int64(len(f.now)); grow > 0 {
		if f.d.space >= 0 && grow > f.d.space {
			return 0, syscall.ENOSPC
		}
		if f.d.space >= 0 {
			f.d.space -= grow
		}
		f.now = append(f.now, make([]byte, grow)...)
	}
	copy(f.now[off:], p)
	for s := off / sectorBytes; s*sectorBytes < off+int64(len(p)); s++ {
		f.dirty[s] = true
	}
	return len(p), nil
}

func (f *memFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.syncs++
	if f.d.left--; f.d.left < 0 && f.d.onSync != nil {
		f.d.onSync()
		f.d.onSync = nil
	}
	if f.d.sync != nil {
		return f.d.sync
	}
	f.durable = bytes.Clone(f.now)
	clear(f.dirty)
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.now)), nil
}

// Reserve makes a file that is as durable as its name.
func (f *memFile) Reserve(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.space >= 0 && f.d.space < size {
		return syscall.ENOSPC
	}
	if f.d.space >= 0 {
		f.d.space -= size
	}
	f.d.reserved++
	f.now = make([]byte, size)
	return nil
}

func (f *memFile) Close() error { return nil }

// crash returns the disk as it is after a loss of power.
func (d *memDisk) crash(rnd *rand.Rand) *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.crashLocked(rnd)
}

func (d *memDisk) crashLocked(rnd *rand.Rand) *memDisk {
	after := newMemDisk()
	names := d.kept
	if rnd.Intn(2) == 0 { // the directory was written by itself
		names = d.names
	}
	for n, f := range names {
		content := make([]byte, max(len(f.durable), len(f.now)))
		copy(content, f.durable)
		whole := rnd.Intn(4)
		for s := range f.dirty {
			if whole == 0 || whole > 1 && rnd.Intn(2) == 0 {
				from, to := min(s*sectorBytes, int64(len(f.now))), min((s+1)*sectorBytes, int64(len(f.now)))
				copy(content[from:to], f.now[from:to])
			}
		}
		after.put(n, content)
	}
	return after
}

// put makes a file that is durable.
func (d *memDisk) put(name string, content []byte) {
	f := &memFile{d: d, now: content, durable: bytes.Clone(content), dirty: map[int64]bool{}}
	d.names[name], d.kept[name] = f, f
}

// clone copies the disk as it is seen.
func (d *memDisk) clone() *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newMemDisk()
	for n, f := range d.names {
		c.put(n, bytes.Clone(f.now))
	}
	return c
}

var errDisk = errors.New("input/output error")

// syncsOf saves an update and returns how many syncs that took.
func syncsOf(t *testing.T, d *memDisk, s *Store, u pb.Update) int {
	t.Helper()
	count := func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.syncs
	}
	before := count()
	require.NoError(t, s.SaveRaftState([]pb.Update{u}, 1))
	return count() - before
}
