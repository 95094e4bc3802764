package raft

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// A peer that restarted has closed the connection to its former life. The next
// message must reach the new one: it may be the vote request of the only election
// that counts, and the next round of one is half a second away.
func TestMessageReachesRestartedPeer(t *testing.T) {
	m, err := newMetrics(nil, nil)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	accept := func() net.Conn {
		c, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
		hello := make([]byte, helloLen)
		_, err = c.Read(hello)
		require.NoError(t, err)
		return c
	}
	tr := &transport{log: logrus.NewEntry(logrus.New()), metrics: m, guard: newGuard(0, time.Now)}
	conn, err := tr.GetConnection(context.Background(), l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	former := accept()
	require.NoError(t, former.Close())
	require.Eventually(t, conn.(*messageConn).gone, 10*time.Second, time.Millisecond, "the close is not noticed")

	batch := raftpb.MessageBatch{Requests: []raftpb.Message{{Type: raftpb.Replicate, ShardID: 1, From: 1, To: 2}}}
	require.NoError(t, conn.SendMessageBatch(batch))
	now := accept()
	defer now.Close()
	body, err := readFrame(now, nil)
	require.NoError(t, err)
	var got raftpb.MessageBatch
	require.NoError(t, decodeBatch(body, &got))
	require.Len(t, got.Requests, 1)
}
