package wire

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/test/cluster"
)

// native speaks the protocol of the C++ client and shell.
type native struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	id   uint64
}

func dialNative(t *testing.T, addr string) *native {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &native{t: t, conn: c, r: bufio.NewReader(c)}
}

// call sends one request and returns the reply's header.
func (n *native) call(h frame.Header, arg, result frame.Message) frame.Header {
	n.t.Helper()
	n.id++
	h.Proto, h.ID = frame.ProtoRDSN, n.id
	_, err := n.conn.Write(frame.AppendRequest(nil, &h, arg))
	require.NoError(n.t, err)
	require.NoError(n.t, n.conn.SetReadDeadline(time.Now().Add(patience)))
	head, err := n.r.Peek(frame.Prefix)
	require.NoError(n.t, err)
	size, need, err := frame.ReplySize(frame.ProtoRDSN, head)
	if size == 0 && err == nil {
		head, err = n.r.Peek(need)
		require.NoError(n.t, err)
		size, _, err = frame.ReplySize(frame.ProtoRDSN, head)
	}
	require.NoError(n.t, err)
	raw := make([]byte, size)
	_, err = io.ReadFull(n.r, raw)
	require.NoError(n.t, err)
	reply, body, err := frame.ParseReply(frame.ProtoRDSN, raw)
	require.NoError(n.t, err)
	require.Equal(n.t, n.id, reply.ID, "correlation id")
	if reply.Error == "ERR_OK" {
		require.NoError(n.t, frame.Decode(body, result))
	}
	return reply
}

func TestNativeProtocol(t *testing.T) {
	c := cluster.Start(t, cluster.Options{})
	meta := dialNative(t, c.Metas()[0])
	created := admin.NewConfigurationCreateAppResponse()
	meta.call(frame.Header{Name: frame.RPCCreateApp}, &admin.ConfigurationCreateAppRequest{
		AppName: "native", Options: &admin.CreateAppOptions{
			PartitionCount: 4, ReplicaCount: 3, AppType: "pegasus", IsStateful: true,
		}}, created)
	require.Equal(t, "ERR_OK", created.Err.Errno)

	routing := admin.NewQueryCfgResponse()
	meta.call(frame.Header{Name: frame.RPCQueryConfig}, &admin.QueryCfgRequest{AppName: "native"}, routing)
	require.Equal(t, "ERR_OK", routing.Err.Errno)
	require.Len(t, routing.Partitions, 4)
	for _, p := range routing.Partitions {
		// The C++ side routes by these fields and cannot do without.
		require.NotNil(t, p.HpPrimary)
		require.EqualValues(t, 1, p.HpPrimary.Kind)
		require.Equal(t, p.Primary.String(), net.JoinHostPort(p.HpPrimary.Host, itoa(p.HpPrimary.Port)))
		require.Len(t, p.HpSecondaries, 2)
	}
	nodes := admin.NewConfigurationListNodesResponse()
	meta.call(frame.Header{Name: frame.RPCListNodes}, admin.NewConfigurationListNodesRequest(), nodes)
	require.Len(t, nodes.Infos, 3)
	for _, n := range nodes.Infos {
		require.NotNil(t, n.HpNode)
	}
	readAndWriteNative(t, routing)

	lost := meta.call(frame.Header{Name: "RPC_NO_SUCH_CALL"}, &base.Blob{}, nil)
	require.Equal(t, code.HandlerNotFound.String(), lost.Error)
}

func readAndWriteNative(t *testing.T, routing *admin.QueryCfgResponse) {
	hash := key.Hash([]byte("h"), []byte("s"))
	index := key.PartitionIndex(hash, routing.PartitionCount)
	h := frame.Header{AppID: routing.AppID, PartitionIndex: index, PartitionHash: hash}
	leader := dialNative(t, routing.Partitions[index].Primary.String())
	encoded := base.BlobOf(key.Append(nil, []byte("h"), []byte("s")))

	h.Name = frame.RPCPut
	put := rrdb.NewUpdateResponse()
	leader.call(h, &rrdb.UpdateRequest{Key: encoded, Value: base.BlobOf([]byte("v"))}, put)
	require.Zero(t, put.Error)
	h.Name = frame.RPCGet
	get := rrdb.NewReadResponse()
	leader.call(h, encoded, get)
	require.Zero(t, get.Error)
	require.Equal(t, "v", string(get.Value.Bytes()))

	follower := dialNative(t, routing.Partitions[index].Secondaries[0].String())
	require.Equal(t, code.InvalidState.String(), follower.call(h, encoded, get).Error)
	// clear_scanner is one-way: the next reply on the connection is the next call's.
	h.Name = frame.RPCClearScanner
	leader.id++
	h.Proto, h.ID = frame.ProtoRDSN, leader.id
	_, err := leader.conn.Write(frame.AppendRequest(nil, &h, &base.Int64{V: 12345}))
	require.NoError(t, err)
	h.Name = frame.RPCTTL
	ttl := rrdb.NewTTLResponse()
	leader.call(h, encoded, ttl)
	require.EqualValues(t, -1, ttl.TTLSeconds)
}

func itoa(port uint16) string { return strconv.Itoa(int(port)) }
