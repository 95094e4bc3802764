package service

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/reconcile"
)

// listNodes answers which replica servers there are, the alive ones first.
func (s *Service) listNodes(ctx context.Context, q *admin.ConfigurationListNodesRequest) (*admin.ConfigurationListNodesResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	r := nodesReply(code.OK, "")
	for _, want := range []admin.NodeStatus{admin.NodeStatus_NS_ALIVE, admin.NodeStatus_NS_UNALIVE} {
		if q.Status != admin.NodeStatus_NS_INVALID && q.Status != want {
			continue
		}
		for _, n := range state.Nodes() {
			if n.State != catalog.NodeReplaced && s.o.Tracker.Alive(n.ID) == (want == admin.NodeStatus_NS_ALIVE) {
				r.Infos = append(r.Infos, &admin.NodeInfo{
					Status: want, Node: s.resolver.address(n.RPCAddress), HpNode: hostPort(n.RPCAddress),
				})
			}
		}
	}
	return r, nil
}

func nodesReply(c code.Code, _ string) *admin.ConfigurationListNodesResponse {
	return &admin.ConfigurationListNodesResponse{Err: base.ErrorCodeOf(c), Infos: []*admin.NodeInfo{}}
}

// clusterInfo answers two parallel lists whose keys and order tools rely on.
func (s *Service) clusterInfo(ctx context.Context, _ *admin.ConfigurationClusterInfoRequest) (*admin.ConfigurationClusterInfoResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	r := clusterReply(code.OK, "")
	for _, kv := range s.clusterFacts(state) {
		r.Keys, r.Values = append(r.Keys, kv[0]), append(r.Values, kv[1])
	}
	return r, nil
}

func clusterReply(c code.Code, _ string) *admin.ConfigurationClusterInfoResponse {
	return &admin.ConfigurationClusterInfoResponse{Err: base.ErrorCodeOf(c), Keys: []string{}, Values: []string{}}
}

func (s *Service) clusterFacts(state *catalog.State) [][2]string {
	leader, _ := s.leaderAddress()
	leaders, replicas := s.spread(state)
	moves, _ := json.MarshalIndent(s.balanceCounts(state), "", "    ")
	return [][2]string{
		{"meta_servers", strings.Join(s.metaServers(), ",")},
		{"primary_meta_server", leader},
		{"zookeeper_hosts", ""}, // there is none; the keys stay because tools look for them
		{"zookeeper_root", ""},
		{"meta_function_level", state.Settings.Level.String()},
		{"balance_operation_count", string(moves)},
		{"primary_replica_count_stddev", fmt.Sprintf("%.2f", deviation(leaders))},
		{"total_replica_count_stddev", fmt.Sprintf("%.2f", deviation(replicas))},
		{"cluster_name", state.Settings.ClusterName},
	}
}

// balanceCounts are how many steps level lively would take. Copying a leader's replica is not one of ours: it is moved like
// any other, after its leadership.
type balanceCounts struct {
	MovePri int `json:"move_pri"`
	CopyPri int `json:"copy_pri"`
	CopySec int `json:"copy_sec"`
	Total   int `json:"total"`
}

func (s *Service) balanceCounts(state *catalog.State) balanceCounts {
	replicas, leaders := reconcile.Balance(state, s.o.Tracker)
	return balanceCounts{MovePri: len(leaders), CopySec: len(replicas), Total: len(leaders) + len(replicas)}
}

// spread counts leaders and replicas per live node.
func (s *Service) spread(state *catalog.State) (leaders, replicas []float64) {
	led, held := map[int64]int{}, map[int64]int{}
	for _, t := range state.Tables() {
		if !t.Live() {
			continue
		}
		for i := range t.Partitions {
			led[s.o.Tracker.Partition(t, int32(i)).Leader.NodeID]++
			for _, r := range t.Partitions[i].Replicas {
				held[r.NodeID]++
			}
		}
	}
	for _, n := range state.Nodes() {
		if n.State != catalog.NodeReplaced && s.o.Tracker.Alive(n.ID) {
			leaders, replicas = append(leaders, float64(led[n.ID])), append(replicas, float64(held[n.ID]))
		}
	}
	return leaders, replicas
}

// deviation is the standard deviation of a whole population.
func deviation(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	sum, squares := 0.0, 0.0
	for _, x := range v {
		sum += x
		squares += x * x
	}
	mean := sum / float64(len(v))
	return math.Sqrt(max(squares/float64(len(v))-mean*mean, 0))
}

// controlMeta reads or sets the level.
func (s *Service) controlMeta(ctx context.Context, q *admin.ConfigurationMetaControlRequest) (*admin.ConfigurationMetaControlResponse, error) {
	if q.Level == admin.MetaFunctionLevel_fl_invalid {
		state, err := s.o.Group.Barrier(ctx)
		if err != nil {
			return nil, err
		}
		return levelReply(code.OK, state.Settings.Level), nil
	}
	level := catalog.Level(q.Level)
	if int64(level) != int64(q.Level) {
		level = 0
	}
	r, err := s.o.Group.Propose(ctx, &catalog.SetLevel{Level: level})
	if err != nil {
		return nil, err
	}
	return levelReply(r.Code, catalog.Level(r.Value)), nil
}

func levelReply(c code.Code, old catalog.Level) *admin.ConfigurationMetaControlResponse {
	return &admin.ConfigurationMetaControlResponse{Err: base.ErrorCodeOf(c), OldLevel: admin.MetaFunctionLevel(old)}
}

func levelFailure(c code.Code, _ string) *admin.ConfigurationMetaControlResponse {
	return levelReply(c, catalog.Level(admin.MetaFunctionLevel_fl_invalid))
}
