package service

import (
	"context"
	"time"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
)

// heedTimeout bounds how long a change of a table waits for the nodes to take note. They are called at once and sync every
// second anyway; one that is stuck must not hold up the operator.
const heedTimeout = 2 * time.Second

// awaitNodes waits, for a while, until the live nodes of a table know of a change that was just committed, so that its
// effect is there when the client has its answer. It is a courtesy: the change stands either way.
func (s *Service) awaitNodes(ctx context.Context, r catalog.Result) {
	if r.Code != code.OK || r.TableID == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, heedTimeout)
	defer cancel()
	for {
		changed := s.o.Tracker.Changed()
		t := s.o.Group.State().Table(r.TableID)
		if t == nil || s.allHeed(t) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func (s *Service) allHeed(t *catalog.Table) bool {
	for i := range t.Partitions {
		for _, r := range t.Partitions[i].Replicas {
			if s.o.Tracker.KnownVersion(r.NodeID) < t.Version && s.o.Tracker.Alive(r.NodeID) {
				return false
			}
		}
	}
	return true
}
