//go:build !linux

package wal

import (
	"errors"
	"os"
)

func syncData(f *os.File) error { return f.Sync() }

func reserve(*os.File, int64) error { return errors.ErrUnsupported }
