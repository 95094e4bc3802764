package shell_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/test/fakekv"
)

// world makes the servers of a fake cluster answer what they otherwise do not know:
// administration beyond tables, text commands, /metrics. The answers are those of
// real servers, cut to table temp. A test changes them before it asks.
type world struct {
	cluster *fakekv.Cluster

	mu       sync.Mutex
	commands map[string]string            // what a text command is answered with, by command
	metrics  map[string]string            // /metrics by node address; "" serves those not named
	status   func(r *arion.ReplicaReport) // changes what a node tells of a replica
	looks    map[string]int64             // how often a node was asked about itself; its boot as well, as if restarted each time
	skew     time.Duration                // of every clock
	free     int64                        // MB on every disk
	stuck    string                       // why partition 1.3 has no leader
}

const quietMetrics = `process_open_fds 98
process_max_fds 20000
process_cpu_seconds_total 2
process_resident_memory_bytes 6.7e+07
arion_rpc_requests_total{name="RPC_RRDB_RRDB_GET",code="ERR_OK"} 10
arion_replica_requests_total{operation="get",table="temp"} 10
arion_replica_partition_requests_total{kind="read",partition="0",table="temp"} 10
arion_raft_log_sync_seconds_bucket{le="0.005"} 99
arion_raft_log_sync_seconds_bucket{le="+Inf"} 100
arion_raft_log_sync_seconds_sum 0.1
arion_raft_log_sync_seconds_count 100
`

func newWorld(cluster *fakekv.Cluster) *world {
	w := &world{cluster: cluster, metrics: map[string]string{"": quietMetrics}, looks: map[string]int64{}, free: 60000}
	w.commands = map[string]string{
		"balance.plan":      "1 replicas and 2 leaders would move; the meta level is steady",
		"config-dump":       `{"node.name":"one","replica.block_cache":"128MB"}`,
		"flush-log":         "Flush done.",
		"meta.add":          "the place of 127.0.0.1:9000 is replica 4; start it with meta.join = true",
		"meta.list":         "address replica node state role\n" + strings.Join(cluster.Metas(), "  1  775cb0fd53501e66  voting  leader\n") + "  1  775cb0fd53501e66  voting  leader",
		"meta.remove":       "127.0.0.1:9000 (replica 4) is leaving; stop it when meta.list shows it removed",
		"node.drain":        cluster.Node(2).Addr() + " is draining",
		"node.drain-status": "no node is being drained",
		"node.forget":       "127.0.0.1:9000 is forgotten",
		"node.resume":       cluster.Node(2).Addr() + " is active",
		"partition.recover": "temp.3 is formed anew from " + cluster.Node(0).Addr() + " at index 1842",
		"repair.status":     "every partition has all of its replicas at work",
		"replica.hot-keys":  `[{"partition":"1.0","kind":"write","hash_key":"user1","length":5,"share":0.62,"recent_requests":310}]`,
		"replica.rates":     `[{"partition":"1.0","table":"temp","leader":true,"reads_per_sec":12.5,"writes_per_sec":3,"read_bytes_per_sec":4096,"write_bytes_per_sec":900}]`,
		"server-info":       "Arion replica 0.1.0 (unknown), go1.26.8, started at 2026-11-21 16:35:01",
		"server-stat":       "replicas: 8, leaders: 3, disk: 60000 of 258019 MB free",
		"setting":           "copies  16  replicas copied at once in the whole cluster",
	}
	answers := map[string]func(*fakekv.Node, []byte) frame.Message{
		"RPC_CLI_CLI_CALL": w.command, "RPC_ARION_STATUS": w.nodeStatus, "RPC_QUERY_DISK_INFO": w.disks,
		"RPC_DETECT_HOTKEY": w.hotkey, "DDD_DIAGNOSE": w.diagnose,
	}
	for rpc, f := range answers {
		cluster.Script(fakekv.Match{RPC: rpc}, 0, fakekv.Action{Answer: f})
	}
	progress := int32(40)
	for rpc, reply := range map[string]frame.Message{
		"START_PARTITION_SPLIT": &admin.StartPartitionSplitResponse{Err: ok()},
		"QUERY_PARTITION_SPLIT": &admin.QuerySplitResponse{Err: ok(), NewPartitionCount_: 16,
			Status: map[int32]admin.SplitStatus{0: admin.SplitStatus_SPLITTING, 3: admin.SplitStatus_PAUSED}},
		"CONTROL_PARTITION_SPLIT":     &admin.ControlSplitResponse{Err: ok()},
		"START_MANUAL_COMPACT":        &admin.StartAppManualCompactResponse{Err: ok(), HintMsg: "succeed"},
		"QUERY_MANUAL_COMPACT_STATUS": &admin.QueryAppManualCompactResponse{Err: ok(), Progress: &progress},
		"PROPOSE_BALANCER":            &admin.ConfigurationBalancerResponse{Err: ok()},
		"GET_ATOMIC_IDEMPOTENT":       &admin.ConfigurationGetAtomicIdempotentResponse{Err: ok(), AtomicIdempotent: true},
		"SET_ATOMIC_IDEMPOTENT":       &admin.ConfigurationSetAtomicIdempotentResponse{Err: ok()},
	} {
		cluster.Script(fakekv.Match{RPC: rpc}, 0, fakekv.Action{Reply: reply})
	}
	cluster.ServeHTTP(w.web)
	return w
}

