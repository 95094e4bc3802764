package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseSize(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Size
		back string
	}{
		{"0", 0, "0"},
		{"17B", 17, "17B"},
		{"1KB", KB, "1KB"},
		{"1536 kb", 1536 * KB, "1536KB"},
		{"1024MB", GB, "1GB"},
		{" 2TB ", 2 * TB, "2TB"},
	} {
		got, err := ParseSize(tc.text)
		require.NoError(t, err, tc.text)
		require.Equal(t, tc.want, got, tc.text)
		require.Equal(t, tc.back, got.String(), tc.text)
	}
	for _, text := range []string{"", "12", "-1MB", "MB", "1.5GB", "9223372036854775807KB", "1 parsec"} {
		_, err := ParseSize(text)
		require.Error(t, err, "%q", text)
	}
}

func TestDerivedAddresses(t *testing.T) {
	for _, tc := range []struct{ rpc, raft, gossip string }{
		{"127.0.0.1:34601", "127.0.0.1:24601", "127.0.0.1:14601"},
		{"node-1.example:21025", "node-1.example:11025", "node-1.example:1025"},
		{"127.0.0.1:21024", "127.0.0.1:31024", "127.0.0.1:41024"},
		{"[::1]:7001", "[::1]:17001", "[::1]:27001"},
	} {
		raft, err := RaftAddressOf(tc.rpc)
		require.NoError(t, err)
		require.Equal(t, tc.raft, raft)
		c := Default()
		c.Meta.Servers = []string{tc.rpc}
		seeds, err := c.GossipSeeds()
		require.NoError(t, err)
		require.Equal(t, []string{tc.gossip}, seeds)
		c.RPC.Advertise = tc.rpc
		seeds, err = c.GossipSeeds()
		require.NoError(t, err)
		require.Empty(t, seeds, "a meta server is no seed of its own")
	}
	for _, bad := range []string{"", "host", "host:0", "host:65536", ":34801", "host:http"} {
		_, err := RaftAddressOf(bad)
		require.Error(t, err, "%q", bad)
	}
}

func TestListenAndAdvertise(t *testing.T) {
	c := Default()
	c.RPC.Listen, c.RPC.Advertise = "0.0.0.0:34801", "10.0.0.1:34801"
	require.NoError(t, c.Validate())
	require.Equal(t, "0.0.0.0:24801", c.RaftListen())
	require.Equal(t, "10.0.0.1:24801", c.RaftAddress())
	require.Equal(t, "0.0.0.0:14801", c.GossipListen())
	require.Equal(t, "10.0.0.1:14801", c.GossipAddress())

	c.Raft.Listen = "10.9.9.9:7000"
	require.Equal(t, "10.9.9.9:7000", c.RaftAddress())
}
