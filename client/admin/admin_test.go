package admin_test

import (
	"context"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/test/fakekv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T) (*fakekv.Cluster, *admin.Admin, context.Context) {
	c := fakekv.Start(t, fakekv.Options{Metas: 3})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	a, err := admin.Open(ctx, c.Metas())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	return c, a, ctx
}

func TestLifeOfATable(t *testing.T) {
	_, a, ctx := setup(t)
	id, err := a.CreateTable(ctx, "users", admin.CreateOptions{Partitions: 8, Envs: map[string]string{"default_ttl": "60"}})
	require.NoError(t, err)
	require.NoError(t, a.WaitReady(ctx, "users"))
	again, err := a.CreateTable(ctx, "users", admin.CreateOptions{Partitions: 8})
	require.NoError(t, err)
	require.Equal(t, id, again)
	_, err = a.CreateTable(ctx, "users", admin.CreateOptions{Partitions: 8, FailIfExists: true})
	require.ErrorIs(t, err, admin.ErrTableExists)
	_, err = a.CreateTable(ctx, "users", admin.CreateOptions{Partitions: 16})
	require.ErrorIs(t, err, client.ErrInvalidArgument)
	_, err = a.CreateTable(ctx, "odd", admin.CreateOptions{Partitions: 3})
	require.ErrorIs(t, err, client.ErrInvalidArgument)

	tab, err := a.GetTable(ctx, "users")
	require.NoError(t, err)
	require.Equal(t, 8, tab.Partitions)
	require.Equal(t, 3, tab.Replicas)
	require.Equal(t, "60", tab.Envs["default_ttl"])
	r, err := a.QueryTable(ctx, "users")
	require.NoError(t, err)
	require.Len(t, r.Partitions, 8)
	require.True(t, r.Healthy())

	require.NoError(t, a.RenameTable(ctx, "users", "people"))
	require.ErrorIs(t, a.RenameTable(ctx, "users", "x"), client.ErrTableNotFound)
	require.NoError(t, a.DropTable(ctx, "people", admin.DropOptions{Reserve: time.Hour}))
	require.NoError(t, a.DropTable(ctx, "people", admin.DropOptions{}))
	require.ErrorIs(t, a.DropTable(ctx, "people", admin.DropOptions{FailIfMissing: true}), client.ErrTableNotFound)
	_, err = a.QueryTable(ctx, "people")
	require.ErrorIs(t, err, client.ErrTableNotFound)
	back, err := a.RecallTable(ctx, id, "again")
	require.NoError(t, err)
	require.Equal(t, "again", back.Name)
	tables, err := a.ListTables(ctx, admin.StatusUnknown)
	require.NoError(t, err)
	require.Len(t, tables, 1)
}

func TestEnvs(t *testing.T) {
	c, a, ctx := setup(t)
	c.CreateTable("temp", 4)
	require.NoError(t, a.SetEnvs(ctx, "temp", map[string]string{"a.x": "1", "a.y": "2", "b": "3"}))
	hint, err := a.DelEnvs(ctx, "temp", "b")
	require.NoError(t, err)
	require.Contains(t, hint, "b")
	_, err = a.ClearEnvs(ctx, "temp", "a")
	require.NoError(t, err)
	tab, err := a.GetTable(ctx, "temp")
	require.NoError(t, err)
	require.Empty(t, tab.Envs)
	require.ErrorIs(t, a.SetEnvs(ctx, "none", map[string]string{"a": "1"}), client.ErrTableNotFound)
	require.ErrorIs(t, a.SetEnvs(ctx, "temp", nil), client.ErrInvalidArgument)
}

func TestCluster(t *testing.T) {
	c, a, ctx := setup(t)
	c.CreateTable("temp", 4)
	nodes, err := a.ListNodes(ctx)
	require.NoError(t, err)
	require.Len(t, nodes, 3)
	require.Equal(t, admin.Node{Addr: c.Node(0).Addr(), Alive: true}, nodes[0])
	facts, err := a.ClusterInfo(ctx)
	require.NoError(t, err)
	require.Equal(t, "fakekv", facts.Get("cluster_name"))
	old, err := a.SetLevel(ctx, admin.LevelLively)
	require.NoError(t, err)
	require.Equal(t, admin.LevelSteady, old)
	now, err := a.Level(ctx)
	require.NoError(t, err)
	require.Equal(t, "lively", now.String())
	n, err := a.SetReplicaCount(ctx, "temp", 1)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	n, err = a.ReplicaCount(ctx, "temp")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for _, addr := range []string{c.Node(0).Addr(), c.Metas()[0]} {
		text, err := a.RemoteCommand(ctx, addr, "echo", "hello", "world")
		require.NoError(t, err)
		require.Equal(t, "hello world", text)
	}
	l, err := admin.ParseLevel("steady")
	require.NoError(t, err)
	require.Equal(t, admin.LevelSteady, l)
	_, err = admin.ParseLevel("asleep")
	require.Error(t, err)
}

// A change that is not to be made twice is not repeated when its answer is lost.
func TestUnknownOutcome(t *testing.T) {
	c, a, ctx := setup(t)
	c.CreateTable("temp", 4)
	c.Script(fakekv.Match{RPC: "RENAME_APP"}, 1, fakekv.Action{Apply: true, Disconnect: true})
	err := a.RenameTable(ctx, "temp", "new")
	require.True(t, admin.IsUnknownOutcome(err), "%v", err)
	require.Equal(t, 1, c.Count("RENAME_APP"))
	_, err = a.GetTable(ctx, "new")
	require.NoError(t, err)
	c.Script(fakekv.Match{RPC: "DROP_APP"}, 1, fakekv.Action{Apply: true, Disconnect: true})
	require.NoError(t, a.DropTable(ctx, "new", admin.DropOptions{}), "idempotent: repeated")
}

// Any meta server may be down; one that does not lead sends us on.
func TestMetaServersFail(t *testing.T) {
	c, a, ctx := setup(t)
	c.CreateTable("temp", 4)
	c.Meta(0).Stop()
	c.Script(fakekv.Match{RPC: "DROP_APP", Node: c.Meta(1)}, 0, fakekv.Action{Error: "ERR_FORWARD_TO_OTHERS"})
	require.NoError(t, a.DropTable(ctx, "temp", admin.DropOptions{FailIfMissing: true}))
	require.Equal(t, 1, c.Applied("DROP_APP"))
	c.Meta(1).Stop()
	c.Meta(2).Stop()
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err := a.ListNodes(short)
	require.Error(t, err)
}

func Example() {
	cluster, err := fakekv.New(fakekv.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	ctx := context.Background()
	a, err := admin.Open(ctx, cluster.Metas())
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	if _, err := a.CreateTable(ctx, "users", admin.CreateOptions{Partitions: 8}); err != nil {
		log.Fatal(err)
	}
	tables, err := a.ListTables(ctx, admin.StatusAvailable)
	for _, t := range tables {
		fmt.Println(t.ID, t.Name, t.Partitions, t.Replicas, t.Status)
	}
	fmt.Println(err)
	// Output:
	// 1 users 8 3 available
	// <nil>
}
