package meta

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
)

func createRequest(name string, partitions, replicas int32, ifExists bool, envs map[string]string) *admin.ConfigurationCreateAppRequest {
	if envs == nil {
		envs = map[string]string{}
	}
	return &admin.ConfigurationCreateAppRequest{AppName: name, Options: &admin.CreateAppOptions{
		PartitionCount: partitions, ReplicaCount: replicas, SuccessIfExist: ifExists, AppType: "pegasus", IsStateful: true, Envs: envs,
	}}
}

func (c *cluster) create(meta int, name string, partitions, replicas int32, ifExists bool) (code.Code, int32) {
	c.t.Helper()
	r := admin.NewConfigurationCreateAppResponse()
	c.must(meta, "RPC_CM_CREATE_APP", createRequest(name, partitions, replicas, ifExists, nil), r)
	return r.Err.Code(), r.Appid
}

func (c *cluster) query(meta int, name string, indices ...int32) *admin.QueryCfgResponse {
	c.t.Helper()
	r := admin.NewQueryCfgResponse()
	c.must(meta, "RPC_CM_QUERY_PARTITION_CONFIG_BY_INDEX", &admin.QueryCfgRequest{AppName: name, PartitionIndices: indices}, r)
	return r
}

// TestCreate walks through the recorded creations of a real server, and where ours answers better.
func TestCreate(t *testing.T) {
	c := newCluster(t, 1, 3)
	c.leader()
	for _, step := range []struct {
		name                 string
		partitions, replicas int32
		ifExists             bool
		want                 code.Code
		id                   int32
	}{
		{"temp", 8, 1, true, code.OK, 1},
		{"temp", 8, 1, true, code.OK, 1},
		{"temp", 8, 1, false, code.AppExist, 0},
		{"temp", 4, 1, true, code.InvalidParameters, 0},
		{"temp3", 8, 3, true, code.OK, 2},
		{"bad name!", 8, 1, true, code.OK, 3},
		{"", 8, 1, true, code.InvalidParameters, 0}, // accepted upstream
		{"zero", 0, 1, true, code.InvalidParameters, 0},
		{"zero", -1, 1, true, code.InvalidParameters, 0},
		{"p3", 3, 1, true, code.InvalidParameters, 0}, // accepted upstream
		{"r0", 4, 0, true, code.InvalidParameters, 0},
		{"r9", 4, 9, true, code.InvalidParameters, 0},
		{"r4", 4, 4, true, code.InvalidParameters, 0}, // more than nodes
		{"one", 1, 3, true, code.OK, 4},
	} {
		got, id := c.create(0, step.name, step.partitions, step.replicas, step.ifExists)
		require.Equal(t, step.want.String(), got.String(), "%+v", step)
		require.Equal(t, step.id, id, "%+v", step)
	}

	r := c.query(0, "temp3")
	require.Equal(t, "ERR_OK", r.Err.Errno)
	require.True(t, r.IsStateful)
	require.Len(t, r.Partitions, 8)
	for i, p := range r.Partitions {
		require.Equal(t, int32(i), p.Pid.PartitionIndex)
		require.Equal(t, int64(2), p.Ballot)
		require.False(t, p.Primary.IsZero())
		require.Len(t, p.Secondaries, 2)
		require.Nil(t, p.HpPrimary, "old thrift clients cannot read host_port fields")
	}
	require.Len(t, c.query(0, "temp", 0, 3).Partitions, 2)
	require.Len(t, c.query(0, "temp", 0, 99).Partitions, 1)
	require.Len(t, c.query(0, "temp", 99).Partitions, 8)
	nosuch := c.query(0, "nosuch")
	require.Equal(t, "ERR_OBJECT_NOT_FOUND", nosuch.Err.Errno)
	require.False(t, nosuch.IsStateful)
	require.Empty(t, nosuch.Partitions)
}

