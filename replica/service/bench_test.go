package service_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/test/cluster"
)

// BenchmarkGet is a get over the whole path of a server: socket, lease, RocksDB,
// socket; 64 in flight on one connection. The client neither allocates nor
// decodes, so allocations are the server's.
func BenchmarkGet(b *testing.B) {
	c := cluster.Start(b, cluster.Options{Replicas: 1})
	ctx := context.Background()
	a, err := admin.Open(ctx, c.Metas())
	require.NoError(b, err)
	defer a.Close()
	id, err := a.CreateTable(ctx, "t", admin.CreateOptions{Partitions: 2, Replicas: 1})
	require.NoError(b, err)
	require.NoError(b, a.WaitReady(ctx, "t"))
	value := make([]byte, 100)
	require.NoError(b, a.Client().Table("t").Set(ctx, []byte("user1"), []byte("s"), value))

	encoded := key.Append(nil, []byte("user1"), []byte("s"))
	hash, err := key.HashOf(encoded)
	require.NoError(b, err)
	h := frame.Header{Proto: frame.ProtoTHFT0, AppID: id, PartitionIndex: int32(hash % 2), PartitionHash: hash, Name: frame.RPCGet, Seq: 1}
	one := frame.AppendRequest(nil, &h, &base.Blob{Data: encoded})
	const window = 64
	var burst []byte
	for range window {
		burst = append(burst, one...)
	}
	conn, err := net.Dial("tcp", c.Addr("replica1"))
	require.NoError(b, err)
	defer conn.Close()
	require.NoError(b, conn.SetDeadline(time.Now().Add(time.Minute)))
	reply := firstReply(b, conn, one, value)
	in := make([]byte, window*reply)

	b.ReportAllocs()
	b.ResetTimer()
	for range b.N/window + 1 {
		if _, err := conn.Write(burst); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, in); err != nil {
			b.Fatal(err)
		}
	}
}

// firstReply makes one call and returns the length of its reply.
func firstReply(b *testing.B, conn net.Conn, request, value []byte) int {
	_, err := conn.Write(request)
	require.NoError(b, err)
	buf, have := make([]byte, 4096), 0
	for {
		n, err := conn.Read(buf[have:])
		require.NoError(b, err)
		have += n
		size, _, err := frame.ReplySize(frame.ProtoTHFT0, buf[:have])
		require.NoError(b, err)
		if size > 0 && have >= size {
			_, body, err := frame.ParseReply(frame.ProtoTHFT0, buf[:size])
			require.NoError(b, err)
			require.Contains(b, string(body), string(value), fmt.Sprintf("%x", buf[:size]))
			return size
		}
	}
}
