package command

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/shell/metrics"
	"github.com/arionkv/arion/shell/render"
)

// lookAt makes a look at a cluster of two nodes, one of which is dead, and a table
// of two partitions; gets and puts are what the living one has counted.
func lookAt(t *testing.T, at time.Time, gets, puts int) *snapshot {
	text := fmt.Sprintf(`process_cpu_seconds_total %[3]d
process_resident_memory_bytes 6.7e+07
arion_rpc_requests_total{name="RPC_RRDB_RRDB_GET",code="ERR_OK"} %[1]d
arion_rpc_requests_total{name="RPC_RRDB_RRDB_PUT",code="ERR_OK"} %[2]d
arion_rpc_requests_total{name="RPC_RRDB_RRDB_PUT",code="ERR_BUSY"} %[3]d
arion_rpc_request_duration_seconds_bucket{name="RPC_RRDB_RRDB_GET",le="0.001"} %[1]d
arion_rpc_request_duration_seconds_bucket{name="RPC_RRDB_RRDB_GET",le="+Inf"} %[1]d
arion_rpc_request_duration_seconds_bucket{name="RPC_RRDB_RRDB_PUT",le="0.001"} 0
arion_rpc_request_duration_seconds_bucket{name="RPC_RRDB_RRDB_PUT",le="0.005"} %[2]d
arion_rpc_request_duration_seconds_bucket{name="RPC_RRDB_RRDB_PUT",le="+Inf"} %[2]d
arion_replica_requests_total{operation="get",table="temp"} %[1]d
arion_replica_requests_total{operation="put",table="temp"} %[2]d
arion_replica_requests_total{operation="scan",table="temp"} 0
arion_replica_partition_requests_total{kind="read",partition="0",table="temp"} 0
arion_replica_partition_requests_total{kind="read",partition="1",table="temp"} %[1]d
arion_replica_partition_requests_total{kind="write",partition="1",table="temp"} %[2]d
`, gets, puts, puts/1000)
	set, err := metrics.Parse(strings.NewReader(text))
	require.NoError(t, err)
	set.At = at
	replica := func(index int32, applied int64) admin.Replica {
		return admin.Replica{Partition: admin.PartitionID{Table: 1, Index: index}, State: "SERVING", Leading: true, Applied: applied, SizeBytes: 5 << 20}
	}
	living := &nodeView{addr: "10.0.0.1:34801", alive: true, at: at, leaders: 2, metrics: set,
		disks: []admin.Disk{{CapacityMB: 1000, FreeMB: 400}}, NodeState: admin.NodeState{Replicas: []admin.Replica{replica(0, 7), replica(1, 9)}}}
	return &snapshot{at: at, nodes: []*nodeView{living, {addr: "10.0.0.2:34801"}}, tables: []admin.Table{{ID: 1, Name: "temp", Partitions: 2, Replicas: 2}}}
}

// The page of top, from two looks two seconds apart. Rewrite with -rewrite.
func TestTopFrame(t *testing.T) {
	begin := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	before, after := lookAt(t, begin, 1000, 500), lookAt(t, begin.Add(2*time.Second), 21000, 2500)
	datadriven.RunTest(t, "testdata/top.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "frame": // what a person sees, on a screen so many columns wide
			var width int
			d.ScanArgs(t, "width", &width)
			title, text := frame(render.Printer{Format: render.Table, Width: width}, before, after)
			return title + "\n" + text
		case "small": // the same on a terminal of so many columns and lines
			var width, height int
			d.ScanArgs(t, "width", &width)
			d.ScanArgs(t, "height", &height)
			var out bytes.Buffer
			s := &screen{out: &out, terminal: true, size: func() (int, int) { return width, height }}
			s.show(frame(render.Printer{Format: render.Table, Width: width}, before, after))
			return strings.ReplaceAll(strings.ReplaceAll(out.String(), "\x1b", "ESC"), "\r", "") + "\n"
		case "screen": // what goes to the terminal when the second page comes
			var out bytes.Buffer
			s := &screen{out: &out, terminal: true}
			s.show(frame(render.Printer{Format: render.Table}, before, before))
			out.Reset()
			s.show(frame(render.Printer{Format: render.Table}, before, after))
			return strings.ReplaceAll(strings.ReplaceAll(out.String(), "\x1b", "ESC"), "\r", "") + "\n"
		}
		d.Fatalf(t, "unknown command %s", d.Cmd)
		return ""
	})
}
