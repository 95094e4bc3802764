package raft

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestTargets(t *testing.T) {
	for _, id := range []int64{1, 0x7fffffffffffffff, 0x0123456789abcdef} {
		got, ok := NodeTarget(id).NodeID()
		require.True(t, ok)
		require.Equal(t, id, got)
	}
	require.EqualValues(t, "6e6f6465-0000-8000-0123-456789abcdef", NodeTarget(0x0123456789abcdef))
	_, ok := AddressTarget("127.0.0.1:1").NodeID()
	require.False(t, ok)
	require.NotEqual(t, AddressTarget("127.0.0.1:1"), AddressTarget("127.0.0.1:2"))

	for text, want := range map[string]Target{
		"n0123456789abcdef":        NodeTarget(0x0123456789abcdef),
		"127.0.0.1:24601":          AddressTarget("127.0.0.1:24601"),
		"node7.example:24601":      AddressTarget("node7.example:24601"),
		"[::1]:24601":              AddressTarget("[::1]:24601"),
		string(NodeTarget(3)):      NodeTarget(3),
		string(AddressTarget("x")): AddressTarget("x"),
		"":                         "",
		"n":                        "",
		"nothing":                  "",
		"127.0.0.1":                "",
		"127.0.0.1:0":              "",
		"127.0.0.1:99999":          "",
	} {
		got, err := ParseTarget(text)
		require.Equal(t, want == "", err != nil, text)
		require.Equal(t, want, got, text)
	}
}

func TestBookOutlivesRestarts(t *testing.T) {
	dir := t.TempDir()
	b, err := OpenBook(dir)
	require.NoError(t, err)
	require.Empty(t, b.Lookup(NodeTarget(1)))
	require.NoError(t, b.Set(map[Target]string{NodeTarget(1): "127.0.0.1:1", NodeTarget(2): "127.0.0.1:2"}))
	require.NoError(t, b.Set(map[Target]string{NodeTarget(1): "127.0.0.1:3"}))
	require.Error(t, b.Set(map[Target]string{NodeTarget(1): "nowhere"}))

	b, err = OpenBook(dir)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:3", b.Lookup(NodeTarget(1)))
	require.Equal(t, "127.0.0.1:2", b.Lookup(NodeTarget(2)))

	require.NoError(t, os.WriteFile(filepath.Join(dir, bookFile), []byte("{"), 0o644))
	b, err = OpenBook(dir)
	require.NoError(t, err, "a damaged book is an empty one")
	require.Empty(t, b.Lookup(NodeTarget(1)))
}

func TestRegistry(t *testing.T) {
	b, err := OpenBook(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, b.Set(map[Target]string{NodeTarget(1): "127.0.0.1:1", NodeTarget(2): "127.0.0.1:2"}))
	r := newRegistry(b)
	resolve := func(shard, replica uint64) string {
		addr, _, _ := r.Resolve(shard, replica)
		return addr
	}
	_, _, err = r.Resolve(9, 1)
	require.ErrorIs(t, err, errUnknownPeer)
	r.Add(9, 1, string(NodeTarget(1)))
	require.Equal(t, "127.0.0.1:1", resolve(9, 1))

	r.Add(9, 1, string(NodeTarget(77)))
	require.Equal(t, "127.0.0.1:1", resolve(9, 1), "a target that leads nowhere")
	r.Add(9, 1, "garbage")
	require.Equal(t, "127.0.0.1:1", resolve(9, 1))
	r.Add(9, 1, string(NodeTarget(2)))
	require.Equal(t, "127.0.0.1:2", resolve(9, 1))

	require.NoError(t, b.Set(map[Target]string{NodeTarget(2): "127.0.0.1:22"}))
	require.Equal(t, "127.0.0.1:22", resolve(9, 1), "a peer that moved")

	r.Add(9, 2, string(NodeTarget(1)))
	r.Add(8, 1, string(NodeTarget(1)))
	r.Remove(9, 1)
	require.Empty(t, resolve(9, 1))
	r.RemoveShard(9)
	require.Empty(t, resolve(9, 2))
	require.NotEmpty(t, resolve(8, 1))
}
