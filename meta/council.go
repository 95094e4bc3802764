package meta

import (
	"context"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	metaraft "github.com/arionkv/arion/meta/raft"
)

const (
	councilInterval = time.Second
	councilTimeout  = 4 * time.Second
	// closeEnough is how many catalog entries a new meta server may lack when it gets its vote.
	closeEnough = 10
	// lonelyAfter is how often a server without a leader asks whether it is still one of them.
	lonelyAfter = 5 * time.Second
)

// council keeps the address book of the metas, and while this server leads, brings meta servers in and out: one at a time,
// each step found again from the catalog and raft's own membership.
//
//	in:  AddMeta → raft: non-voting → the server starts and catches up → raft: voting → SetMeta voting
//	out: SetMeta leaving → leadership goes elsewhere → raft: removed → SetMeta removed
func (s *Server) council(ctx context.Context) {
	known := map[uint64]string{}
	asked := time.Now()
	for ctx.Err() == nil {
		changed := s.group.Changed()
		state := s.group.State()
		if id, _ := s.group.Leader(); id == 0 && !s.group.Removed() && time.Since(asked) > lonelyAfter {
			s.askWhetherRemoved(ctx, state)
			asked = time.Now()
		}
		s.learnMetas(state, known)
		if s.group.IsLeader() && state.MetaChanging() {
			s.session(ctx, state)
		}
		timer := time.NewTimer(councilInterval)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-waitIf(!state.MetaChanging(), changed):
		}
		timer.Stop()
	}
}

// waitIf gives the channel only if it is to be waited for: a change that is under way is looked at in the rhythm of the timer.
func waitIf(wait bool, c <-chan struct{}) <-chan struct{} {
	if wait {
		return c
	}
	return nil
}

// askWhetherRemoved finds out whether nobody leads this server because the others go on without it.
func (s *Server) askWhetherRemoved(ctx context.Context, state *catalog.State) {
	addrs := slices.Clone(s.cfg.Meta.Servers)
	for _, m := range state.LiveMetas() {
		if m.Address != "" && !slices.Contains(addrs, m.Address) {
			addrs = append(addrs, m.Address)
		}
	}
	if by := s.removedSays(ctx, s.replicaID, addrs); by != "" {
		s.group.NoteRemoved()
		s.log.WithError(s.removedError(s.replicaID, by)).Error("meta server is not a member any more")
	}
}

// learnMetas enters the addresses of meta servers that the settings may not know.
func (s *Server) learnMetas(state *catalog.State, known map[uint64]string) {
	for id, m := range state.LiveMetas() {
		if m.Address == "" || known[id] == m.Address {
			continue
		}
		addr, err := raftAddressOf(m.Address)
		if err == nil {
			err = s.group.Know(id, addr)
		}
		if err != nil {
			s.log.WithError(err).WithField("meta", m.Address).Warn("address of a meta server cannot be used")
			continue
		}
		known[id] = m.Address
	}
}

// session takes the next step of the one change that is under way.
func (s *Server) session(ctx context.Context, state *catalog.State) {
	ctx, cancel := context.WithTimeout(ctx, councilTimeout)
	defer cancel()
	members, err := s.group.Membership(ctx)
	if err != nil {
		s.log.WithError(err).Debug("membership of the metas is not known now")
		return // no quorum or no leader any more
	}
	for id, m := range state.LiveMetas() {
		log := s.log.WithFields(logrus.Fields{"meta": m.Address, "replica": id})
		switch m.State {
		case catalog.MetaJoining:
			err = s.bringIn(ctx, id, m, members, state)
		case catalog.MetaLeaving:
			err = s.takeOut(ctx, id, members, state)
		default:
			continue
		}
		if err != nil {
			log.WithError(err).WithField("state", m.State.String()).Info("change of the metas waits")
		}
	}
}

func (s *Server) bringIn(ctx context.Context, id uint64, m catalog.Meta, members metaraft.Membership, state *catalog.State) error {
	addr, err := raftAddressOf(m.Address)
	if err != nil {
		return err
	}
	switch {
	case members.Voting[id]:
		return s.record(ctx, id, catalog.MetaVoting)
	case !members.NonVoting[id]:
		return s.group.AddNonVoting(ctx, id, addr, members.Index)
	}
	index, err := s.indexOf(ctx, m.Address, id)
	if err != nil {
		return err
	}
	if index+closeEnough < state.Index {
		return code.Errorf(code.TryAgain, "it has %d of %d entries", index, state.Index)
	}
	return s.group.Promote(ctx, id, addr, members.Index)
}

func (s *Server) record(ctx context.Context, id uint64, to catalog.MetaState) error {
	r, err := s.group.Propose(ctx, &catalog.SetMeta{ReplicaID: id, State: to})
	if err == nil && r.Code != code.OK {
		err = code.Errorf(r.Code, "%s", r.Hint)
	}
	if err == nil {
		s.log.WithFields(logrus.Fields{"replica": id, "state": to.String()}).Info("metas changed")
	}
	return err
}

// indexOf asks a meta server how far its catalog is.
func (s *Server) indexOf(ctx context.Context, addr string, id uint64) (uint64, error) {
	r := arion.NewStatusResponse()
	if err := s.pool.Call(ctx, addr, "RPC_ARION_STATUS", arion.NewStatusRequest(), r); err != nil {
		return 0, err
	}
	for _, report := range r.Replicas {
		if report.TableID == 0 && report.ReplicaID == int64(id) {
			return uint64(report.AppliedIndex), nil
		}
	}
	return 0, code.Errorf(code.InvalidState, "%s is not replica %d of the metas", addr, id)
}

func (s *Server) takeOut(ctx context.Context, id uint64, members metaraft.Membership, state *catalog.State) error {
	if !members.Voting[id] && !members.NonVoting[id] {
		return s.record(ctx, id, catalog.MetaRemoved)
	}
	working := 0
	others := 0
	var next uint64
	for other := range members.Voting {
		if other == id {
			continue
		}
		others++
		if _, err := s.indexOf(ctx, s.metaAddress(other), other); err == nil {
			working++
			next = other
		}
	}
	if members.Voting[id] && 2*working <= others {
		return code.Errorf(code.NotEnoughMember, "%d of the other %d meta servers answer: too few to go on without it", working, others)
	}
	if leader, _ := s.group.Leader(); leader == id {
		s.log.WithField("to", next).Info("leadership of the metas is handed over")
		return s.group.Transfer(next)
	}
	return s.group.Remove(ctx, id, members.Index)
}

// metaAddress is the rpc address of a meta server, "" if it is not known.
func (s *Server) metaAddress(id uint64) string {
	if m := s.group.State().Meta(id); m.Address != "" {
		return m.Address
	}
	if id < 1 || id > uint64(len(s.cfg.Meta.Servers)) {
		return ""
	}
	return s.cfg.Meta.Servers[id-1]
}

// successor is the meta server that should lead when this one stops: one that gossip sees, 0 if there is none.
func (s *Server) successor() uint64 {
	if s.gossip == nil {
		return 0
	}
	for id, m := range s.metasHeard() {
		if m.NodeID != s.self.NodeID && s.group.State().Meta(id).State == catalog.MetaVoting {
			return id
		}
	}
	return 0
}
