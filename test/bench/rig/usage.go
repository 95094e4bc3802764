package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/arionkv/arion/cmd/arion/bench"
)

// PeakMemory is the most memory the largest replica server had resident since it
// started, in bytes.
func (c *Cluster) PeakMemory() (int64, error) {
	most := int64(0)
	for _, s := range c.replicas {
		n, err := statusBytes(s.PID(), "VmHWM")
		if err != nil {
			return 0, err
		}
		most = max(most, n)
	}
	return most, nil
}

// statusBytes reads a size in kB of /proc/PID/status.
func statusBytes(pid int, field string) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if name != field {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		return n << 10, err
	}
	return 0, fmt.Errorf("process %d: no %s in its status", pid, field)
}

// DiskBytes is what the replica servers' directories take on disk together.
func (c *Cluster) DiskBytes() (int64, error) {
	total := int64(0)
	for _, s := range c.replicas {
		n, err := diskBytes(filepath.Join(c.o.Dir, s.name))
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// diskBytes counts allocated blocks: files of logs are larger than what is in them.
func diskBytes(dir string) (total int64, err error) {
	const block = 512 // of st_blocks, whatever the file system's
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() {
			total += st.Blocks * block
		}
		return nil
	})
	return total, err
}

// ignoreGone passes over files that a compaction has removed meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// IdleCPU is how many processors the replica servers use when nobody asks them
// anything, measured for a while.
func (c *Cluster) IdleCPU(ctx context.Context, length time.Duration) (cores float64, err error) {
	before, begin := c.cpu(), time.Now()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(length):
	}
	return (c.cpu() - before).Seconds() / time.Since(begin).Seconds(), nil
}

func (c *Cluster) cpu() (sum time.Duration) {
	for _, s := range c.replicas {
		sum += bench.ProcessCPU(s.PID())
	}
	return sum
}
