package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/internal/durable"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
)

// A split, as one replica sees it; the whole is in docs/design/0002.
//
// The parent: before the split entry is applied, the machine takes a checkpoint,
// the base. It holds exactly what lies below the entry. If the process dies in
// between, the entry comes again and finds the base made, or makes it again.
//
// The child: its replica begins with the base, moved out of the parent's
// directory, and with a log of its own. Such a replica is rooted for life.

const (
	basePrefix = "base-"
	// purgedFile holds the hash count for which foreign records were compacted away.
	purgedFile = "PURGED"
	// adoptedDir is the first engine of a replica that begins with a base.
	adoptedDir = dbPrefix + "000001"
	// rootRetry is the pause between attempts to truncate the log of a new child.
	rootRetry = 100 * time.Millisecond
	// rootOverhead entries stay when the log is truncated for the first time.
	rootOverhead = 1
)

// ErrBaseLost: a replica was to begin with a base that is not there. It must not
// begin with nothing; it has to be replaced.
var ErrBaseLost = fmt.Errorf("%w: there is no base to begin with", ErrDataLost)

// halves is what a partition owns since its last split.
type halves struct {
	count, attempt int32
	base           bool // a base for the other half is durable here
}

func baseName(s command.Split) string { return fmt.Sprintf("%s%d-%d", basePrefix, s.To, s.Attempt) }

// HashCount is the partition count by which this replica owns hashes, as far as
// it has applied the log; 0 before the first split.
func (p *Partition) HashCount() int32 { return p.machine.halves.Load().count }

// Split proposes that the partition gives up half of its hashes. Repeating it, also
// on another leader, does no harm. done is told when this replica has applied the
// entry or why that is not known.
func (p *Partition) Split(s command.Split, done func(error)) {
	p.enqueue(write{kind: command.KindSplit, args: s.AppendTo(nil), done: func(_ apply.Result, err error) { done(err) }})
}

// Wants reports whether the split is still to be applied here.
func (p *Partition) Wants(s command.Split) bool {
	owned := p.machine.halves.Load()
	return apply.State{HashCount: owned.count, SplitAttempt: owned.attempt}.News(s)
}

// DropBases removes the bases that nobody took of splits into at most count
// partitions. The caller knows that these splits are over; a later one may be under
// way.
func (p *Partition) DropBases(count int32) error {
	return p.machine.dropBases(func(made int32, _ string) bool { return made <= count })
}

// Purge lets compactions drop records that are foreign under count partitions. The
// caller knows that they are safe elsewhere.
func (p *Partition) Purge(count int32) {
	m := p.machine
	m.tuneMu.Lock()
	defer m.tuneMu.Unlock()
	if count == m.purges {
		return
	}
	h, err := m.shelf.acquire()
	if err != nil {
		return // closed
	}
	defer h.Release()
	m.purges = count
	m.repurge(h.Engine)
}

func (m *machine) repurge(e engine.Engine) {
	if p, ok := e.(engine.Purger); ok && m.purges > 0 {
		p.Purge(m.id.PartitionIndex, m.purges)
	}
}

// PurgePending reports whether records that are foreign under count may be left:
// nobody has noted that they were compacted away.
func (p *Partition) PurgePending(count int32) bool {
	raw, err := os.ReadFile(p.machine.place.path(purgedFile))
	return err != nil || strings.TrimSpace(string(raw)) != strconv.Itoa(int(count))
}

// Purged notes that a compaction begun after Purge(count) has gone through
// everything.
func (p *Partition) Purged(count int32) error {
	return durable.ReplaceFile(p.machine.place.path(purgedFile), fmt.Appendf(nil, "%d\n", count))
}

// errForeign is the answer to a write whose hash has another partition now.
var errForeign = code.Errorf(code.ParentPartitionMisused, "the hash belongs to another partition since a split")

// beforeSplit ends the run and makes the base, if entry is a split that has not
// been applied yet.
func (m *machine) beforeSplit(h *Handle, entry command.Entry) error {
	op, ok := entry.Alone()
	if !ok || op.Kind != command.KindSplit {
		return nil
	}
	s, err := command.DecodeSplit(op.Payload)
	if err != nil {
		return err
	}
	if !m.applier.State().News(s) {
		return nil
	}
	if m.pending {
		if err := m.endRun(h); err != nil {
			return err
		}
	}
	start := time.Now()
	log := m.log.WithField("count", s.To).WithField("attempt", s.Attempt)
	if err := m.makeBase(h, s); err != nil {
		// The other replicas go on; this one gets the new partition from them.
		log.WithError(err).Error("no base for the partition that a split makes")
		return nil
	}
	log.WithField("duration", time.Since(start).String()).Info("partition splits, base made")
	return nil
}

