package partition

import (
	"time"

	"github.com/lni/dragonboat/v4"
)

// A log is truncated after so many entries, whatever their size: with values of
// 1 MB that would be 50 GB. longLog counts bytes, too.
//
// It belongs to the machine, which adds, and to one goroutine, which truncates.
type longLog struct {
	bytes, entries uint64 // since the last truncation ordered here; of the machine
	due            chan keepEntries
}

// keepEntries is how many entries stay in a truncated log, for slow followers.
type keepEntries uint64

const (
	// maxLogBytes is about what one partition's log grows to before it is truncated.
	maxLogBytes = 64 << 20
	// maxKeptBytes of it stay.
	maxKeptBytes = maxLogBytes / 4
	// truncateWait bounds a truncation: the engine is flushed.
	truncateWait = time.Minute
)

func newLongLog() longLog { return longLog{due: make(chan keepEntries, 1)} }

// add counts what was applied, and orders a truncation when it is time.
func (l *longLog) add(entries, bytes uint64) {
	l.entries += entries
	l.bytes += bytes
	if l.bytes < maxLogBytes {
		return
	}
	keep := keepEntries(max(1, l.entries*maxKeptBytes/l.bytes))
	select {
	case l.due <- keep:
		l.entries, l.bytes = 0, 0
	default: // the last one is still waiting
	}
}

// truncateLong truncates the log whenever it is ordered.
func (p *Partition) truncateLong() {
	for {
		select {
		case <-p.closing:
			return
		case <-p.machine.done:
			return
		case keep := <-p.machine.long.due:
			p.truncate(min(uint64(keep), p.o.CompactionOverhead), truncateWait)
		}
	}
}

// truncate makes raft take a snapshot, for which the engine is flushed, and drop all
// entries before it but so many. It fails while another one is being taken, which
// is as good.
func (p *Partition) truncate(keep uint64, wait time.Duration) {
	state, err := p.nodeHost.RequestSnapshot(p.shardID, dragonboat.SnapshotOption{
		OverrideCompactionOverhead: true, CompactionOverhead: keep,
	}, wait)
	if err != nil {
		return
	}
	defer state.Release()
	select {
	case <-state.AppliedC():
	case <-p.closing:
	case <-p.machine.done:
	}
}
