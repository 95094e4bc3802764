// Package durable changes small files so that a crash leaves the old content or
// the new, and what was changed stays.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// TmpSuffix ends the name of a replacement that is not finished. A crash may
// leave one behind; it means nothing.
const TmpSuffix = ".tmp"

// ReplaceFile gives path new content, making the file if there is none.
func ReplaceFile(path string, content []byte) error {
	tmp := path + TmpSuffix
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in dir durable: those made, renamed and removed.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
