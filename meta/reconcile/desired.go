// Package reconcile drives the cluster towards its catalog while this meta server leads: it finishes creations and recalls,
// purges what was dropped long ago, records leaders, and calls nodes that lag behind.
//
// Plan decides, purely; Loop acts. What a plan asks for is found again from the catalog and the reports after any crash or
// change of the meta leader, so nothing is ever half done for good.
package reconcile

import (
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/meta/catalog"
)

// Desired is what a node should hold, as SYNC answers it: the tables it has a part in, its replicas, and where all nodes
// are.
func Desired(s *catalog.State, nodeID int64) ([]*arion.TableConfig, []*arion.ReplicaAssignment, []*arion.NodeEndpoint) {
	var tables []*arion.TableConfig
	var replicas []*arion.ReplicaAssignment
	for _, t := range s.Tables() {
		mine := assignments(t, nodeID)
		if len(mine) > 0 {
			tables = append(tables, tableConfig(t))
			replicas = append(replicas, mine...)
		}
	}
	return tables, replicas, endpoints(s)
}

func assignments(t *catalog.Table, nodeID int64) []*arion.ReplicaAssignment {
	var out []*arion.ReplicaAssignment
	for i := range t.Partitions {
		p := &t.Partitions[i]
		r, ok := p.On(nodeID)
		if !ok {
			continue
		}
		a := &arion.ReplicaAssignment{
			TableID: t.ID, PartitionIndex: int32(i), ReplicaID: r.ID,
			InitialMembers: members(p.Initial), Join: !p.Initially(r.ID), HeirOf: p.HeirOf,
		}
		orderSplit(a, t, nodeID)
		out = append(out, a)
	}
	return out
}

func members(list []catalog.Replica) []*arion.ReplicaMember {
	out := make([]*arion.ReplicaMember, 0, len(list))
	for _, r := range list {
		out = append(out, &arion.ReplicaMember{ReplicaID: r.ID, NodeID: r.NodeID, Voting: r.Voting})
	}
	return out
}

func tableConfig(t *catalog.Table) *arion.TableConfig {
	return &arion.TableConfig{
		TableID: t.ID, Name: t.Name, PartitionCount: t.PartitionCount, ReplicaCount: t.ReplicaCount,
		InitPartitionCount: t.InitPartitionCount, Envs: t.Envs, Version: int64(t.Version), Dropped: t.Status == catalog.StatusDropped,
	}
}

func endpoints(s *catalog.State) []*arion.NodeEndpoint {
	var out []*arion.NodeEndpoint
	for _, n := range s.Nodes() {
		if n.State != catalog.NodeReplaced {
			out = append(out, &arion.NodeEndpoint{
				NodeID: n.ID, Role: arion.NodeRole_REPLICA, Boot: n.Boot, RPCAddress: n.RPCAddress,
				RaftAddress: n.RaftAddress, GossipAddress: n.GossipAddress, Version: n.Version, Zone: n.Zone,
			})
		}
	}
	return out
}
