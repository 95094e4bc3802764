package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/replica/load"
	"github.com/arionkv/arion/replica/partition"
	"github.com/arionkv/arion/replica/read"
)

// slot is one replica that the node holds or should hold. Fields are guarded by
// Host.mu; busy means that a worker is opening or closing it and owns the move.
type slot struct {
	assignment *arion.ReplicaAssignment
	order      *arion.ReplicaAssignment // the newest, with what is to be done; see split.go
	splitting  bool                     // a split entry was proposed and not answered
	purged     int32                    // hash count of the last compaction for the sake of a split
	wanted     bool                     // assigned to this node by the last desired state
	parked     bool                     // its table is dropped: data kept, replica closed
	busy       bool
	replica    *Replica // nil unless open
	err        error    // of the last attempt to open
	retryAt    time.Time
}

func (h *Host) report(id gpid, s *slot) *arion.ReplicaReport {
	if s.replica != nil {
		return h.describe(id, s.replica)
	}
	r := &arion.ReplicaReport{
		TableID: id.table, PartitionIndex: id.index, ReplicaID: s.assignment.ReplicaID,
		State: arion.ReplicaState_CLOSING,
	}
	switch {
	case errors.Is(s.err, partition.ErrDataLost), errors.Is(s.err, partition.ErrLogLost):
		r.State, r.Error = arion.ReplicaState_LOST, s.err.Error()
	case s.err != nil:
		r.State, r.Error = arion.ReplicaState_FAILED, s.err.Error()
	case s.wanted && !s.parked:
		r.State = arion.ReplicaState_OPENING
	}
	return r
}

// acceptAssignmentsLocked marks what is wanted. A slot whose replica id changed
// stays unwanted until the old replica is gone; the next round makes it anew.
func (h *Host) acceptAssignmentsLocked(assignments []*arion.ReplicaAssignment) {
	for _, s := range h.slots {
		s.wanted = false
	}
	h.heirs = map[gpid]int64{}
	for _, a := range assignments {
		id := gpid{a.TableID, a.PartitionIndex}
		if a.HeirOf != 0 {
			h.heirs[id] = a.HeirOf
		}
		s := h.slots[id]
		if s == nil {
			s = &slot{assignment: a, order: a}
			h.slots[id] = s
		}
		if s.assignment.ReplicaID != a.ReplicaID {
			// Not applied as a whole yet: ask for the full state again.
			h.version = 0
			continue
		}
		s.wanted, s.order = true, a
	}
	for id, s := range h.slots {
		t := h.tables[id.table]
		s.parked = t == nil || t.Dropped
	}
	h.buryOrphansLocked()
}

// converge starts the work that brings each slot to what is wanted of it.
func (h *Host) converge() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.synced {
		return // without a meta server's word nothing is opened or closed
	}
	now := time.Now()
	for id, s := range h.slots {
		switch {
		case s.busy:
		case s.wanted && !s.parked && s.replica == nil && now.After(s.retryAt):
			h.startLocked(id, s, h.open)
		case s.wanted && s.parked && s.replica != nil:
			h.startLocked(id, s, h.close)
		case !s.wanted:
			h.startLocked(id, s, h.discard)
		}
	}
}

func (h *Host) startLocked(id gpid, s *slot, work func(gpid, *slot)) {
	s.busy = true
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		select {
		case h.openQueue <- struct{}{}:
			work(id, s)
			<-h.openQueue
		case <-h.ctx.Done():
		}
		h.mu.Lock()
		s.busy = false
		h.mu.Unlock()
	}()
}

func (h *Host) dirOf(a *arion.ReplicaAssignment) string {
	return filepath.Join(h.o.Dir, "partitions",
		fmt.Sprintf("%d.%d.%d", a.TableID, a.PartitionIndex, a.ReplicaID))
}

// open starts the replica and begins to serve it.
func (h *Host) open(id gpid, s *slot) {
	h.settleEstate(s.assignment)
	p, err := h.o.Open(s.assignment, h.dirOf(s.assignment), h.Poke)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		s.err, s.retryAt = err, time.Now().Add(reopenDelay)
		h.log.WithError(err).WithField("partition", id.String()).Error("replica does not open")
		return
	}
	s.err = nil
	s.replica = h.newReplica(id, p, h.dirOf(s.assignment))
	if t := h.tables[id.table]; t != nil {
		s.replica.use(t)
	}
	h.publishLocked()
	h.Poke() // the meta leader waits for this report
}

