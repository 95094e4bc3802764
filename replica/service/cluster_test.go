package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
	wire "github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/test/cluster"
)

// world is a cluster with a client of it.
type world struct {
	*testing.T
	ctx   context.Context
	c     *cluster.Cluster
	admin *admin.Admin
}

func start(t *testing.T) *world {
	c := cluster.Start(t, cluster.Options{})
	a, err := admin.Open(t.Context(), c.Metas())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	return &world{T: t, ctx: t.Context(), c: c, admin: a}
}

func (w *world) create(name string, partitions int, envs map[string]string) (*client.Table, int32) {
	w.Helper()
	id, err := w.admin.CreateTable(w.ctx, name, admin.CreateOptions{Partitions: partitions, Replicas: 3, Envs: envs})
	require.NoError(w, err)
	require.NoError(w, w.admin.WaitReady(w.ctx, name))
	return w.admin.Client().Table(name), id
}

func (w *world) set(table, env, value string) {
	w.Helper()
	require.NoError(w, w.admin.SetEnvs(w.ctx, table, map[string]string{env: value}))
}

func (w *world) del(table, env string) {
	w.Helper()
	_, err := w.admin.DelEnvs(w.ctx, table, env)
	require.NoError(w, err)
}

// drive calls do from many goroutines for a while and returns how many succeeded
// per second.
func drive(callers int, d time.Duration, do func(ctx context.Context, i int) error) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var n atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for c := range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := c; ctx.Err() == nil; i += callers {
				if do(ctx, i) == nil {
					n.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}

func keyOf(i int) []byte { return fmt.Appendf(nil, "user%07d", i%5000) }

func setter(t *client.Table) func(context.Context, int) error {
	return func(ctx context.Context, i int) error { return t.Set(ctx, keyOf(i), []byte("s"), []byte("value")) }
}

func getter(t *client.Table) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		_, err := t.Exist(ctx, keyOf(i), []byte("s"))
		return err
	}
}

// Three rates at once, over 8 partitions on 3 nodes, for ten seconds.
func TestThrottleRates(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	w := start(t)
	aPut := frame.AppendMessage(nil, &rrdb.UpdateRequest{
		Key: &base.Blob{Data: key.Append(nil, keyOf(1), []byte("s"))}, Value: &base.Blob{Data: []byte("value")},
	})
	cases := []struct {
		table, env, value string
		want              float64
		do                func(*client.Table) func(context.Context, int) error
	}{
		{"w", "replica.write_throttling", "300*delay*100", 300, setter},
		{"r", "replica.read_throttling", "1000*reject*20", 1000, getter},
		{"b", "replica.write_throttling_by_size", "20K*reject*10", 20000 / float64(len(aPut)), setter},
	}
	tables := make([]*client.Table, len(cases))
	for i, c := range cases {
		tables[i], _ = w.create(c.table, 8, map[string]string{c.env: c.value})
	}
	// No round may be faster than the rate. One that is slower was perhaps starved by
	// what else runs on the machine, and is repeated.
	const rounds = 5
	slow := true
	for n := 0; slow && n < rounds; n++ {
		got := make([]float64, len(cases))
		var wg sync.WaitGroup
		for i, c := range cases {
			wg.Go(func() { got[i] = drive(64, 10*time.Second, c.do(tables[i])) })
		}
		wg.Wait()
		t.Log(got)
		slow = false
		for i, c := range cases {
			require.Less(t, got[i], 1.1*c.want, "%s=%s", c.env, c.value)
			slow = slow || got[i] < 0.9*c.want
		}
		if raceDetector {
			return // which makes servers too slow for the rates
		}
	}
	require.False(t, slow, "below nine tenths of a rate in %d rounds", rounds)

	// The default is back at once.
	for _, c := range cases {
		w.del(c.table, c.env)
		free := 0.0
		for n := 0; free < 1.2*c.want && n < rounds; n++ {
			free = drive(64, 2*time.Second, c.do(w.admin.Client().Table(c.table)))
		}
		require.Greater(t, free, 1.2*c.want, c.env)
	}
}

func TestDeny(t *testing.T) {
	w := start(t)
	table, _ := w.create("t", 2, nil)
	try := func(do func(*client.Table) func(context.Context, int) error) error {
		ctx, cancel := context.WithTimeout(w.ctx, 300*time.Millisecond)
		defer cancel()
		return do(table)(ctx, 1)
	}
	require.NoError(t, setter(table)(w.ctx, 1))
	for value, denied := range map[string][2]bool{ // writes, reads
		"timeout*all": {true, true}, "timeout*write": {true, false}, "timeout*read": {false, true},
		"reconfig*all": {true, true}, "reconfig*write": {true, false}, "reconfig*read": {false, true},
	} {
		w.set("t", "replica.deny_client_request", value)
		require.Equal(t, denied[0], try(setter) != nil, "write under %s", value)
		require.Equal(t, denied[1], try(getter) != nil, "read under %s", value)
	}
	w.del("t", "replica.deny_client_request")
	require.NoError(t, setter(table)(w.ctx, 1))
	require.NoError(t, getter(table)(w.ctx, 1))
}