func TestLifeOfATable(t *testing.T) {
	c := newCluster(t, 1, 3)
	c.leader()
	got, id := c.create(0, "a", 4, 3, true)
	require.Equal(t, code.OK, got)

	drop := func(name string, ifExists bool) string {
		r := admin.NewConfigurationDropAppResponse()
		c.must(0, "RPC_CM_DROP_APP", &admin.ConfigurationDropAppRequest{AppName: name, Options: &admin.DropAppOptions{SuccessIfNotExist: ifExists}}, r)
		return r.Err.Errno
	}
	recall := func(id int32, name string) (string, *admin.AppInfo) {
		r := admin.NewConfigurationRecallAppResponse()
		c.must(0, "RPC_CM_RECALL_APP", &admin.ConfigurationRecallAppRequest{AppID: id, NewAppName_: name}, r)
		return r.Err.Errno, r.Info
	}
	rename := func(from, to string) string {
		r := admin.NewConfigurationRenameAppResponse()
		c.must(0, "RPC_CM_RENAME_APP", &admin.ConfigurationRenameAppRequest{OldAppName: from, NewAppName_: to}, r)
		return r.Err.Errno
	}
	list := func(status admin.AppStatus) (names []string) {
		r := admin.NewConfigurationListAppsResponse()
		c.must(0, "RPC_CM_LIST_APPS", &admin.ConfigurationListAppsRequest{Status: status}, r)
		require.Equal(t, "ERR_OK", r.Err.Errno)
		for _, i := range r.Infos {
			names = append(names, i.AppName)
		}
		return names
	}

	require.Equal(t, "ERR_APP_NOT_EXIST", rename("nosuch", "b"))
	require.Equal(t, "ERR_INVALID_PARAMETERS", rename("a", "a"))
	require.Equal(t, "ERR_OK", rename("a", "b"))
	require.Equal(t, "ERR_OBJECT_NOT_FOUND", c.query(0, "a").Err.Errno)

	require.Equal(t, "ERR_APP_NOT_EXIST", drop("a", false))
	require.Equal(t, "ERR_OK", drop("a", true))
	require.Equal(t, "ERR_OK", drop("b", false))
	require.Equal(t, "ERR_APP_NOT_EXIST", drop("b", false))
	require.Equal(t, "ERR_OBJECT_NOT_FOUND", c.query(0, "b").Err.Errno)
	require.Equal(t, []string{"b"}, list(admin.AppStatus_AS_INVALID))
	require.Empty(t, list(admin.AppStatus_AS_AVAILABLE))
	for _, n := range c.nodes {
		require.True(t, n.lookup(func() bool { return n.tables[id].Dropped && len(n.held) == 4 }), "the drop waits until the nodes know, data stays")
	}

	err, info := recall(999, "")
	require.Equal(t, "ERR_APP_NOT_EXIST", err)
	require.Equal(t, int32(-1), info.InitPartitionCount)
	err, info = recall(id, "c")
	require.Equal(t, "ERR_OK", err)
	require.Equal(t, "c", info.AppName)
	require.Equal(t, admin.AppStatus_AS_AVAILABLE, info.Status)
	require.NotZero(t, info.DropSecond)
	err, _ = recall(id, "")
	require.Equal(t, "ERR_APP_EXIST", err)
	require.Equal(t, []string{"c"}, list(admin.AppStatus_AS_AVAILABLE))
	require.Equal(t, "ERR_OK", c.query(0, "c").Err.Errno)
}

