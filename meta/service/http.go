package service

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// RegisterHTTP adds the /meta/ paths. Values are texts, as in the tables of the Pegasus shell that these paths mirror.
func (s *Service) RegisterHTTP(h *obs.HTTP) {
	h.Route("/meta/app", "one table: name=X, with &detail its partitions", s.page(s.appPage))
	h.Route("/meta/apps", "all tables, with ?detail their health", s.page(s.appsPage))
	h.Route("/meta/nodes", "replica servers, with ?detail what they carry", s.page(s.nodesPage))
	h.Route("/meta/cluster", "facts of the cluster", s.page(s.clusterPage))
	h.Route("/meta/app_envs", "settings of a table: name=X", s.page(s.envsPage))
	h.Route("/meta/app/start_compaction", "POST: compact a table, {app_name, trigger_time, bottommost_level_compaction}", s.post(s.compactionPage))
	h.Route("/meta/app/usage_scenario", "POST: what a table is mostly used for, {app_name, scenario}", s.post(s.scenarioPage))
}

type row map[string]string

// page serves one path: on the leader behind a read barrier, on others as a redirect there.
func (s *Service) page(body func(state *catalog.State, r *http.Request) (any, int, string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
		defer cancel()
		state, err := s.o.Group.Barrier(ctx)
		if err != nil {
			s.redirect(w, r)
			return
		}
		v, status, problem := body(state, r)
		if problem != "" {
			http.Error(w, problem, status)
			return
		}
		obs.WriteJSON(w, status, v)
	})
}

func (s *Service) redirect(w http.ResponseWriter, r *http.Request) {
	leader, self := s.leaderAddress()
	if leader == "" || self {
		http.Error(w, "no meta server leads", http.StatusServiceUnavailable)
		return
	}
	http.Redirect(w, r, "http://"+leader+r.URL.RequestURI(), http.StatusTemporaryRedirect)
}

// namedTable finds the table of the name parameter, or says what is wrong.
func namedTable(state *catalog.State, r *http.Request) (*catalog.Table, int, string) {
	name := r.URL.Query().Get("name")
	if name == "" {
		return nil, http.StatusBadRequest, "parameter name is missing"
	}
	t := state.TableNamed(name)
	if t == nil {
		return nil, http.StatusNotFound, fmt.Sprintf("table %q does not exist", name)
	}
	return t, http.StatusOK, ""
}

func (s *Service) appPage(state *catalog.State, r *http.Request) (any, int, string) {
	t, status, problem := namedTable(state, r)
	if problem != "" {
		return nil, status, problem
	}
	out := map[string]any{"general": row{
		"app_name": t.Name, "app_id": text(t.ID), "partition_count": text(t.PartitionCount), "max_replica_count": text(t.ReplicaCount),
	}}
	if r.URL.Query().Has("detail") {
		out["replicas"], out["nodes"] = s.partitionRows(state, t), s.nodeRows(state, []*catalog.Table{t})
	}
	return out, http.StatusOK, ""
}

func (s *Service) partitionRows(state *catalog.State, t *catalog.Table) map[string]row {
	out := map[string]row{}
	for i := range t.Partitions {
		v := s.o.Tracker.Partition(t, int32(i))
		primary, secondaries := "-", "["
		if n := state.Node(v.Leader.NodeID); n != nil {
			primary = n.RPCAddress
		}
		for j, f := range v.Followers {
			if n := state.Node(f.NodeID); n != nil {
				if j > 0 {
					secondaries += ","
				}
				secondaries += n.RPCAddress
			}
		}
		out[strconv.Itoa(i)] = row{
			"pidx": strconv.Itoa(i), "ballot": ballot(t, int32(i), v), "primary": primary, "secondaries": secondaries + "]",
			"replica_count": fmt.Sprintf("%d/%d", living(v), t.ReplicaCount),
		}
	}
	return out
}

// ballot is what the routing query shows.
func ballot(t *catalog.Table, index int32, v track.View) string {
	if t.Unborn(index) {
		return "-1"
	}
	return text(max(v.Term, 1))
}

// living counts the replicas at work.
func living(v track.View) int {
	n := len(v.Followers)
	if v.LeaderUp {
		n++
	}
	return n
}

