package partition

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lni/dragonboat/v4/statemachine"
	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/internal/durable"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
)

// maxRunBytes is the size of a batch after which a run ends. A replica that
// catches up gets thousands of entries at once.
const maxRunBytes = 4 << 20

// maxIdleBatch bounds the memory a partition keeps for its next run. Larger batches
// go from one partition to another.
const maxIdleBatch = 256 << 10

var largeBatches = sync.Pool{New: func() any { return &engine.Batch{} }}

// machine is the state machine dragonboat drives. It serialises Update, Sync,
// PrepareSnapshot, RecoverFromSnapshot and Close; SaveSnapshot runs beside.
//
// Any error from Update, Sync or RecoverFromSnapshot stops the process, with all
// its partitions. They return one only if going on would damage this replica.
type machine struct {
	place   *place
	shelf   *shelf
	opener  engine.Opener
	syncLog func() // before the engine makes writes durable
	id      apply.Identity
	limiter *Limiter
	metrics *Metrics
	log     *logrus.Entry
	// answer takes the results of an entry proposed here.
	answer func(sequence uint64, results []apply.Result, run runTimes)
	ended  func() // after the answers of a run
	// proposer is the one in the envelopes of this life.
	proposer uint64

	applier *apply.Applier
	batch   *engine.Batch
	small   engine.Batch // what batch is, unless the run is large
	mine    []answered
	began   time.Time // of the run
	// clockSec is what the engine clockOf was last told.
	clockSec uint32
	clockOf  engine.Engine
	long     longLog

	tuneMu sync.Mutex
	tuned  engine.Tuning
	purges int32 // guarded by tuneMu: partition count, see Partition.Purge

	damage  atomic.Pointer[error] // see Partition.NoteDamage
	applied atomic.Uint64
	clockMS atomic.Uint64
	halves  atomic.Pointer[halves]
	// changed, if set, is told when a split was applied. It must not block.
	changed func()
	// pending tells that the run holds entries which the engine does not.
	pending bool

	pinMu sync.Mutex // Save removes pins beside the rest
	stop  <-chan struct{}
	done  chan struct{} // closed by Close
	// closed, if set, is told after done was closed. It must not block.
	closed func()
}

type answered struct {
	sequence uint64
	results  []apply.Result
}

var _ statemachine.IOnDiskStateMachine = (*machine)(nil)

// openEngine opens the live engine before raft starts: an error here concerns
// one partition, an error from Open would stop the process.
func (m *machine) openEngine() error {
	name, fresh := m.place.live, m.place.live == ""
	if fresh {
		name = m.place.fresh(dbPrefix)
	}
	dir := m.place.path(name)
	e, err := m.opener.Open(dir, engine.Options{MustExist: !fresh, BeforeFlush: m.syncLog})
	if err != nil {
		return err
	}
	st, err := apply.Load(e)
	if err == nil && fresh {
		err = m.place.setLive(name)
	}
	if err != nil {
		return errors.Join(err, e.Close())
	}
	m.use(e, dir, st)
	return nil
}

// use makes e, whose state is st, the live engine.
func (m *machine) use(e engine.Engine, dir string, st apply.State) {
	m.applier = apply.New(m.id, st)
	m.setClock(e, st)
	m.tuneMu.Lock()
	m.retune(e)
	m.repurge(e)
	m.shelf.replace(e, dir)
	m.tuneMu.Unlock()
	m.publish(st)
}

// retune gives a new engine the settings of the replica. It serves without them
// too, so a failure is no reason to stop.
func (m *machine) retune(e engine.Engine) {
	tuner, ok := e.(engine.Tuner)
	if !ok || m.tuned == (engine.Tuning{}) {
		return
	}
	if err := tuner.Tune(m.tuned); err != nil {
		m.log.WithError(err).Warn("engine keeps its default settings")
	}
}

// tune changes the settings of the live engine and of its successors.
func (m *machine) tune(t engine.Tuning) error {
	m.tuneMu.Lock()
	defer m.tuneMu.Unlock()
	if t == m.tuned {
		return nil
	}
	h, err := m.shelf.acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	if tuner, ok := h.Engine.(engine.Tuner); ok {
		if err := tuner.Tune(t); err != nil {
			return err
		}
	}
	m.tuned = t
	return nil
}

// setClock tells the live engine the clock, once a second.
func (m *machine) setClock(e engine.Engine, st apply.State) {
	if sec := st.ClockSec(); sec != m.clockSec || m.clockOf != e {
		e.SetClock(sec)
		m.clockSec, m.clockOf = sec, e
	}
}