func TestEnvs(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.leader()
	_, id := c.create(0, "t", 2, 1, true)
	clear, none := "manual_compact", ""
	for _, step := range []struct {
		q         admin.ConfigurationUpdateAppEnvRequest
		err, hint string
	}{
		{admin.ConfigurationUpdateAppEnvRequest{AppName: "t", Op: 1, Keys: []string{"default_ttl"}, Values: []string{"60"}, ClearPrefix: &none}, "ERR_OK", ""},
		{admin.ConfigurationUpdateAppEnvRequest{AppName: "t", Op: 1, Keys: []string{"default_ttl"}, Values: []string{"abc"}}, "ERR_INVALID_PARAMETERS", "value \"abc\" of env \"default_ttl\": not a whole number, want seconds, 0 for none"},
		{admin.ConfigurationUpdateAppEnvRequest{AppName: "t", Op: 1, Keys: []string{"no.such.env"}, Values: []string{"1"}}, "ERR_INVALID_PARAMETERS", "env \"no.such.env\" is not supported"},
		{admin.ConfigurationUpdateAppEnvRequest{AppName: "t", Op: 1, Keys: []string{"default_ttl"}}, "ERR_INVALID_PARAMETERS", "as many values as keys are needed, and at least one"},
		{admin.ConfigurationUpdateAppEnvRequest{AppName: "nosuch", Op: 1, Keys: []string{"default_ttl"}, Values: []string{"1"}}, "ERR_APP_NOT_EXIST", "app cannot be found"},
		{admin.ConfigurationUpdateAppEnvRequest{AppName: "t", Op: 0}, "ERR_INVALID_PARAMETERS", "unknown operation"},
		{admin.ConfigurationUpdateAppEnvRequest{AppName: "t", Op: 2, Keys: []string{"default_ttl"}}, "ERR_OK", "deleted keys:\n    default_ttl"},
		{admin.ConfigurationUpdateAppEnvRequest{AppName: "t", Op: 2, Keys: []string{"default_ttl"}}, "ERR_OK", "no key needs to be deleted"},
		{admin.ConfigurationUpdateAppEnvRequest{AppName: "t", Op: 3, ClearPrefix: &clear}, "ERR_OK", "no key needs to be deleted"},
		{admin.ConfigurationUpdateAppEnvRequest{AppName: "t", Op: 3}, "ERR_INVALID_PARAMETERS", "no prefix given"},
	} {
		r := admin.NewConfigurationUpdateAppEnvResponse()
		c.must(0, "RPC_CM_UPDATE_APP_ENV", &step.q, r)
		require.Equal(t, step.err, r.Err.Errno, "%+v", step.q)
		require.Equal(t, step.hint, r.HintMessage)
		if step.err == "ERR_OK" && step.q.Op == 1 {
			require.True(t, c.nodes[0].lookup(func() bool { return c.nodes[0].tables[id].Envs["default_ttl"] == "60" }), "the node knows when the client has its answer")
		}
	}
}

func TestClusterQuestions(t *testing.T) {
	c := newCluster(t, 1, 3)
	c.leader()
	nodes := admin.NewConfigurationListNodesResponse()
	c.must(0, "RPC_CM_LIST_NODES", &admin.ConfigurationListNodesRequest{}, nodes)
	require.Len(t, nodes.Infos, 3)
	require.Equal(t, admin.NodeStatus_NS_ALIVE, nodes.Infos[0].Status)

	require.Eventually(t, func() bool { return c.metas[0].group.State().Settings.ClusterName != "" }, patience, time.Millisecond)
	info := admin.NewConfigurationClusterInfoResponse()
	c.must(0, "RPC_CM_CLUSTER_INFO", &admin.ConfigurationClusterInfoRequest{}, info)
	require.Equal(t, []string{"meta_servers", "primary_meta_server", "zookeeper_hosts", "zookeeper_root", "meta_function_level",
		"balance_operation_count", "primary_replica_count_stddev", "total_replica_count_stddev", "cluster_name"}, info.Keys)
	require.Equal(t, c.confs[0].RPC.Listen, info.Values[1])
	require.Equal(t, "steady", info.Values[4])
	require.Equal(t, "test", info.Values[8])

	level := func(l admin.MetaFunctionLevel) (string, admin.MetaFunctionLevel) {
		r := admin.NewConfigurationMetaControlResponse()
		c.must(0, "RPC_CM_CONTROL_META", &admin.ConfigurationMetaControlRequest{Level: l}, r)
		return r.Err.Errno, r.OldLevel
	}
	err, old := level(admin.MetaFunctionLevel_fl_invalid)
	require.Equal(t, "ERR_OK", err)
	require.Equal(t, admin.MetaFunctionLevel_fl_steady, old)
	_, old = level(admin.MetaFunctionLevel_fl_freezed)
	require.Equal(t, admin.MetaFunctionLevel_fl_steady, old)
	got, _ := c.create(0, "frozen", 2, 1, true)
	require.Equal(t, code.StateFreezed, got)
	err, _ = level(77)
	require.Equal(t, "ERR_INVALID_PARAMETERS", err)
	_, old = level(admin.MetaFunctionLevel_fl_lively)
	require.Equal(t, admin.MetaFunctionLevel_fl_freezed, old)

	help := &base.String{}
	c.must(0, "RPC_CLI_CLI_CALL", &admin.Command{Cmd: "help", Arguments: []string{}}, help)
	require.Contains(t, help.V, "server-info")
	c.must(0, "RPC_CLI_CLI_CALL", &admin.Command{Cmd: "nonsense", Arguments: []string{}}, help)
	require.Contains(t, help.V, "unknown command")
	negotiated := admin.NewNegotiationResponse()
	c.must(0, "RPC_NEGOTIATION", &admin.NegotiationRequest{Status: 1, Msg: base.NewBlob()}, negotiated)
	require.Equal(t, admin.NegotiationStatus_SASL_AUTH_DISABLE, negotiated.Status)

	backup := admin.NewStartBackupAppResponse()
	c.must(0, "RPC_CM_START_BACKUP_APP", &admin.StartBackupAppRequest{}, backup)
	require.Equal(t, "ERR_SERVICE_NOT_ACTIVE", backup.Err.Errno)
	require.Equal(t, code.HandlerNotFound, code.Of(c.call(0, "RPC_NO_SUCH_TASK", &admin.Command{}, help)))
}

