package gossip

import (
	"sync"

	"github.com/arionkv/arion/idl/arion"
)

// replicaKey names one replica of one node.
type replicaKey struct {
	table, partition int32
	replica          int64
}

func keyOf(r *arion.ReplicaReport) replicaKey {
	return replicaKey{r.TableID, r.PartitionIndex, r.ReplicaID}
}

// entry is a report and the sequence number of its origin that it belongs to.
type entry struct {
	report *arion.ReplicaReport
	seq    uint64
}

// life is what one life of a node reported. Sequence numbers grow within a boot; a later boot starts over.
type life struct {
	boot    int64
	full    uint64 // sequence number of the newest whole set seen; 0 before the first
	entries map[replicaKey]entry
}

// reports keeps what every node reported last, this one included.
type reports struct {
	self, boot int64

	mu    sync.Mutex
	lives map[int64]*life
}

func (s *reports) init(self, boot int64) {
	s.self, s.boot = self, boot
	s.lives = map[int64]*life{self: {boot: boot, entries: map[replicaKey]entry{}}}
}

// setOwn replaces this node's reports and returns those whose news should travel at once, with their sequence number.
func (s *reports) setOwn(full []*arion.ReplicaReport) ([]*arion.ReplicaReport, uint64) {
	full = full[:min(len(full), maxReports)]
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.lives[s.self]
	own.full++
	next := make(map[replicaKey]entry, len(full))
	var changed []*arion.ReplicaReport
	for _, r := range full {
		old, known := own.entries[keyOf(r)]
		if !known || urgent(old.report, r) {
			changed = append(changed, r)
		}
		next[keyOf(r)] = entry{r, own.full}
	}
	own.entries = next
	return changed, own.full
}

// urgent reports whether others should not wait for the next exchange of whole states.
func urgent(a, b *arion.ReplicaReport) bool {
	return a.State != b.State || a.Term != b.Term || a.LeaderReplicaID != b.LeaderReplicaID
}

// takeDelta stores one report of another node and says whether it was news.
func (s *reports) takeDelta(d delta) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lifeLocked(d.node, d.boot)
	if l == nil {
		return false
	}
	key := keyOf(d.report)
	old, known := l.entries[key]
	if known && old.seq >= d.seq || !known && len(l.entries) >= maxReports {
		return false
	}
	if !known && d.seq <= l.full {
		return false // an old packet about a replica that the whole set no longer has
	}
	l.entries[key] = entry{d.report, d.seq}
	return true
}

// takeFull stores the whole set of another node and says whether it was news. Replicas that it does not mention are gone,
// unless a later delta told of them.
func (s *reports) takeFull(o origin) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lifeLocked(o.node, o.boot)
	if l == nil || o.seq < l.full {
		return false
	}
	next := make(map[replicaKey]entry, len(o.reports))
	for _, r := range o.reports {
		next[keyOf(r)] = entry{r, o.seq}
	}
	for key, e := range l.entries {
		if e.seq > o.seq {
			next[key] = e
		}
	}
	l.entries, l.full = next, o.seq
	return true
}

// lifeLocked finds the current life of a node, starts a newer one, or gives nil for this node itself, a ghost, or one node
// too many.
func (s *reports) lifeLocked(node, boot int64) *life {
	l := s.lives[node]
	switch {
	case node == s.self || node <= 0:
		return nil
	case l == nil && len(s.lives) >= maxOrigins:
		return nil
	case l != nil && l.boot > boot:
		return nil
	case l == nil || l.boot < boot:
		l = &life{boot: boot, entries: map[replicaKey]entry{}}
		s.lives[node] = l
	}
	return l
}

// forget drops what a dead life reported, so that it is not passed on for ever.
func (s *reports) forget(node, boot int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lives[node]; l != nil && node != s.self && l.boot <= boot {
		delete(s.lives, node)
	}
}

// state returns everything known, this node first. Of other nodes it passes on only what was whole once: a set pieced
// together from deltas would make the receiver believe that the missing replicas are gone.
func (s *reports) state() []origin {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []origin{s.lives[s.self].origin(s.self)}
	total := len(out[0].reports)
	for node, l := range s.lives {
		if node == s.self || l.full == 0 {
			continue
		}
		if total += len(l.entries); total <= maxStateReports {
			out = append(out, l.origin(node))
		}
	}
	return out
}

func (l *life) origin(node int64) origin {
	o := origin{node: node, boot: l.boot, seq: l.full}
	for _, e := range l.entries {
		o.reports = append(o.reports, e.report)
	}
	return o
}
