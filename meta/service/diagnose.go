package service

import (
	"context"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/reconcile"
)

// diagnose lists the partitions without a leader, and why: which voters are missing. Raft finds a leader by itself as soon
// as a majority is back, so nothing is asked of the operator before that is known to be impossible.
func (s *Service) diagnose(ctx context.Context, q *admin.DddDiagnoseRequest) (*admin.DddDiagnoseResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	r := diagnoseReply(code.OK, "")
	if s.o.Tracker.Young() {
		return r, nil // the nodes have not had time to report to this leader
	}
	for _, t := range reconcile.Troubles(state, s.o.Tracker, s.o.Knobs.With(state), s.o.Now().Unix()) {
		if t.NoLeader && asked(q.Pid, t.TableID, t.Partition) {
			r.Partitions = append(r.Partitions, s.diagnosis(state, t))
		}
	}
	return r, nil
}

func diagnoseReply(c code.Code, _ string) *admin.DddDiagnoseResponse {
	return &admin.DddDiagnoseResponse{Err: base.ErrorCodeOf(c), Partitions: []*admin.DddPartitionInfo{}}
}

// asked: (-1, any) is everything, (id, -1) one table, (id, index) one partition.
func asked(pid *base.Gpid, table, index int32) bool {
	return pid == nil || pid.AppID == -1 || (pid.AppID == table && (pid.PartitionIndex == -1 || pid.PartitionIndex == index))
}

func (s *Service) diagnosis(state *catalog.State, t reconcile.Trouble) *admin.DddPartitionInfo {
	table := state.Table(t.TableID)
	info := &admin.DddPartitionInfo{Config: s.partitionConfig(state, table, t.Partition), Dropped: []*admin.DddNodeInfo{}, Reason: t.Text}
	for _, r := range table.Partitions[t.Partition].Replicas {
		n := state.Node(r.NodeID)
		if n == nil || s.o.Tracker.Alive(r.NodeID) {
			continue
		}
		d := &admin.DddNodeInfo{Node: s.resolver.address(n.RPCAddress), HpNode: hostPort(n.RPCAddress), DropTimeMs: n.AwaySinceUnixSec * 1000,
			Ballot: -1, LastCommittedDecree: -1, LastPreparedDecree: -1}
		if report := s.o.Tracker.Report(r.NodeID, t.TableID, t.Partition, r.ID); report != nil {
			d.IsCollected, d.Ballot = true, report.Term
			d.LastCommittedDecree, d.LastPreparedDecree = report.AppliedIndex, report.AppliedIndex
		}
		info.Dropped = append(info.Dropped, d)
	}
	return info
}
