package shell_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/test/fakekv"
)

func ok() *base.ErrorCode { return &base.ErrorCode{Errno: "ERR_OK"} }

func refused(name string) *base.ErrorCode { return &base.ErrorCode{Errno: name} }

// Jobs of the cluster, with servers that answer what real ones do.
func TestJobs(t *testing.T) {
	hint, progress, key := "wait a little", int32(40), "user1"
	for _, tc := range []struct {
		line, rpc string
		reply     frame.Message
		exit      int
		shows     []string
	}{
		{"split start temp", "START_PARTITION_SPLIT", &admin.StartPartitionSplitResponse{Err: ok()}, 0, []string{`split of "temp" to 16 partitions started`}},
		{"partition-split start -a temp -p 16 -o json", "START_PARTITION_SPLIT", &admin.StartPartitionSplitResponse{Err: ok()}, 0, []string{`"partitions":16`}},
		{"split start temp 12", "START_PARTITION_SPLIT", &admin.StartPartitionSplitResponse{Err: refused("ERR_INVALID_PARAMETERS"), HintMsg: "wrong partition count: 16 is right"}, 1, []string{"16 is right"}},
		{"split status temp", "QUERY_PARTITION_SPLIT", &admin.QuerySplitResponse{Err: ok(), NewPartitionCount_: 16, Status: map[int32]admin.SplitStatus{0: admin.SplitStatus_SPLITTING, 3: admin.SplitStatus_PAUSED}}, 0, []string{"0  splitting", "3  paused", "2 of 4 partitions still to split"}},
		{"split status temp -o json", "QUERY_PARTITION_SPLIT", &admin.QuerySplitResponse{Err: refused("ERR_INVALID_STATE")}, 0, []string{`"splitting":false`}},
		{"split pause temp 3", "CONTROL_PARTITION_SPLIT", &admin.ControlSplitResponse{Err: ok()}, 0, []string{"pause split of"}},
		{"split resume temp", "CONTROL_PARTITION_SPLIT", &admin.ControlSplitResponse{Err: refused("ERR_INVALID_STATE"), HintMsg: &hint}, 1, []string{hint}},
		{"split cancel temp", "CONTROL_PARTITION_SPLIT", &admin.ControlSplitResponse{Err: refused("ERR_CHILD_REGISTERED")}, 1, []string{"ERR_CHILD_REGISTERED"}},
		{"compact start temp", "START_MANUAL_COMPACT", &admin.StartAppManualCompactResponse{Err: ok(), HintMsg: "succeed"}, 0, []string{"started"}},
		{"compact status temp -o json", "QUERY_MANUAL_COMPACT_STATUS", &admin.QueryAppManualCompactResponse{Err: ok(), Progress: &progress}, 0, []string{`"percent":40`}},
		{"compact status temp", "QUERY_MANUAL_COMPACT_STATUS", &admin.QueryAppManualCompactResponse{Err: refused("ERR_INVALID_STATE")}, 0, []string{"no compaction"}},
		{"compact start temp", "START_MANUAL_COMPACT", &admin.StartAppManualCompactResponse{Err: refused("ERR_SERVICE_NOT_ACTIVE")}, 1, []string{"ERR_SERVICE_NOT_ACTIVE", "does not offer it"}},
		{"detect_hotkey -a 1 -p 0 -c start", "RPC_DETECT_HOTKEY", &admin.DetectHotkeyResponse{Err: ok()}, 0, []string{"ask with: detect_hotkey -a 1 -p 0"}},
		{"detect_hotkey -a 1 -p 0 -c query -o json", "RPC_DETECT_HOTKEY", &admin.DetectHotkeyResponse{Err: ok(), HotkeyResult_: &key}, 0, []string{`"hot_key":"user1"`}},
		{"detect_hotkey -a 1 -p 0 -c query", "RPC_DETECT_HOTKEY", &admin.DetectHotkeyResponse{Err: refused("ERR_BUSY"), ErrHint: &hint}, command.ExitBusy, []string{hint}},
		{"partition add 1.0 127.0.0.1:9999", "PROPOSE_BALANCER", &admin.ConfigurationBalancerResponse{Err: ok()}, 0, []string{"ERR_OK"}},
		{"partition remove 1.0 127.0.0.1:34802", "PROPOSE_BALANCER", &admin.ConfigurationBalancerResponse{Err: refused("ERR_INVALID_PARAMETERS")}, 1, []string{"ERR_INVALID_PARAMETERS"}},
		{"ddd_diagnose", "DDD_DIAGNOSE", &admin.DddDiagnoseResponse{Err: ok(), Partitions: []*admin.DddPartitionInfo{{Config: &admin.PartitionConfiguration{Pid: &base.Gpid{AppID: 1, PartitionIndex: 3}, Primary: &base.RPCAddress{}}, Reason: "nobody is left"}}}, 0, []string{"1.3", "nobody is left", "1 partitions are stuck"}},
		{"table idempotent temp", "GET_ATOMIC_IDEMPOTENT", &admin.ConfigurationGetAtomicIdempotentResponse{Err: ok(), AtomicIdempotent: true}, 0, []string{"atomic_idempotent : true"}},
		{"node drain 127.0.0.1:1", "RPC_CLI_CLI_CALL", &base.String{V: "127.0.0.1:1 is draining"}, 0, []string{"is draining"}},
		{"node resume 127.0.0.1:1", "RPC_CLI_CLI_CALL", &base.String{V: "error: no node has the address"}, 1, []string{"no node has the address"}},
		{"cluster settings", "RPC_CLI_CLI_CALL", &base.String{V: "copies  16  replicas copied at once\n"}, 0, []string{"copies   16     replicas copied at once"}},
		{"remote-command meta x", "RPC_CLI_CLI_CALL", &base.String{V: "{\"a\":1}"}, 0, []string{"meta-server", "1 servers, 0 failed"}},
	} {
		t.Run(tc.line, func(t *testing.T) {
			st := newStage(t)
			st.session.Timeout = 500 * time.Millisecond
			st.cluster.Script(fakekv.Match{RPC: tc.rpc}, 0, fakekv.Action{Reply: tc.reply})
			require.Equal(t, tc.exit, st.run(t, st.here(tc.line)), st.out.String())
			for _, text := range tc.shows {
				require.Contains(t, st.out.String(), text)
			}
		})
	}
}