// TestLeaderMoves: the newest term wins, whoever reports it, and the old leader's address stands until then.
func TestLeaderMoves(t *testing.T) {
	c := newCluster(t, 1, 3)
	c.leader()
	_, id := c.create(0, "t", 2, 3, true)
	before := c.query(0, "t").Partitions[0].Primary.String()
	var follower *fakeNode
	var replica int64
	for _, n := range c.nodes {
		n.mu.Lock()
		for _, a := range n.held {
			if a.PartitionIndex == 0 && a.ReplicaID != a.InitialMembers[0].ReplicaID {
				follower, replica = n, a.ReplicaID
			}
		}
		n.mu.Unlock()
	}
	follower.set(func() {
		follower.instead = map[int32]*arion.ReplicaReport{0: {TableID: id, PartitionIndex: 0, ReplicaID: replica, Term: 9,
			LeaderReplicaID: replica, State: arion.ReplicaState_SERVING}}
	})
	require.Eventually(t, func() bool {
		p := c.query(0, "t").Partitions[0]
		return p.Ballot == 9 && p.Primary.String() == follower.endpoint.RPCAddress && p.Primary.String() != before
	}, patience, 10*time.Millisecond)

	move := &admin.ConfigurationBalancerRequest{Gpid: &base.Gpid{AppID: id, PartitionIndex: 0}}
	to, err := base.ParseRPCAddress(before)
	require.NoError(t, err)
	move.ActionList = []*admin.ConfigurationProposalAction{{Target: &to, Node: &to, Type: admin.ConfigType_CT_UPGRADE_TO_PRIMARY}}
	r := admin.NewConfigurationBalancerResponse()
	c.must(0, "RPC_CM_PROPOSE_BALANCER", move, r)
	require.Equal(t, "ERR_OK", r.Err.Errno)
	require.True(t, follower.lookup(func() bool { return len(follower.moves) == 1 }), "the present leader is asked to hand over")
}

// TestForeignNode: a catalog that lost its memory must not tell nodes to drop their data.
func TestForeignNode(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.leader()
	n := c.nodes[0]
	n.set(func() { n.extra = []*arion.ReplicaReport{{TableID: 77, ReplicaID: 1}} })
	require.Eventually(t, func() bool { return n.lookup(func() bool { return n.lastErr == code.InconsistentState }) }, patience, 10*time.Millisecond)
}

func TestHTTP(t *testing.T) {
	c := newCluster(t, 1, 3)
	c.leader()
	c.create(0, "t", 2, 3, true)
	get := func(path string) (int, map[string]any) {
		resp, err := http.Get("http://" + c.confs[0].RPC.Listen + path)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		var v map[string]any
		_ = json.Unmarshal(raw, &v)
		return resp.StatusCode, v
	}
	status, v := get("/meta/app?name=t&detail")
	require.Equal(t, 200, status)
	require.Equal(t, "1", v["general"].(map[string]any)["app_id"])
	require.Len(t, v["replicas"], 2)
	status, _ = get("/meta/app")
	require.Equal(t, 400, status)
	status, _ = get("/meta/app?name=nosuch")
	require.Equal(t, 404, status)
	for _, path := range []string{"/meta/apps?detail", "/meta/nodes?detail", "/meta/cluster", "/meta/app_envs?name=t", "/"} {
		status, v := get(path)
		require.Equal(t, 200, status, path)
		require.NotNil(t, v, path)
	}
	status, _ = get("/metrics")
	require.Equal(t, 200, status)
}