func (w *world) command(_ *fakekv.Node, args []byte) frame.Message {
	q := admin.NewCommand()
	if frame.Decode(args, q) != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if q.Cmd == "node.drain" && len(q.Arguments) == 2 { // leaders
		w.relieve(q.Arguments[0])
	}
	text, known := w.commands[q.Cmd]
	if !known {
		return nil
	}
	return &base.String{V: text}
}

// relieve moves the leaders off a node.
func (w *world) relieve(addr string) {
	for i := range 8 {
		if leader := w.cluster.Leader("temp", i); leader >= 0 && w.cluster.Node(leader).Addr() == addr {
			w.cluster.MoveLeader("temp", i)
		}
	}
}

// nodeStatus tells of the replicas of table temp that a node has.
func (w *world) nodeStatus(n *fakekv.Node, _ []byte) frame.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks[n.Addr()]++
	reply := &arion.StatusResponse{Err: ok(), Node: &arion.NodeEndpoint{Version: "0.1.0", Boot: w.looks[n.Addr()], RPCAddress: n.Addr()}}
	for i := range 8 {
		r := &arion.ReplicaReport{TableID: 1, PartitionIndex: int32(i), ReplicaID: w.number(n), State: arion.ReplicaState_SERVING,
			Term: 3, AppliedIndex: 100, SizeBytes: 1 << 20}
		if leader := w.cluster.Leader("temp", i); leader >= 0 {
			r.LeaderReplicaID = int64(leader) + 1
		}
		if w.status != nil {
			w.status(r)
		}
		reply.Replicas = append(reply.Replicas, r)
	}
	return reply
}

func (w *world) number(n *fakekv.Node) int64 {
	for i := range 3 {
		if w.cluster.Node(i) == n {
			return int64(i) + 1
		}
	}
	return 0
}

func (w *world) disks(*fakekv.Node, []byte) frame.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &admin.QueryDiskInfoResponse{Err: ok(), TotalCapacityMb: 258019, TotalAvailableMb: w.free, DiskInfos: []*admin.DiskInfo{{
		Tag: "data", FullDir: "/var/lib/arion", DiskCapacityMb: 258019, DiskAvailableMb: w.free,
		HoldingPrimaryReplicas:   map[int32][]*base.Gpid{1: {{AppID: 1, PartitionIndex: 0}}},
		HoldingSecondaryReplicas: map[int32][]*base.Gpid{1: {{AppID: 1, PartitionIndex: 1}, {AppID: 1, PartitionIndex: 2}}},
	}}}
}

func (w *world) diagnose(*fakekv.Node, []byte) frame.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	reply := &admin.DddDiagnoseResponse{Err: ok(), Partitions: []*admin.DddPartitionInfo{}}
	if w.stuck != "" {
		reply.Partitions = append(reply.Partitions, &admin.DddPartitionInfo{
			Config: &admin.PartitionConfiguration{Pid: &base.Gpid{AppID: 1, PartitionIndex: 3}, Primary: &base.RPCAddress{}}, Reason: w.stuck})
	}
	return reply
}

func (w *world) hotkey(_ *fakekv.Node, args []byte) frame.Message {
	q := admin.NewDetectHotkeyRequest()
	if frame.Decode(args, q) != nil {
		return nil
	}
	reply := &admin.DetectHotkeyResponse{Err: ok()}
	if q.Action == admin.DetectAction_QUERY {
		key := "user1"
		reply.HotkeyResult_ = &key
	}
	return reply
}

func (w *world) web(n *fakekv.Node, out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out.Header().Set("Date", time.Now().Add(w.skew).UTC().Format(http.TimeFormat))
	if r.URL.Path != "/metrics" {
		return // what matters is the clock of the answer
	}
	text, known := w.metrics[n.Addr()]
	if !known {
		text = w.metrics[""]
	}
	// A %d stands for a counter that grows with every look.
	w.looks["metrics "+n.Addr()]++
	fmt.Fprint(out, strings.ReplaceAll(text, "%d", fmt.Sprint(1000000*w.looks["metrics "+n.Addr()])))
}

// set changes answers while servers may be asked.
func (w *world) set(change func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}
