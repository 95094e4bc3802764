package replica

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/arionkv/arion/config"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/internal/obs"
	"github.com/arionkv/arion/internal/remotecmd"
	"github.com/arionkv/arion/internal/version"
	"github.com/arionkv/arion/replica/console"
	"github.com/arionkv/arion/replica/host"
	"github.com/arionkv/arion/replica/partition"
)

// overheadShare of the entries between truncations stay for slow followers.
const overheadShare = 5

// openTimeout bounds the wait for a former replica of the partition to end.
const openTimeout = 30 * time.Second

// opener gives the host what it needs to open replicas.
func (s *Server) opener(deps Deps, endpoint *arion.NodeEndpoint) (host.OpenFunc, error) {
	metrics, err := partition.NewMetrics(deps.Registry)
	if err != nil {
		return nil, err
	}
	limiter := partition.NewLimiter(int64(s.cfg.Raft.SnapshotRate))
	return func(a *arion.ReplicaAssignment, dir string, changed func()) (*partition.Partition, error) {
		ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
		defer cancel()
		return partition.Open(ctx, partition.Options{
			Assignment: a, Dir: dir, ParentDir: parentDir(a, dir), Raft: s.raft, Opener: deps.Opener,
			Server: endpoint.RPCAddress, Metrics: metrics, Limiter: limiter,
			Log:                deps.Log.WithField("component", "partition"),
			Changed:            func(*partition.Partition) { changed() },
			ReadIndexOnly:      s.cfg.Replica.ReadConsistency == config.ReadIndex,
			SnapshotEntries:    uint64(s.cfg.Raft.SnapshotEntries),
			CompactionOverhead: uint64(s.cfg.Raft.SnapshotEntries) / overheadShare,
			QueueOps:           s.cfg.Replica.ProposalQueue,
		})
	}, nil
}

// openConsole makes what operators ask for figures and settings.
func (s *Server) openConsole(deps Deps) {
	memory, _ := deps.Opener.(console.Memory)
	s.console = console.New(console.Options{
		Host: s.host, Config: s.cfg, Log: deps.Log.WithField("component", "console"), Gatherer: deps.Registry, Memory: memory,
	})
}

// parentDir is where a replica of a partition made by a split finds its base.
func parentDir(a *arion.ReplicaAssignment, dir string) string {
	if a.Base == nil {
		return ""
	}
	return host.ParentDir(dir, a.TableID, a.PartitionIndex-a.Base.Count/2, a.Base.ParentReplicaID)
}

// http is the HTTP side of the node: the common paths and those of the role.
func (s *Server) http(deps Deps) http.Handler {
	h := obs.NewHTTP(obs.HTTPOptions{
		Registry: deps.Registry, Ready: s.Ready, Notes: s.host.Failed, Version: version.Release, GitCommit: version.Commit(),
	})
	h.Route("/replica/data_version", "data version of a table's partitions here: ?app_id=N", http.HandlerFunc(s.dataVersion))
	return s.console.HTTP(h)
}

// dataVersion answers what the admin tools compare between clusters before they
// copy data: the format version of stored values, per partition.
func (s *Server) dataVersion(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.URL.Query().Get("app_id"), 10, 32)
	if err != nil {
		http.Error(w, "app_id must be a table id", http.StatusBadRequest)
		return
	}
	versions := map[string]map[string]string{}
	s.host.Each(func(table, index int32, _ *host.Replica) {
		if table == int32(id) {
			versions[strconv.Itoa(int(index))] = map[string]string{"data_version": "1"}
		}
	})
	if len(versions) == 0 {
		http.Error(w, fmt.Sprintf("app_id=%d has no partition on this node", id), http.StatusNotFound)
		return
	}
	obs.WriteJSON(w, http.StatusOK, versions)
}

// commands are the remote commands of the replica role.
func (s *Server) commands() *remotecmd.Registry {
	r := remotecmd.New()
	s.console.Register(r)
	r.Add(remotecmd.Command{Name: "server-info", Help: "version, commit and start time", Run: func([]string) (string, error) {
		return version.Info("replica"), nil
	}})
	r.Add(remotecmd.Command{Name: "server-stat", Help: "replicas held and led", Run: s.stat})
	r.Add(remotecmd.Command{
		Name: "replica.checksum", Args: "[table.partition]", Run: s.checksum,
		Help: "digest of the live records of one replica, or of all: equal on all replicas of a partition at the same applied index",
	})
	r.Add(remotecmd.Command{Name: "config-dump", Help: "the settings in force", Run: func([]string) (string, error) {
		text, err := json.MarshalIndent(s.cfg.Effective(), "", "  ")
		return string(text), err
	}})
	return r
}

func (s *Server) stat([]string) (string, error) {
	held, led := 0, 0
	s.host.Each(func(_, _ int32, r *host.Replica) {
		held++
		if r.Leading() {
			led++
		}
	})
	capacity, available := s.host.Disk().Space()
	return fmt.Sprintf("replicas: %d, leaders: %d, disk: %d of %d MB free", held, led, available>>20, capacity>>20), nil
}

// removeLog frees the raft log of a replica that was assigned to other nodes.
func (s *Server) removeLog(a *arion.ReplicaAssignment) error {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	return partition.RemoveLog(ctx, s.raft, a)
}
