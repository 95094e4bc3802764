package service

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/arionkv/arion/meta/catalog"
)

// addMetaCommands enters the commands that change the metas' own group. They only decide; the leader carries it out, see
// meta/council.go.
func (s *Service) addMetaCommands() {
	for _, c := range []leaderCommand{
		{"meta.list", "", "meta servers, and which one leads", s.metaList},
		{"meta.add", "ADDR", "make a place for a new meta server; start it with meta.join then", s.metaAdd},
		{"meta.remove", "ADDR|REPLICA-ID", "take a meta server out of the group, alive or dead", s.metaRemove},
	} {
		s.addLeaderCommand(c)
	}
}

// metaServers are the addresses of the metas in the order of their places.
func (s *Service) metaServers() []string {
	metas := s.o.Group.State().LiveMetas()
	for _, id := range s.o.Group.Members() {
		if _, recorded := metas[id]; !recorded && s.o.Group.State().Meta(id).State != catalog.MetaRemoved {
			metas[id] = catalog.Meta{}
		}
	}
	var out []string
	for _, id := range slices.Sorted(maps.Keys(metas)) {
		if addr := s.o.Address(id); addr != "" {
			out = append(out, addr)
		}
	}
	return out
}

func (s *Service) metaList(_ context.Context, state *catalog.State, _ []string) (string, error) {
	leader, _ := s.o.Group.Leader()
	rows := [][]string{{"address", "replica", "node", "state", "role"}}
	for _, id := range slices.Sorted(maps.Keys(state.Metas())) {
		m := state.Meta(id)
		role := "follower"
		switch {
		case m.State == catalog.MetaRemoved || m.State == catalog.MetaJoining:
			role = "-"
		case id == leader:
			role = "leader"
		}
		rows = append(rows, []string{s.o.Address(id), fmt.Sprint(id), fmt.Sprintf("%016x", m.NodeID), m.State.String(), role})
	}
	return lines(rows), nil
}

func (s *Service) metaAdd(ctx context.Context, state *catalog.State, args []string) (string, error) {
	if len(args) != 1 {
		return "", errArguments
	}
	host, port, err := net.SplitHostPort(args[0])
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || host == "" || n == 0 {
		return "", fmt.Errorf("%q is not host:port", args[0])
	}
	for id, m := range state.LiveMetas() {
		if m.State == catalog.MetaJoining && m.Address == args[0] {
			return fmt.Sprintf("the place of %s is replica %d; start it with meta.join = true", args[0], id), nil // asked again
		}
	}
	r, err := s.commit(ctx, &catalog.AddMeta{Address: args[0]})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("the place of %s is replica %d; start it with meta.join = true", args[0], r.Value), nil
}

func (s *Service) metaRemove(ctx context.Context, state *catalog.State, args []string) (string, error) {
	if len(args) != 1 {
		return "", errArguments
	}
	for _, id := range slices.Sorted(maps.Keys(state.LiveMetas())) {
		if s.o.Address(id) != args[0] && fmt.Sprint(id) != args[0] {
			continue
		}
		if state.Meta(id).State == catalog.MetaLeaving {
			return args[0] + " is leaving already", nil
		}
		if _, err := s.commit(ctx, &catalog.SetMeta{ReplicaID: id, State: catalog.MetaLeaving}); err != nil {
			return "", err
		}
		return fmt.Sprintf("%s (replica %d) is leaving; stop it when meta.list shows it removed", s.o.Address(id), id), nil
	}
	return "", fmt.Errorf("no meta server has the address or replica id %q; meta.list shows them", args[0])
}