func (m *machine) publish(st apply.State) {
	m.applied.Store(st.AppliedIndex)
	m.clockMS.Store(st.ClockMS)
	m.publishHalves(st)
}

// Open returns the index of the last entry that the engine held when it was
// opened. It was read from disk, since there is no log beside the raft log.
func (m *machine) Open(stop <-chan struct{}) (uint64, error) {
	m.stop = stop
	return m.applier.State().AppliedIndex, nil
}

// Update applies entries in runs.
func (m *machine) Update(entries []statemachine.Entry) ([]statemachine.Entry, error) {
	h, err := m.shelf.acquire()
	if err != nil {
		return nil, err
	}
	defer h.Release()
	bytes := 0
	for i := range entries {
		bytes += len(entries[i].Cmd)
		if m.batch.Len() == 0 {
			m.began = time.Now()
			m.beginRun(len(entries[i].Cmd))
		}
		if err := m.applyEntry(h, entries[i]); err != nil {
			return nil, err
		}
		if m.batch.Size() >= maxRunBytes || i == len(entries)-1 {
			if err := m.endRun(h); err != nil {
				return nil, err
			}
		}
	}
	m.long.add(uint64(len(entries)), uint64(bytes))
	return entries, nil
}

// beginRun picks the batch of a run whose first entry has so many bytes.
func (m *machine) beginRun(bytes int) {
	if bytes >= maxIdleBatch && m.batch == &m.small {
		m.batch = largeBatches.Get().(*engine.Batch)
	}
}

// endBatch empties the batch.
func (m *machine) endBatch() {
	size := m.batch.Size()
	m.batch.Reset()
	switch {
	case m.batch != &m.small:
		largeBatches.Put(m.batch)
		m.batch = &m.small
	case size > maxIdleBatch:
		m.small = engine.Batch{}
	}
}

func (m *machine) applyEntry(h *Handle, e statemachine.Entry) error {
	env, body, err := openEnvelope(e.Cmd)
	if err != nil {
		return m.broken(e.Index, err)
	}
	entry, err := command.Decode(body)
	if err != nil {
		return m.broken(e.Index, err)
	}
	if err := m.beforeSplit(h, entry); err != nil {
		return m.broken(e.Index, err)
	}
	results, err := m.applier.Apply(h, entry, e.Index, m.batch)
	if err != nil {
		return m.broken(e.Index, err)
	}
	m.pending = true
	if env.proposer == m.proposer {
		m.mine = append(m.mine, answered{env.sequence, results})
	}
	return nil
}

func (m *machine) broken(index uint64, err error) error {
	m.log.WithError(err).WithField("index", index).Error("log entry cannot be applied, the process must stop")
	m.keepShut(err)
	return fmt.Errorf("partition %v: entry %d: %w", m.id, index, err)
}

// keepShut sees to it that damaged data costs the node one restart and not one
// after the other.
func (m *machine) keepShut(err error) {
	if !errors.Is(err, engine.ErrCorruption) {
		return
	}
	if err := m.place.markDamaged(err); err != nil {
		m.log.WithError(err).Error("damage of the replica is not recorded")
	}
}

// endRun gives the batch to the engine, then answers its writes.
func (m *machine) endRun(h *Handle) error {
	m.applier.AppendState(m.batch)
	if err := m.store(h); err != nil {
		return err
	}
	m.pending = false
	st := m.applier.State()
	m.setClock(h.Engine, st)
	m.publish(st)
	m.endBatch()
	run := runTimes{began: m.began, stored: time.Now()}
	for i := range m.mine {
		m.answer(m.mine[i].sequence, m.mine[i].results, run)
	}
	if len(m.mine) > 0 {
		m.ended()
	}
	clear(m.mine)
	m.mine = m.mine[:0]
	return nil
}

// store waits out a full disk: it may heal, and stopping the process would take
// the partitions on healthy disks with it.
func (m *machine) store(h *Handle) error {
	for {
		err := h.Apply(m.batch)
		if err == nil {
			return nil
		}
		if !errors.Is(err, engine.ErrNoSpace) {
			return m.broken(m.applier.State().AppliedIndex, err)
		}
		m.log.WithError(err).Error("disk is full, partition waits for space")
		select {
		case <-m.stop:
			return m.broken(m.applier.State().AppliedIndex, err)
		case <-time.After(spaceRetry):
		}
	}
}

// Lookup is unused: reads go to the engine.
func (m *machine) Lookup(any) (any, error) { return nil, errors.ErrUnsupported }

