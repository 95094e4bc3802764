package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/arionkv/arion/idl/arion"
)

// bury moves the data of a replica that was assigned to other nodes aside, and
// frees its raft log.
func (h *Host) bury(a *arion.ReplicaAssignment) error {
	if err := h.toTrash(a); err != nil {
		return err
	}
	if h.o.RemoveLog == nil {
		return nil
	}
	return h.o.RemoveLog(a)
}

// buryOrphansLocked finds replicas that this node held in an earlier life and
// that were given to other nodes while it was away: nobody asks for them, so no
// slot knows them. Once per life is enough; what goes later goes through a slot.
func (h *Host) buryOrphansLocked() {
	if h.orphansSought {
		return
	}
	h.orphansSought = true
	found, err := h.orphansLocked()
	if err != nil {
		h.log.WithError(err).Warn("replicas of an earlier life are not looked for")
	}
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		for _, a := range found {
			log := h.log.WithField("partition", gpid{a.TableID, a.PartitionIndex}.String()).WithField("replica", a.ReplicaID)
			if err := h.bury(a); err != nil {
				log.WithError(err).Warn("replica of an earlier life cannot be moved aside")
				continue
			}
			log.Info("replica moved to trash, it was assigned to other nodes while this one was away")
		}
	}()
}

// orphansLocked lists the replica directories that belong to no slot.
func (h *Host) orphansLocked() ([]*arion.ReplicaAssignment, error) {
	entries, err := os.ReadDir(filepath.Join(h.o.Dir, "partitions"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var found []*arion.ReplicaAssignment
	for _, e := range entries {
		a, ok := parseDir(e.Name())
		if !ok {
			continue
		}
		s := h.slots[gpid{a.TableID, a.PartitionIndex}]
		if heir := h.heirs[gpid{a.TableID, a.PartitionIndex}]; heir == a.ReplicaID && s != nil && !exists(filepath.Join(h.dirOf(s.assignment), "CURRENT")) {
			continue // still to be inherited, see settleEstate
		}
		if s == nil || s.assignment.ReplicaID != a.ReplicaID {
			found = append(found, a)
		}
	}
	return found, err
}

// parseDir reads the name of a replica's directory, see dirOf.
func parseDir(name string) (*arion.ReplicaAssignment, bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return nil, false
	}
	var n [3]int64
	for i, p := range parts {
		v, err := strconv.ParseInt(p, 10, 64)
		if err != nil || v < 0 || i < 2 && v > 1<<31-1 {
			return nil, false
		}
		n[i] = v
	}
	return &arion.ReplicaAssignment{TableID: int32(n[0]), PartitionIndex: int32(n[1]), ReplicaID: n[2]}, true
}