func (s *Service) appsPage(state *catalog.State, r *http.Request) (any, int, string) {
	general, health := map[string]row{}, map[string]row{}
	healthy := 0
	for _, t := range state.Tables() {
		id := text(t.ID)
		general[id] = row{
			"app_id": id, "status": statusText(t.Status), "app_name": t.Name, "app_type": tableType,
			"partition_count": text(t.PartitionCount), "replica_count": text(t.ReplicaCount), "is_stateful": "true",
			"create_time": text(t.CreateUnixSec), "drop_time": text(t.DropUnixSec), "drop_expire": text(t.ExpireUnixSec),
			"envs_count": strconv.Itoa(len(t.Envs)),
		}
		if t.Status == catalog.StatusAvailable {
			h := s.health(t)
			health[id] = row{"app_id": id, "app_name": t.Name, "partition_count": text(t.PartitionCount),
				"fully_healthy": strconv.Itoa(h.full), "unhealthy": strconv.Itoa(h.partial + h.dead),
				"write_unhealthy": strconv.Itoa(h.dead), "read_unhealthy": strconv.Itoa(h.dead)}
			if h.partial+h.dead == 0 {
				healthy++
			}
		}
	}
	out := map[string]any{"general_info": general, "summary": row{"total_app_count": strconv.Itoa(len(general))}}
	if r.URL.Query().Has("detail") {
		out["healthy_info"] = health
		out["summary"] = row{"total_app_count": strconv.Itoa(len(general)), "fully_healthy_app_count": strconv.Itoa(healthy),
			"unhealthy_app_count": strconv.Itoa(len(health) - healthy)}
	}
	return out, http.StatusOK, ""
}

// tableHealth counts partitions: with all replicas, with a leader but fewer, without a leader.
type tableHealth struct{ full, partial, dead int }

func (s *Service) health(t *catalog.Table) tableHealth {
	var h tableHealth
	for i := range t.Partitions {
		v := s.o.Tracker.Partition(t, int32(i))
		switch {
		case !v.LeaderUp:
			h.dead++
		case living(v) < int(t.ReplicaCount):
			h.partial++
		default:
			h.full++
		}
	}
	return h
}

func statusText(s catalog.Status) string {
	switch s {
	case catalog.StatusAvailable:
		return "AVAILABLE"
	case catalog.StatusCreating:
		return "CREATING"
	case catalog.StatusDropping:
		return "DROPPING"
	case catalog.StatusDropped:
		return "DROPPED"
	case catalog.StatusRecalling:
		return "RECALLING"
	}
	return "INVALID"
}

func (s *Service) nodesPage(state *catalog.State, r *http.Request) (any, int, string) {
	alive, all := s.countNodes(state)
	rows := s.nodeRows(state, state.Tables())
	if !r.URL.Query().Has("detail") {
		for _, v := range rows {
			delete(v, "replica_count")
			delete(v, "primary_count")
			delete(v, "secondary_count")
		}
	}
	return map[string]any{"details": rows, "summary": row{"total_node_count": strconv.Itoa(all),
		"alive_node_count": strconv.Itoa(alive), "unalive_node_count": strconv.Itoa(all - alive)}}, http.StatusOK, ""
}

// nodeRows counts what each node carries of the tables.
func (s *Service) nodeRows(state *catalog.State, tables []*catalog.Table) map[string]row {
	leads, held := map[int64]int{}, map[int64]int{}
	for _, t := range tables {
		if t.Live() {
			for i := range t.Partitions {
				leads[s.o.Tracker.Partition(t, int32(i)).Leader.NodeID]++
				for _, r := range t.Partitions[i].Replicas {
					held[r.NodeID]++
				}
			}
		}
	}
	out := map[string]row{}
	for _, n := range state.Nodes() {
		if n.State == catalog.NodeReplaced {
			continue
		}
		status := "UNALIVE"
		if s.o.Tracker.Alive(n.ID) {
			status = "ALIVE"
		}
		out[n.RPCAddress] = row{"address": n.RPCAddress, "status": status, "replica_count": strconv.Itoa(held[n.ID]),
			"primary_count": strconv.Itoa(leads[n.ID]), "secondary_count": strconv.Itoa(held[n.ID] - leads[n.ID])}
	}
	return out
}

func (s *Service) clusterPage(state *catalog.State, _ *http.Request) (any, int, string) {
	out := row{}
	for _, kv := range s.clusterFacts(state) {
		out[kv[0]] = kv[1]
	}
	return out, http.StatusOK, ""
}

func (s *Service) envsPage(state *catalog.State, r *http.Request) (any, int, string) {
	t, status, problem := namedTable(state, r)
	if problem != "" {
		return nil, status, problem
	}
	return t.Envs, http.StatusOK, ""
}

func text[T int32 | int64](v T) string { return strconv.FormatInt(int64(v), 10) }