// Sync makes everything applied durable. raft truncates its log on the strength
// of it.
func (m *machine) Sync() error {
	h, err := m.shelf.acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	for {
		err := h.Flush()
		if err == nil {
			return nil
		}
		if !errors.Is(err, engine.ErrNoSpace) {
			m.log.WithError(err).Error("engine cannot flush, the process must stop")
			m.keepShut(err)
			return fmt.Errorf("partition %v: flush: %w", m.id, err)
		}
		select {
		case <-m.stop:
			return err
		case <-time.After(spaceRetry):
		}
	}
}

var errNothingApplied = errors.New("no entry has been applied yet")

// pin is a checkpoint being streamed, or why there is none.
type pin struct {
	dir string
	err error
}

// PrepareSnapshot takes a checkpoint. A failure is kept for SaveSnapshot, since
// an error from here would leave the stream to the other replica open for ever.
func (m *machine) PrepareSnapshot() (any, error) {
	m.pinMu.Lock()
	dir := m.place.path(m.place.fresh(pinPrefix))
	m.pinMu.Unlock()
	h, err := m.shelf.acquire()
	if err != nil {
		return pin{err: err}, nil
	}
	defer h.Release()
	if m.place.id.Rooted && m.applied.Load() == 0 {
		// raft lets a receiver pass over a snapshot of index 0, and this one holds
		// the base.
		return pin{err: errNothingApplied}, nil
	}
	if err := h.Checkpoint(dir); err != nil {
		m.removePin(dir)
		return pin{err: err}, nil
	}
	return pin{dir: dir}, nil
}

// SaveSnapshot streams the checkpoint and removes it.
func (m *machine) SaveSnapshot(ctx any, w io.Writer, stop <-chan struct{}) error {
	p := ctx.(pin)
	if p.err != nil {
		m.log.WithError(p.err).Warn("no checkpoint for a replica that is behind")
		return statemachine.ErrSnapshotAborted
	}
	defer m.removePin(p.dir)
	start := time.Now()
	out := &countingWriter{w: w}
	err := writeStream(out, p.dir, func(n int) bool { return m.limiter.wait(n, stop) })
	m.metrics.snapshotSent.Add(float64(out.n))
	log := m.log.WithFields(logrus.Fields{"bytes": out.n, "duration": time.Since(start).String()})
	switch {
	case err == nil:
		log.Info("snapshot sent to a replica that was behind")
		return nil
	case errors.Is(err, errStopped):
		return statemachine.ErrSnapshotStopped
	case errors.Is(err, statemachine.ErrSnapshotStreaming), errors.Is(err, statemachine.ErrSnapshotStopped):
		return err
	}
	log.WithError(err).Warn("snapshot could not be sent")
	return statemachine.ErrSnapshotAborted
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func (m *machine) removePin(dir string) {
	if err := os.RemoveAll(dir); err != nil {
		m.log.WithError(err).Warn("checkpoint directory stays until the next start")
	}
}

// RecoverFromSnapshot replaces the engine by the one in the stream. Until
// CURRENT is switched a crash leaves the old one in place.
func (m *machine) RecoverFromSnapshot(r io.Reader, stop <-chan struct{}) error {
	m.pinMu.Lock()
	name := m.place.fresh(dbPrefix)
	m.pinMu.Unlock()
	tmp, dir := m.place.path(name+tmpSuffix), m.place.path(name)
	err := readStream(r, tmp, func() bool { return isClosed(stop) })
	if errors.Is(err, errStopped) {
		return statemachine.ErrSnapshotStopped // the directory is swept at the next start
	}
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(dir))
	}
	if err != nil {
		return fmt.Errorf("partition %v: receive snapshot: %w", m.id, err)
	}
	return m.switchTo(name, dir)
}

func (m *machine) switchTo(name, dir string) error {
	e, err := m.opener.Open(dir, engine.Options{MustExist: true, BeforeFlush: m.syncLog})
	if err != nil {
		return fmt.Errorf("partition %v: open snapshot: %w", m.id, err)
	}
	st, err := apply.Load(e)
	if err == nil {
		err = m.place.setLive(name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("partition %v: %w", m.id, err), e.Close())
	}
	m.use(e, dir, st)
	m.damage.Store(nil)
	m.log.WithField("index", st.AppliedIndex).Info("replica continues from a snapshot")
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Close closes the engine, waiting a moment for its readers.
func (m *machine) Close() error {
	select {
	case <-m.done:
	default:
		m.shelf.close()
		close(m.done)
		if m.closed != nil {
			m.closed()
		}
	}
	return nil
}
