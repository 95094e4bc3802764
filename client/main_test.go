package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/test/fakekv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup makes a cluster with table "temp" of 8 partitions and a client on it.
func setup(t testing.TB, opts ...client.Option) (*fakekv.Cluster, *client.Table) {
	t.Helper()
	c := fakekv.Start(t, fakekv.Options{})
	c.CreateTable("temp", 8)
	return c, open(t, c, opts...).Table("temp")
}

func open(t testing.TB, c *fakekv.Cluster, opts ...client.Option) *client.Client {
	t.Helper()
	cl, err := client.Open(background(t), c.Metas(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cl.Close()) })
	return cl
}

// background bounds a test: nothing in it should take long.
func background(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func b(s string) []byte { return []byte(s) }
