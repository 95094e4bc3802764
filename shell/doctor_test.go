package shell_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/test/fakekv"
)

// Everything the doctor looks for is found where it is, and not elsewhere, with
// evidence and with a command that exists.
func TestDoctorFinds(t *testing.T) {
	const slow = "arion_raft_log_sync_seconds_bucket{le=\"0.05\"} 90\narion_raft_log_sync_seconds_bucket{le=\"0.25\"} 100\n" +
		"arion_raft_log_sync_seconds_bucket{le=\"+Inf\"} 100\narion_raft_log_sync_seconds_count 100\n"
	hot := func(kind string) string {
		return quietMetrics + "arion_replica_partition_requests_total{kind=\"" + kind + "\",partition=\"3\",table=\"temp\"} %d\n"
	}
	at := func(node int, text string) func(*stage, *world) {
		return func(st *stage, w *world) { w.metrics[st.cluster.Node(node).Addr()] = text }
	}
	for _, tc := range []struct {
		name  string
		spoil func(*stage, *world)
		shows []string // severity and finding, evidence, next
		exit  int
	}{
		{"nothing", func(*stage, *world) {}, []string{"nothing found"}, 0},
		{"clock skew", func(_ *stage, w *world) { w.skew = 20 * time.Second }, []string{"warning: node <1>: its clock is off", "between 1", "time synchronisation"}, 0},
		{"clock of a meta server", func(_ *stage, w *world) { w.skew = -time.Minute }, []string{"warning: meta <m>: its clock is off", "between -"}, 0},
		{"sync latency", at(1, quietMetrics[:strings.Index(quietMetrics, "arion_raft")]+slow), []string{"warning: node <2>: its disk syncs slowly", "99 of 100 syncs took up to 250ms", "arion bench --sync-dir"}, 0},
		{"sync latency not measured", at(1, "process_open_fds 1\n"), []string{"note: cluster: the latency of disk syncs is not measured", "arion_raft_log_sync_seconds: <2>", "server_info"}, 0},
		{"disk room", func(_ *stage, w *world) { w.free = 30000 }, []string{"warning: node <1>: the disk is filling up", "11 %", "node disk"}, 0},
		{"no disk room", func(_ *stage, w *world) { w.free = 10000 }, []string{"critical: node <1>: the disk is filling up", "3 %"}, command.ExitFailed},
		{"file limit", at(2, "process_open_fds 900\nprocess_max_fds 1024\n"), []string{"warning: node <3>: it is running out of file descriptors", "900 of 1024 open", "note: node <3>: the limit of open files is low"}, 0},
		{"missing replicas", func(st *stage, _ *world) { st.run(t, "table replicas temp 5") }, []string{"warning: table temp: partitions miss replicas", "8 of 8: 0, 1, 2, 3, 4, 5, 6, 7", "cluster status"}, 0},
		{"leaderless partition", func(st *stage, _ *world) { st.cluster.SetLeader("temp", 5, -1) }, []string{"critical: table temp: partitions have no leader", "1 of 8: 5", "ddd_diagnose"}, command.ExitFailed},
		{"hot for reads", at(0, hot("read")), []string{"warning: partition 1.3: it is hot: it takes far more reads", "reads/s, the others", "hot_keys temp; detect_hotkey -a 1 -p 3 -t read -c start"}, 0},
		{"hot for writes", at(0, hot("write")), []string{"far more writes", "detect_hotkey -a 1 -p 3 -t write -c start"}, 0},
		{"failed replica", func(_ *stage, w *world) {
			w.status = func(r *arion.ReplicaReport) {
				if r.PartitionIndex == 4 && r.ReplicaID == 2 {
					r.State, r.Error = arion.ReplicaState_FAILED, "block 7 is damaged"
				}
			}
		}, []string{"critical: replica 1.4 on <2>: it does not work", "block 7 is damaged", "replica.checksum"}, command.ExitFailed},
		{"follower behind", func(_ *stage, w *world) {
			w.status = func(r *arion.ReplicaReport) {
				if r.PartitionIndex == 6 && r.ReplicaID != r.LeaderReplicaID {
					r.AppliedIndex = 1
				} else {
					r.AppliedIndex = 50000
				}
			}
		}, []string{"warning: partition 1.6: a follower is far behind", "49999 log entries", "table stat temp"}, 0},
		{"level", func(st *stage, _ *world) { st.run(t, "cluster level freezed") }, []string{"the meta level forbids repair", "cluster level steady"}, 0},
		{"forgotten drain", func(st *stage, w *world) {
			w.commands["node.drain-status"] = st.cluster.Node(1).Addr() + "  relieved  leaders=0  replicas=8  copies=0  stuck=0  relieved"
		}, []string{"note: node <2>: it is out of service", "relieved, left: 8 replicas", "node resume <2>"}, 0},
		{"stuck partition", func(_ *stage, w *world) { w.stuck = "no replica is alive" }, []string{"critical: partition 1.3: it has no leader", "no replica is alive", "partition recover 1.3 --dry-run"}, command.ExitFailed},
		{"silent node", func(st *stage, _ *world) {
			st.cluster.Script(fakekv.Match{RPC: "RPC_ARION_STATUS", Node: st.cluster.Node(1)}, 0, fakekv.Action{Error: "ERR_BUSY"})
		}, []string{"warning: node <2>: it does not tell about itself", "remote_command -l <2> server-stat"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			st := newStage(t)
			w := newWorld(st.cluster)
			w.set(func(w *world) { tc.spoil(st, w) })
			require.Equal(t, tc.exit, st.run(t, "doctor --watch_for 20ms"), st.out.String())
			text := strings.ReplaceAll(st.out.String(), st.cluster.Metas()[0], "<m>")
			for i := range 3 {
				text = strings.ReplaceAll(text, st.cluster.Node(i).Addr(), "<"+string(rune('1'+i))+">")
			}
			for _, want := range tc.shows {
				require.Contains(t, text, want)
			}
			nextCommandsExist(t, text)
		})
	}
}

