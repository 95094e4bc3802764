package client_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client"
	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
)

// echoTable is a table on a server that answers data calls from canned frames,
// without allocating and without looking further than the sequence number.
func echoTable(t testing.TB, opts ...client.Option) *client.Table {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go echo(nc, ln.Addr().String())
		}
	}()
	cl, err := client.Open(background(t), []string{ln.Addr().String()}, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { cl.Close() })
	tab := cl.Table("temp")
	_, err = tab.Get(background(t), b("h"), b("s"))
	require.NoError(t, err)
	return tab
}

func echo(nc net.Conn, addr string) {
	defer nc.Close()
	in, out := bufio.NewReaderSize(nc, 64<<10), bufio.NewWriterSize(nc, 64<<10)
	request := make([]byte, 0, 4096)
	canned := map[string][]byte{}
	for {
		head, err := in.Peek(48)
		if err != nil {
			return
		}
		n := 48 + int(binary.BigEndian.Uint32(head[16:]))
		if cap(request) < n {
			request = make([]byte, n)
		}
		request = request[:n]
		if _, err := io.ReadFull(in, request); err != nil {
			return
		}
		nameLen := int(binary.BigEndian.Uint32(request[52:]))
		name := request[56 : 56+nameLen]
		reply := canned[string(name)]
		if reply == nil {
			reply = cannedReply(request, addr)
			canned[string(name)] = reply
		}
		// total, ERR_OK, version, name: the sequence number follows.
		at := 4 + 4 + len("ERR_OK") + 4 + 4 + nameLen + len("_ACK")
		if strings.HasPrefix(string(name), "RPC_ARION") {
			at += len("ERR_HANDLER_NOT_FOUND") - len("ERR_OK")
		}
		copy(reply[at:], request[56+nameLen:60+nameLen])
		out.Write(reply)
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}

func cannedReply(request []byte, addr string) []byte {
	h, _, err := frame.ParseRequest(request)
	if err != nil {
		panic(err)
	}
	switch {
	case strings.HasSuffix(h.Name, "_GET"):
		return frame.AppendReply(nil, &h, "ERR_OK", &rrdb.ReadResponse{Value: base.BlobOf(make([]byte, 128)), Server: addr})
	case strings.HasSuffix(h.Name, "_PUT"):
		return frame.AppendReply(nil, &h, "ERR_OK", &rrdb.UpdateResponse{Server: addr})
	case strings.HasSuffix(h.Name, "BY_INDEX"):
		a, _ := base.ParseRPCAddress(addr)
		return frame.AppendReply(nil, &h, "ERR_OK", &admin.QueryCfgResponse{Err: &base.ErrorCode{Errno: "ERR_OK"},
			AppID: 1, PartitionCount: 1, IsStateful: true, Partitions: []*admin.PartitionConfiguration{
				{Pid: &base.Gpid{AppID: 1}, Ballot: 1, Primary: &a}}})
	}
	return frame.AppendReply(nil, &h, "ERR_HANDLER_NOT_FOUND", nil)
}
