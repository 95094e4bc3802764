package wal

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lni/dragonboat/v4/raftio"
)

// ErrDamaged marks every error that says the log is not what was saved.
var ErrDamaged = errors.New("raft log is damaged")

// Advice is what to do about a damaged log. Going on without a part of it would
// break promises to the other nodes: a vote may be given twice, an acknowledged
// write be lost.
const Advice = "Nothing was changed. Other nodes hold the same data: leave this node stopped, move its data directory aside and start it " +
	"with an empty one: it joins as a new node, and the missing replicas are made anew from the others. " +
	"A table with one replica has no others: restore it from a backup. A meta server has to be removed and added again. " +
	"Do not put back an older copy of the directory. See docs/operations.md"

// Loss is what is known to be missing of one replica's log.
type Loss struct {
	Shard, Replica uint64
	From, To       uint64 // indexes of entries
}

// DamageError says where the log is damaged. It is ErrDamaged.
type DamageError struct {
	Dir, File string
	Offset    int64 // in File, -1 = the whole file
	Found     string
	// Lost are entries that cannot be read. Votes and entries behind the last
	// readable record may be missing, too; which, nobody can tell.
	Lost []Loss
	// Replicas are those of which the log holds anything.
	Replicas []raftio.NodeInfo
}

func (e *DamageError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %s/%s", ErrDamaged, e.Dir, e.File)
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " at byte %d", e.Offset)
	}
	fmt.Fprintf(&b, ": %s.", e.Found)
	for i, l := range e.Lost {
		if i == maxListed {
			fmt.Fprintf(&b, " And of %d more.", len(e.Lost)-i)
			break
		}
		fmt.Fprintf(&b, " Lost: entries %d to %d of %s.", l.From, l.To, name(key(l.Shard, l.Replica)))
	}
	if len(e.Lost) == 0 && len(e.Replicas) > 0 {
		b.WriteString(" A part of what was saved is lost, of any of these:")
		for i, id := range e.Replicas {
			if i == maxListed {
				fmt.Fprintf(&b, " and %d more", len(e.Replicas)-i)
				break
			}
			b.WriteString(" " + name(id) + ",")
		}
	}
	return strings.TrimRight(b.String(), ",.") + ". " + Advice
}

// maxListed bounds the replicas named in a message.
const maxListed = 8

// Unwrap makes it an ErrDamaged.
func (e *DamageError) Unwrap() error { return ErrDamaged }

func sortIDs(ids []raftio.NodeInfo) {
	slices.SortFunc(ids, func(a, b raftio.NodeInfo) int {
		if a.ShardID != b.ShardID {
			return compare(a.ShardID, b.ShardID)
		}
		return compare(a.ReplicaID, b.ReplicaID)
	})
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