// nextCommandsExist: what comes after "next:" is advice to a person, or commands.
func nextCommandsExist(t *testing.T, text string) {
	for _, line := range strings.Split(text, "\n") {
		next, ok := strings.CutPrefix(strings.TrimSpace(line), "next:")
		if !ok {
			continue
		}
		for _, part := range strings.Split(next, ";") {
			words := strings.Fields(part)
			switch words[0] {
			case "look", "raise", "start", "data", "arion", "bring", "if":
				continue
			}
			require.NotEmpty(t, command.Name(words), "the advice %q is no command", part)
		}
	}
}

// Of three meta servers one may be gone; with two gone the doctor still says so.
func TestDoctorSeesTheMetaQuorum(t *testing.T) {
	cluster := fakekv.Start(t, fakekv.Options{Metas: 3})
	cluster.CreateTable("temp", 8)
	st := newStageOn(t, cluster)
	newWorld(cluster)
	st.session.Timeout = 2 * time.Second
	require.Zero(t, st.run(t, "doctor --watch_for 1ms"), st.out.String())
	require.Contains(t, st.out.String(), "nothing found")
	cluster.Meta(2).Stop()
	require.Zero(t, st.run(t, "doctor --watch_for 1ms"), st.out.String())
	require.Contains(t, st.out.String(), "warning: meta "+cluster.Metas()[2]+": it does not answer")
	require.Contains(t, st.out.String(), "2 of 3 meta servers answer, 2 are needed")
	cluster.Meta(1).Stop()
	require.Equal(t, command.ExitFailed, st.run(t, "doctor --watch_for 1ms"), st.out.String())
	require.Contains(t, st.out.String(), "critical: cluster: the meta servers have no majority")
	require.Contains(t, st.out.String(), "1 of 3 meta servers answer, 2 are needed")
}