// TestRestart: a meta server comes back with its tables, and leaders do not go back in term.
func TestRestart(t *testing.T) {
	c := newCluster(t, 1, 3)
	c.leader()
	c.create(0, "t", 4, 3, true)
	require.Eventually(t, func() bool { return c.metas[0].group.State().Partition(1, 0).Term == 2 }, patience, 10*time.Millisecond, "leaders are recorded")
	require.NoError(t, c.metas[0].Close(context.Background()))
	for _, n := range c.nodes {
		n.set(func() { n.mute = true })
	}
	c.start(0)
	c.leader()
	r := c.query(0, "t")
	require.Equal(t, "ERR_OK", r.Err.Errno)
	require.Equal(t, int64(2), r.Partitions[0].Ballot)
	require.False(t, r.Partitions[0].Primary.IsZero())
	require.Empty(t, r.Partitions[0].Secondaries, "nobody says that they serve")
}

// TestCreateRightAfterRestart: nodes that have not reported yet are waited for.
func TestCreateRightAfterRestart(t *testing.T) {
	c := newCluster(t, 1, 3)
	c.leader()
	require.NoError(t, c.metas[0].Close(context.Background()))
	c.start(0)
	got, _ := c.create(0, "t", 4, 3, true)
	require.Equal(t, code.OK, got)
}

// TestAnyMetaAnswers: followers forward every kind of request.
func TestAnyMetaAnswers(t *testing.T) {
	c := newCluster(t, 3, 3)
	at := c.leader()
	for i := range c.metas {
		name := string(rune('a' + i))
		got, _ := c.create(i, name, 4, 3, false)
		require.Equal(t, code.OK, got, "meta %d, leader %d", i, at)
		for j := range c.metas {
			require.Equal(t, "ERR_OK", c.query(j, name).Err.Errno, "meta %d", j)
		}
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).
		Get("http://" + c.confs[(at+1)%3].RPC.Listen + "/meta/apps")
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode)
}

// TestLeaderClosedInCreate: the nodes hold their reports back until the leader is gone, so the table is certainly half made.
func TestLeaderClosedInCreate(t *testing.T) {
	c := newCluster(t, 3, 3)
	at := c.leader()
	for _, n := range c.nodes {
		n.set(func() { n.mute = true })
	}
	answered := make(chan error, 1)
	go func() {
		answered <- c.call(at, "RPC_CM_CREATE_APP", createRequest("t", 4, 3, true, nil), admin.NewConfigurationCreateAppResponse())
	}()
	other := (at + 1) % 3
	require.Eventually(t, func() bool { return c.query(other, "t").Err.Errno == "ERR_BUSY_CREATING" }, patience, 10*time.Millisecond)
	require.NoError(t, c.metas[at].Close(context.Background()))
	c.metas[at] = nil
	<-answered // whatever it says: the outcome is in the catalog
	for _, n := range c.nodes {
		n.set(func() { n.mute = false })
	}
	require.Eventually(t, func() bool { return c.query(other, "t").Err.Errno == "ERR_OK" }, patience, 10*time.Millisecond, "the next leader finishes the creation")
	got, id := c.create(other, "t", 4, 3, true)
	require.Equal(t, code.OK, got)
	require.Equal(t, int32(1), id)
}

// TestAmnesia: a meta server that lost its directory must not come back in its old place.
func TestAmnesia(t *testing.T) {
	c := newCluster(t, 3, 0)
	c.leader()
	require.Eventually(t, func() bool {
		for _, s := range c.metas {
			if len(s.group.State().Metas()) != 3 {
				return false
			}
		}
		return true
	}, patience, 10*time.Millisecond, "all metas are recorded everywhere")
	require.NoError(t, c.metas[2].Close(context.Background()))
	c.confs[2].Node.Dir = t.TempDir()
	_, err := Open(context.Background(), c.confs[2], Deps{Log: testLog(t)})
	require.ErrorContains(t, err, "must not vote without its log")
}
