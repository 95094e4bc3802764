// Package dirlock keeps two processes from using one data directory.
package dirlock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// FileName is the lock file inside the directory. It stays after the process;
// what counts is the kernel's lock on it, which a kill releases.
const FileName = "LOCK"

// Lock is held until Release or the end of the process.
type Lock struct{ file *os.File }

// Acquire creates dir when missing and locks it. The error of a second process
// names the first.
func Acquire(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, FileName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	err = lock(file)
	for wait := time.Now().Add(endWait); errors.Is(err, syscall.EWOULDBLOCK) && ending(holder(path)) && time.Now().Before(wait); err = lock(file) {
		time.Sleep(10 * time.Millisecond)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%s is in use by process %s (lock file %s)", dir, holder(path), path)
	}
	if err == nil {
		err = record(file)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Lock{file: file}, nil
}

func lock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// endWait is how long a process that was killed may take to end: it holds the lock
// until the last of its threads is gone, and a supervisor restarts it before.
const endWait = 10 * time.Second

// ending reports whether a process is gone, or killed and not gone yet.
func ending(pid string) bool {
	if _, err := strconv.Atoi(pid); err != nil {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ") // Z is a zombie, X one that is gone
	return err == nil && (strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X"))
}

// Release frees the directory. Further calls do nothing.
func (l *Lock) Release() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}

func record(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func holder(path string) string {
	text, err := os.ReadFile(path)
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return pid
	}
	return "(unknown)"
}
