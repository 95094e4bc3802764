package host

import (
	"fmt"
	"path/filepath"

	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
)

// What a node does about splits, see docs/design/0002: its leaders propose the
// entries that the assignments ask for, and its replicas give the space of foreign
// records back once the assignments allow it.

// split looks at every open replica, each round.
func (h *Host) split() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, s := range h.slots {
		if s.replica == nil || !s.wanted || s.parked {
			continue
		}
		h.proposeSplitLocked(id, s)
		h.purgeLocked(id, s)
	}
}

// proposeSplitLocked puts the split entry into the log, as often as it takes. That
// it is there twice does no harm.
func (h *Host) proposeSplitLocked(id gpid, s *slot) {
	want := command.Split{From: s.order.SplitCount / 2, To: s.order.SplitCount, Attempt: s.order.SplitAttempt}
	if want.To == 0 || s.splitting || !s.replica.Leading() || !s.replica.Wants(want) {
		return
	}
	s.splitting = true
	log := h.log.WithField("partition", id.String()).WithField("count", want.To).WithField("attempt", want.Attempt)
	log.Info("leader proposes to split its partition")
	s.replica.Split(want, func(err error) {
		// On a goroutine of the partition, which must not wait for the host.
		go func() {
			h.mu.Lock()
			s.splitting = false
			h.mu.Unlock()
			if err != nil {
				log.WithError(err).Warn("split entry not confirmed, it is proposed again if need be")
			}
			h.Poke()
		}()
	})
}

// purgeLocked lets compactions drop foreign records, removes bases that nobody is
// going to take, and starts the one compaction that gives their space back.
func (h *Host) purgeLocked(id gpid, s *slot) {
	owned := s.replica.HashCount()
	allowed := s.order.PurgeCount
	if owned == 0 || allowed == 0 || allowed > owned {
		return
	}
	s.replica.Purge(allowed)
	if allowed < owned || s.purged == owned {
		return
	}
	child := h.slots[gpid{id.table, id.index + owned/2}]
	if child != nil && child.replica == nil && child.wanted && !child.assignment.Join {
		return // it is about to take its base
	}
	s.purged = owned
	r := s.replica
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		h.reclaim(id, r, owned)
	}()
}

// reclaim rewrites a replica without its foreign records, one replica at a time:
// nobody waits for it.
func (h *Host) reclaim(id gpid, r *Replica, count int32) {
	log := h.log.WithField("partition", id.String())
	if err := r.DropBases(count); err != nil {
		log.WithError(err).Warn("base of a finished split stays")
	}
	select {
	case h.reclaiming <- struct{}{}:
		defer func() { <-h.reclaiming }()
	case <-h.ctx.Done():
		return
	}
	if !r.PurgePending(count) {
		return
	}
	err := r.Compact(h.ctx, engine.CompactOptions{})
	if err == nil {
		err = r.Purged(count)
	}
	if err != nil && h.ctx.Err() == nil {
		log.WithError(err).Warn("space of records that moved in a split comes back later")
	}
}

// ParentDir is where the base of a replica that begins with one lies, given the
// replica's own directory.
func ParentDir(dir string, tableID, parent int32, replicaID int64) string {
	return filepath.Join(filepath.Dir(dir), fmt.Sprintf("%d.%d.%d", tableID, parent, replicaID))
}
