//go:build !linux

package bench

import (
	"os"
	"time"
)

func syncData(f *os.File) error { return f.Sync() }

// CPU times are read from Linux's /proc only.

func ownCPU() time.Duration { return 0 }

// ProcessCPU is not known here.
func ProcessCPU(int) time.Duration { return 0 }
