package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/replica/partition"
)

const (
	// quietFor is how long the applied index must stand still before a replica
	// that is left to an heir is taken to have applied all it can.
	quietFor = time.Second
	// settleTimeout bounds the wait for it.
	settleTimeout = time.Minute
)

// settleEstate prepares what an heir begins with: a group formed anew from a
// replica on this node. That one may have been killed with much of its data in
// the raft log only, so it is opened once more, applies what it knows to be
// committed, and is closed, which writes everything to its engine. Without the
// old replica there is nothing to do; opening the heir says what is missing.
func (h *Host) settleEstate(a *arion.ReplicaAssignment) {
	if a.HeirOf == 0 || a.Join || exists(filepath.Join(h.dirOf(a), "CURRENT")) {
		return
	}
	old := &arion.ReplicaAssignment{TableID: a.TableID, PartitionIndex: a.PartitionIndex, ReplicaID: a.HeirOf, InitialMembers: a.InitialMembers}
	dir := h.dirOf(old)
	if !exists(filepath.Join(dir, "CURRENT")) {
		return
	}
	log := h.log.WithField("partition", gpid{a.TableID, a.PartitionIndex}.String()).WithField("replica", a.HeirOf)
	p, err := h.o.Open(old, dir, func() {})
	if err != nil {
		log.WithError(err).Error("replica left to an heir does not open, the heir begins with what its engine holds")
		return
	}
	h.awaitQuiet(p)
	log.WithField("applied", p.AppliedIndex()).Warn("replica ends, its partition is formed anew from what it holds")
	if err := p.Close(); err != nil {
		log.WithError(err).Error("replica left to an heir closed with an error")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (h *Host) awaitQuiet(p *partition.Partition) {
	deadline := time.Now().Add(settleTimeout)
	last, since := p.AppliedIndex(), time.Now()
	for time.Since(since) < quietFor && time.Now().Before(deadline) && h.ctx.Err() == nil {
		time.Sleep(quietFor / 10) // nothing tells of the end of a replay
		if now := p.AppliedIndex(); now != last {
			last, since = now, time.Now()
		}
	}
}

// buryUnlessInherited leaves a replica where it is that the next assignment of its
// partition begins with.
func (h *Host) buryUnlessInherited(a *arion.ReplicaAssignment) error {
	h.mu.Lock()
	heir := h.heirs[gpid{a.TableID, a.PartitionIndex}]
	h.mu.Unlock()
	if heir == a.ReplicaID {
		return nil
	}
	return h.bury(a)
}
