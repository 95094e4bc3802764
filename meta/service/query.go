package service

import (
	"context"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// queryConfig answers where the partitions of a table are.
func (s *Service) queryConfig(ctx context.Context, q *admin.QueryCfgRequest) (*admin.QueryCfgResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	t := state.TableNamed(q.AppName)
	if c := routable(t); c != code.OK {
		return s.noConfig(c, ""), nil
	}
	r := &admin.QueryCfgResponse{
		Err: base.ErrorCodeOf(code.OK), AppID: t.ID, PartitionCount: t.PartitionCount, IsStateful: true,
		Partitions: []*admin.PartitionConfiguration{},
	}
	for _, i := range wanted(q.PartitionIndices, t.PartitionCount) {
		r.Partitions = append(r.Partitions, s.partitionConfig(state, t, i))
	}
	return r, nil
}

func routable(t *catalog.Table) code.Code {
	if t == nil {
		return code.ObjectNotFound
	}
	switch t.Status {
	case catalog.StatusAvailable:
		return code.OK
	case catalog.StatusCreating, catalog.StatusRecalling:
		return code.BusyCreating
	case catalog.StatusDropping:
		return code.BusyDropping
	}
	return code.ObjectNotFound
}

// wanted gives the valid ones of the asked indices, each once; all of them when none is valid.
func wanted(asked []int32, count int32) []int32 {
	seen := make(map[int32]bool, min(len(asked), int(count)))
	var out []int32
	for _, i := range asked {
		if i >= 0 && i < count && !seen[i] {
			seen[i] = true
			out = append(out, i)
		}
	}
	if len(out) > 0 {
		return out
	}
	for i := range count {
		out = append(out, i)
	}
	return out
}

// partitionConfig describes one partition: the leader in the newest term heard of, and the other replicas that really
// exist and serve. Nothing is invented: no leader known is address 0.
func (s *Service) partitionConfig(state *catalog.State, t *catalog.Table, index int32) *admin.PartitionConfiguration {
	v := s.o.Tracker.Partition(t, index)
	if t.Unborn(index) {
		return unborn(t, index)
	}
	p := &admin.PartitionConfiguration{
		Pid: &base.Gpid{AppID: t.ID, PartitionIndex: index}, Ballot: max(v.Term, 1), MaxReplicaCount: t.ReplicaCount,
		Primary: &base.RPCAddress{}, Secondaries: []*base.RPCAddress{}, LastDrops: []*base.RPCAddress{},
		HpSecondaries: []*base.HostPort{}, HpLastDrops: []*base.HostPort{},
		LastCommittedDecree: v.Applied,
	}
	if n := state.Node(v.Leader.NodeID); v.Leader.ID != 0 && n != nil {
		p.Primary, p.HpPrimary = s.resolver.address(n.RPCAddress), hostPort(n.RPCAddress)
	}
	s.addFollowers(p, state, v)
	return p
}

// unborn describes the child of a split that does not serve yet: clients take its ballot for "ask the parent".
func unborn(t *catalog.Table, index int32) *admin.PartitionConfiguration {
	return &admin.PartitionConfiguration{
		Pid: &base.Gpid{AppID: t.ID, PartitionIndex: index}, Ballot: -1, MaxReplicaCount: t.ReplicaCount,
		Primary: &base.RPCAddress{}, Secondaries: []*base.RPCAddress{}, LastDrops: []*base.RPCAddress{},
		HpSecondaries: []*base.HostPort{}, HpLastDrops: []*base.HostPort{},
	}
}

func (s *Service) addFollowers(p *admin.PartitionConfiguration, state *catalog.State, v track.View) {
	for _, f := range v.Followers {
		n := state.Node(f.NodeID)
		if n == nil {
			continue
		}
		if a := s.resolver.address(n.RPCAddress); !a.IsZero() {
			p.Secondaries = append(p.Secondaries, a)
			p.HpSecondaries = append(p.HpSecondaries, hostPort(n.RPCAddress))
		}
	}
}

// noConfig is the reply without partitions, but for the leader's address in a referral.
func (s *Service) noConfig(c code.Code, _ string) *admin.QueryCfgResponse {
	r := &admin.QueryCfgResponse{Err: base.ErrorCodeOf(c), Partitions: []*admin.PartitionConfiguration{}}
	if c == code.ForwardToOthers {
		addr, _ := s.leaderAddress()
		p := &admin.PartitionConfiguration{
			Pid: &base.Gpid{}, Primary: s.resolver.address(addr), HpPrimary: hostPort(addr),
			Secondaries: []*base.RPCAddress{}, LastDrops: []*base.RPCAddress{},
		}
		r.Partitions = append(r.Partitions, p)
	}
	return r
}