// makeBase checkpoints the engine for the child, unless that was done in an earlier
// life. Bases of earlier attempts are superseded.
func (m *machine) makeBase(h *Handle, s command.Split) error {
	name := baseName(s)
	if err := m.dropBases(func(_ int32, other string) bool { return other != name }); err != nil {
		return err
	}
	if m.hasBase(s) {
		return nil
	}
	tmp := m.place.path(name + tmpSuffix)
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	err := h.Checkpoint(tmp)
	if err == nil {
		err = os.Rename(tmp, m.place.path(name))
	}
	if err == nil {
		err = durable.SyncDir(m.place.dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return nil
}

func (m *machine) hasBase(s command.Split) bool {
	st, err := os.Stat(m.place.path(baseName(s)))
	return err == nil && st.IsDir()
}

// dropBases removes bases, whole or not, by the count they were made for and their
// name.
func (m *machine) dropBases(drop func(count int32, name string) bool) error {
	entries, err := os.ReadDir(m.place.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		var count, attempt int32
		if n, _ := fmt.Sscanf(e.Name(), basePrefix+"%d-%d", &count, &attempt); n == 2 && drop(count, e.Name()) {
			errs = append(errs, os.RemoveAll(m.place.path(e.Name())))
		}
	}
	return errors.Join(errs...)
}

// publishHalves tells readers and reports what is owned, after it has been stored.
func (m *machine) publishHalves(st apply.State) {
	old := m.halves.Load()
	if old != nil && old.count == st.HashCount && old.attempt == st.SplitAttempt {
		return
	}
	next := &halves{count: st.HashCount, attempt: st.SplitAttempt}
	if st.SplitAttempt > 0 {
		next.base = m.hasBase(command.Split{To: st.HashCount, Attempt: st.SplitAttempt})
	}
	m.halves.Store(next)
	if old != nil && m.changed != nil {
		m.changed()
	}
}

// adopt makes the base of s in the parent's directory the first engine here. A
// crash at any point is repeated from where it got to: the engine is not live
// before it has its own bookkeeping.
func (m *machine) adopt(parentDir string, s command.Split) error {
	dir := m.place.path(adoptedDir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := moveBase(filepath.Join(parentDir, baseName(s)), dir); err != nil {
			return err
		}
	}
	return m.begin(func(st apply.State) apply.State { return st.Child(s) })
}

// begin makes what lies in adoptedDir the live engine, with the bookkeeping of a
// group that has no log yet.
func (m *machine) begin(first func(apply.State) apply.State) error {
	e, err := m.opener.Open(m.place.path(adoptedDir), engine.Options{MustExist: true})
	if err != nil {
		return err
	}
	st, err := apply.Load(e)
	if err == nil {
		st = first(st)
		var b engine.Batch
		st.AppendTo(&b)
		err = errors.Join(e.Apply(&b), e.Flush())
	}
	if err == nil {
		err = m.place.setLive(adoptedDir)
	}
	return errors.Join(err, e.Close())
}

func moveBase(from, to string) error {
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrBaseLost
	}
	if err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(filepath.Dir(to)), durable.SyncDir(filepath.Dir(from)))
}

// root truncates the log of a replica that began with a base, once, so that as a
// leader it offers a snapshot to replicas that join. Until then they wait.
func (p *Partition) root() {
	for !p.truncated() {
		select {
		case <-p.closing:
			return
		case <-p.machine.done:
			return
		case <-time.After(rootRetry):
		}
		if p.machine.applied.Load() > 0 {
			p.truncate(rootOverhead, p.o.ReadTimeout)
			continue
		}
		// A snapshot of a machine that has applied nothing is passed over by the
		// replica that receives it, so there has to be an entry.
		if p.leadership.get().mine {
			p.PushClock(func(error) {})
		}
	}
}

func (p *Partition) truncated() bool {
	log, err := p.nodeHost.GetLogReader(p.shardID)
	if err != nil {
		return false
	}
	first, _ := log.GetRange()
	return first > 1
}
