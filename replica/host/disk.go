package host

import (
	"sync/atomic"
	"syscall"

	"github.com/sirupsen/logrus"
)

// Disk watches the free space under a node's directory. Writes are refused
// before the file system is full: raft and RocksDB stop the process when they
// cannot write, and a full disk needs room to be compacted.
type Disk struct {
	dir      string
	lowWater atomic.Int64 // bytes
	log      *logrus.Entry

	capacity, available atomic.Int64
	full                atomic.Bool
}

// NewDisk measures dir once. dir must exist.
func NewDisk(dir string, lowWater int64, log *logrus.Entry) *Disk {
	d := &Disk{dir: dir, log: log}
	d.lowWater.Store(lowWater)
	d.Measure()
	return d
}

// Full reports whether writes are to be refused.
func (d *Disk) Full() bool { return d.full.Load() }

// Space returns the size of the file system and what is free of it, in bytes.
func (d *Disk) Space() (capacity, available int64) {
	return d.capacity.Load(), d.available.Load()
}

// Measure asks the file system and moves the switch. A little hysteresis keeps
// it from flapping while a compaction frees and takes space.
func (d *Disk) Measure() {
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &st); err != nil {
		d.log.WithError(err).Warn("free disk space is unknown")
		return
	}
	available := int64(st.Bavail) * st.Bsize
	d.capacity.Store(int64(st.Blocks) * st.Bsize)
	d.available.Store(available)
	d.judge(available)
}

func (d *Disk) judge(available int64) {
	lowWater := d.LowWater()
	fields := logrus.Fields{"dir": d.dir, "available_bytes": available, "low_water_bytes": lowWater}
	switch {
	case available < lowWater && d.full.CompareAndSwap(false, true):
		d.log.WithFields(fields).Error("disk nearly full, writes are refused")
	case available > lowWater+lowWater/8 && d.full.CompareAndSwap(true, false):
		d.log.WithFields(fields).Warn("disk has room again, writes are accepted")
	}
}

// LowWater is the free space, in bytes, below which writes are refused.
func (d *Disk) LowWater() int64 { return d.lowWater.Load() }

// SetLowWater changes it; the switch moves at the next Measure.
func (d *Disk) SetLowWater(bytes int64) { d.lowWater.Store(bytes) }

// Dir is the directory that is watched.
func (d *Disk) Dir() string { return d.dir }