func (h *Host) newReplica(id gpid, p *partition.Partition, dir string) *Replica {
	return &Replica{
		Partition: p, Load: &load.Load{}, Throttle: h.o.Throttles.Table(id.table), dir: dir,
		Reads: &read.Reader{
			TableID: id.table, PartitionIndex: id.index,
			Server: h.o.Endpoint.RPCAddress, Contexts: h.o.Scans.Partition(),
		},
	}
}

// publishLocked rebuilds the map that requests read.
func (h *Host) publishLocked() {
	serving := make(map[gpid]*Replica, len(h.slots))
	for id, s := range h.slots {
		if s.replica != nil && s.wanted && !s.parked {
			serving[id] = s.replica
		}
	}
	h.serving.Store(&serving)
}

// close stops a replica and keeps its data.
func (h *Host) close(id gpid, s *slot) {
	if err := h.detach(s); err != nil {
		h.log.WithError(err).WithField("partition", id.String()).Warn("replica closed with an error")
	}
}

// detach takes the replica out of service, then closes it.
func (h *Host) detach(s *slot) error {
	h.mu.Lock()
	r := s.replica
	s.replica = nil
	h.publishLocked()
	h.mu.Unlock()
	if r == nil {
		return nil
	}
	r.Reads.Contexts.Clear()
	return r.Close()
}

// discard closes a replica that is assigned to this node no more and moves its
// data aside. It is not deleted at once: an operator who made a mistake, or a
// meta server that lost its catalog, must not cost the data.
func (h *Host) discard(id gpid, s *slot) {
	err := h.detach(s)
	if err == nil {
		err = h.buryUnlessInherited(s.assignment)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		s.err, s.retryAt = err, time.Now().Add(reopenDelay)
		h.log.WithError(err).WithField("partition", id.String()).Error("replica is not wanted here and cannot be moved aside")
		return
	}
	delete(h.slots, id)
	h.log.WithField("partition", id.String()).Info("replica moved to trash, it is assigned to other nodes now")
	h.Poke()
}

// trashKeep is how long data moved aside stays on disk.
const trashKeep = 24 * time.Hour

func (h *Host) toTrash(a *arion.ReplicaAssignment) error {
	trash := filepath.Join(h.o.Dir, "trash")
	if err := os.MkdirAll(trash, 0o755); err != nil {
		return err
	}
	from := h.dirOf(a)
	to := filepath.Join(trash, filepath.Base(from)+"."+strconv.FormatInt(time.Now().Unix(), 10))
	err := os.Rename(from, to)
	if errors.Is(err, os.ErrNotExist) {
		return nil // it never got as far as a directory
	}
	return err
}

// SweepTrash deletes what has been in the trash of dir for longer than trashKeep.
func SweepTrash(dir string, now time.Time) error {
	trash := filepath.Join(dir, "trash")
	entries, err := os.ReadDir(trash)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		at := e.Name()[strings.LastIndexByte(e.Name(), '.')+1:]
		unix, err := strconv.ParseInt(at, 10, 64)
		if err != nil || now.Sub(time.Unix(unix, 0)) < trashKeep {
			continue // not ours, or too young
		}
		errs = append(errs, os.RemoveAll(filepath.Join(trash, e.Name())))
	}
	return errors.Join(errs...)
}

// closeAll closes every open replica, several at a time.
func (h *Host) closeAll() error {
	h.mu.Lock()
	var open []*slot
	for _, s := range h.slots {
		if s.replica != nil {
			open = append(open, s)
		}
	}
	h.mu.Unlock()
	errs := make([]error, len(open))
	var wg sync.WaitGroup
	limit := make(chan struct{}, maxOpening)
	for i, s := range open {
		wg.Add(1)
		go func() {
			defer wg.Done()
			limit <- struct{}{}
			errs[i] = h.detach(s)
			<-limit
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}