func (w *world) http(node, path string) (int, string) {
	w.Helper()
	r, err := http.Get("http://" + w.c.Addr(node) + path)
	require.NoError(w, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(w, err)
	return r.StatusCode, string(body)
}

func (w *world) json(node, path string, into any) {
	w.Helper()
	status, body := w.http(node, path)
	require.Equal(w, http.StatusOK, status, body)
	require.NoError(w, json.Unmarshal([]byte(body), into), body)
}

func TestManualCompaction(t *testing.T) {
	w := start(t)
	table, id := w.create("t", 2, nil)
	for i := range 100 {
		require.NoError(t, setter(table)(w.ctx, i))
	}
	path := "/replica/manual_compaction?app_id=" + strconv.Itoa(int(id))
	states := func(node string) map[string]int {
		var reply struct{ Status map[string]int }
		w.json(node, path, &reply)
		return reply.Status
	}
	require.Eventually(t, func() bool { return states("replica1")["IDLE"] == 2 }, 20*time.Second, 50*time.Millisecond)
	_, err := w.admin.CompactionProgress(w.ctx, "t")
	require.ErrorContains(t, err, "no manual compaction")
	require.Error(t, w.admin.StartCompaction(w.ctx, "nosuch", admin.CompactOptions{}))
	require.ErrorContains(t, w.admin.StartCompaction(w.ctx, "t", admin.CompactOptions{TargetLevel: 2}), "target_level")
	w.set("t", "manual_compact.disabled", "true")
	require.ErrorContains(t, w.admin.StartCompaction(w.ctx, "t", admin.CompactOptions{}), "forbids")
	w.del("t", "manual_compact.disabled")
	require.NoError(t, w.admin.StartCompaction(w.ctx, "t", admin.CompactOptions{Bottommost: true, MaxRunning: 1}))
	w.c.Eventually("all replicas are compacted", func() error {
		progress, err := w.admin.CompactionProgress(w.ctx, "t")
		if err == nil && progress != 100 {
			err = fmt.Errorf("%d %%", progress)
		}
		return err
	})
	for _, node := range []string{"replica1", "replica2", "replica3"} {
		w.c.Eventually("compacted on "+node, func() error {
			if got := states(node); got["FINISHED"] != 2 {
				return fmt.Errorf("%v", got)
			}
			return nil
		})
	}
	text, err := w.admin.RemoteCommand(w.ctx, w.c.Addr("replica1"), "replica.query-compact", fmt.Sprintf("%d.0", id))
	require.NoError(t, err)
	require.Contains(t, text, "finished, last began")
	w.c.Stop("replica1")
	w.c.Restart("replica1")
	w.c.Eventually("remembered over a restart", func() error {
		_, body := w.http("replica1", path)
		if !strings.Contains(body, `"FINISHED":2`) {
			return fmt.Errorf("%s", body)
		}
		return nil
	})
}

func TestHotKey(t *testing.T) {
	w := start(t)
	table, id := w.create("t", 2, nil)
	hot := []byte("hot \xff key")
	drive(16, 2*time.Second, func(ctx context.Context, i int) error {
		if i%2 == 0 {
			return table.Set(ctx, hot, nil, []byte("v"))
		}
		return setter(table)(ctx, i)
	})
	routing, err := w.admin.QueryTable(w.ctx, "t")
	require.NoError(t, err)
	ask := func(node string, pid *base.Gpid, kind wire.HotkeyType, action wire.DetectAction) *wire.DetectHotkeyResponse {
		r := wire.NewDetectHotkeyResponse()
		require.NoError(t, w.admin.Node(w.ctx, node, frame.RPCDetectHotkey, &wire.DetectHotkeyRequest{Type: kind, Action: action, Pid: pid}, r))
		return r
	}
	found := ""
	for i, p := range routing.Partitions {
		pid := &base.Gpid{AppID: id, PartitionIndex: int32(i)}
		w := func(a wire.DetectAction) *wire.DetectHotkeyResponse {
			return ask(p.Leader, pid, wire.HotkeyType_WRITE, a)
		}
		require.Equal(t, "ERR_OK", w(wire.DetectAction_START).Err.Errno)
		require.Equal(t, "ERR_BUSY", w(wire.DetectAction_START).Err.Errno)
		if q := w(wire.DetectAction_QUERY); q.Err.Errno == "ERR_OK" {
			found = q.GetHotkeyResult_()
		} else {
			require.Equal(t, "ERR_BUSY", q.Err.Errno)
		}
		require.Equal(t, "ERR_OK", w(wire.DetectAction_STOP).Err.Errno)
		require.Equal(t, "ERR_OK", w(wire.DetectAction_START).Err.Errno)
		require.Equal(t, "ERR_BUSY", ask(p.Leader, pid, wire.HotkeyType_READ, wire.DetectAction_QUERY).Err.Errno)
		require.Equal(t, "ERR_INVALID_PARAMETERS", ask(p.Leader, pid, 7, wire.DetectAction_QUERY).Err.Errno)
		require.Equal(t, "ERR_INVALID_PARAMETERS", ask(p.Leader, pid, 0, 7).Err.Errno)
	}
	require.Equal(t, `hot \xFF key`, found)
	require.Equal(t, "ERR_OBJECT_NOT_FOUND", ask(w.c.Addr("replica1"), &base.Gpid{AppID: 99}, 0, 0).Err.Errno)
	text, err := w.admin.RemoteCommand(w.ctx, routing.Partitions[0].Leader, "replica.hot-keys")
	require.NoError(t, err)
	require.Contains(t, text, "hash_key")
}

func TestConsole(t *testing.T) {
	w := start(t)
	table, id := w.create("t", 2, map[string]string{"default_ttl": "1000"})
	drive(8, 1500*time.Millisecond, setter(table))
	node := w.c.Addr("replica1")
	command := func(name string, args ...string) string {
		text, err := w.admin.RemoteCommand(w.ctx, node, name, args...)
		require.NoError(t, err)
		return text
	}
	var counters struct {
		Result   string
		Counters []struct {
			Name  string
			Value float64
		}
	}
	require.NoError(t, json.Unmarshal([]byte(command("perf-counters-by-substr", fmt.Sprintf("@%d.", id))), &counters))
	require.Equal(t, "OK", counters.Result)
	require.NotEmpty(t, counters.Counters)
	for _, c := range counters.Counters {
		require.Contains(t, c.Name, fmt.Sprintf("@%d.", id))
	}
	require.Contains(t, command("perf-counters-by-prefix", "replica*eon.replica_stub*disk.capacity"), "disk.capacity.total(MB)")
	require.Contains(t, command("perf-counters-by-postfix", "memused.res(MB)"), "replica*server*memused.res(MB)")
	require.Contains(t, command("replica.query-app-envs", strconv.Itoa(int(id))), `"default_ttl": "1000"`)
	require.Contains(t, command("replica.query-app-envs", "x"), "neither a table id")
	require.Contains(t, command("replica.query-app-envs", "77"), "no replica")
	require.Contains(t, command("replica.rates"), "writes_per_sec")
	require.Equal(t, "Flush done.", command("flush-log"))
	require.Contains(t, command("reset-log-start-level", "LOG_LEVEL_ERROR"), "error")
	require.Contains(t, command("reset-log-start-level", "fatal"), "error: want")
	require.Contains(t, command("help"), "perf-counters-by-substr")

	var doc struct {
		Role     string
		Entities []struct {
			Type, ID   string
			Attributes map[string]string
			Metrics    []map[string]any
		}
	}
	w.json("replica1", fmt.Sprintf("/metrics?types=replica&attributes=table_id,%d&metrics=put_requests,rdb_estimated_keys&with_metric_fields=value", id), &doc)
	require.Equal(t, "replica", doc.Role)
	require.Len(t, doc.Entities, 2)
	for _, e := range doc.Entities {
		require.Len(t, e.Metrics, 2)
	}
	w.json("replica1", "/metrics?types=profiler&with_metric_fields=p99", &doc)
	require.NotEmpty(t, doc.Entities)
	w.json("replica1", "/metrics?detail=", &doc)
	status, body := w.http("replica1", "/metrics?attributes=odd")
	require.Equal(t, http.StatusBadRequest, status, body)
	_, body = w.http("replica1", "/metrics")
	require.Contains(t, body, "# HELP arion_replica_partition_requests_total")

	var row map[string]string
	w.json("replica1", "/config?name=replica.disk_low_water", &row)
	require.Equal(t, "flag_tag::FT_MUTABLE", row["tags"])
	w.json("replica1", "/updateConfig?replica.disk_low_water=2MB", &row)
	require.Equal(t, "ERR_OK", row["update_status"])
	w.json("replica1", "/config?name=replica.disk_low_water", &row)
	require.Equal(t, "2MB", row["value"])
	for _, bad := range []string{"replica.disk_low_water=x", "replica.block_cache=1MB", "nonsense=1", "replica.max_manual_compactions=-1"} {
		w.json("replica1", "/updateConfig?"+bad, &row)
		require.Contains(t, row["update_status"], "ERR_INVALID_PARAMETERS", bad)
	}
	var all map[string]map[string]string
	w.json("replica1", "/configs", &all)
	require.Greater(t, len(all), 20)
	status, _ = w.http("replica1", "/config?name=x")
	require.Equal(t, http.StatusNotFound, status)
	status, _ = w.http("replica1", "/replica/manual_compaction?app_id=99")
	require.Equal(t, http.StatusNotFound, status)
	status, _ = w.http("replica1", "/replica/duplication?appid=x")
	require.Equal(t, http.StatusBadRequest, status)
	_, body = w.http("replica1", "/replica/duplication?appid="+strconv.Itoa(int(id)))
	require.Equal(t, "{}\n", body)
}

// Rules delete and change the same records on every replica, while clients write
// and a leader goes away.
func TestCompactionRules(t *testing.T) {
	w := start(t)
	table, _ := w.create("t", 2, nil)
	const n = 3000
	for i := range n {
		require.NoError(t, table.Set(w.ctx, fmt.Appendf(nil, "old%04d", i), []byte("s"), []byte("v")))
		if i%10 == 0 {
			require.NoError(t, table.Set(w.ctx, fmt.Appendf(nil, "new%04d", i), []byte("s"), []byte("v")))
			require.NoError(t, table.Set(w.ctx, fmt.Appendf(nil, "ttl%04d", i), []byte("s"), []byte("v")))
		}
	}
	w.set("t", "user_specified_compaction", `{"ops":[
		{"type":"COT_DELETE","params":"","rules":[{"type":"FRT_HASHKEY_PATTERN","params":"{\"pattern\":\"old\",\"match_type\":\"SMT_MATCH_PREFIX\"}"}]},
		{"type":"COT_UPDATE_TTL","params":"{\"type\":\"UTOT_FROM_NOW\",\"value\":1000}","rules":[
			{"type":"FRT_HASHKEY_PATTERN","params":"{\"pattern\":\"ttl\",\"match_type\":\"SMT_MATCH_PREFIX\"}"},
			{"type":"FRT_TTL_RANGE","params":"{\"start_ttl\":0,\"stop_ttl\":0}"}]}]}`)
	stop := make(chan struct{})
	var writers sync.WaitGroup
	writers.Add(1)
	go func() {
		defer writers.Done()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = table.Set(w.ctx, fmt.Appendf(nil, "busy%03d", i%100), []byte("s"), []byte("v"))
			}
		}
	}()
	w.c.Stop("replica2") // its leaders' passes are gone on with by others
	w.c.Restart("replica2")
	w.c.Eventually("all records that match are gone", func() error {
		for _, i := range []int{0, n / 2, n - 1, 7, 1234, 2345} {
			if there, err := table.Exist(w.ctx, fmt.Appendf(nil, "old%04d", i), []byte("s")); err != nil || there {
				return fmt.Errorf("record %d: %v, %v", i, there, err)
			}
		}
		left, err := table.TTL(w.ctx, []byte("ttl0010"), []byte("s"))
		if err == nil && (left <= 0 || left > 1000*time.Second) {
			err = fmt.Errorf("ttl is %v", left)
		}
		return err
	})
	close(stop)
	writers.Wait()
	for i := 0; i < n; i++ {
		there, err := table.Exist(w.ctx, fmt.Appendf(nil, "new%04d", i), []byte("s"))
		require.NoError(t, err)
		require.Equal(t, i%10 == 0, there)
	}
	w.c.Eventually("replicas are equal", func() error {
		sums := map[string]map[string]bool{}
		for _, node := range w.c.Replicas() {
			text, err := w.admin.RemoteCommand(w.ctx, w.c.Addr(node), "replica.checksum")
			if err != nil {
				return err
			}
			var lines []map[string]any
			if err := json.Unmarshal([]byte(text), &lines); err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
			for _, l := range lines {
				name := l["partition"].(string)
				if sums[name] == nil {
					sums[name] = map[string]bool{}
				}
				delete(l, "replica")
				sum, _ := json.Marshal(l)
				sums[name][string(sum)] = true
			}
		}
		for name, s := range sums {
			if len(s) != 1 {
				return fmt.Errorf("%s: %v", name, s)
			}
		}
		return nil
	})
}
