package base_test

import (
	"context"
	"encoding/hex"
	"net"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/binproto"
	"github.com/arionkv/arion/idl/code"
)

var ctx = context.Background()

type message interface {
	Read(context.Context, thrift.TProtocol) error
	Write(context.Context, thrift.TProtocol) error
	String() string
}

func TestPayloads(t *testing.T) {
	address, err := base.ParseRPCAddress("127.0.0.1:34801")
	require.NoError(t, err)
	for _, tc := range []struct {
		name  string
		value message
		empty message // to read into
		hex   string
		text  string
	}{
		{"blob", base.BlobOf([]byte("ab")), base.NewBlob(), "000000026162", `"ab"`},
		{"error", base.ErrorCodeOf(code.OK), base.NewErrorCode(), "000000064552525f4f4b", "ERR_OK"},
		{"strange error", &base.ErrorCode{Errno: "ERR_X"}, base.NewErrorCode(), "000000054552525f58", "ERR_X"},
		{"task", &base.TaskCode{Name: "X"}, base.NewTaskCode(), "0000000158", "X"},
		{"gpid", &base.Gpid{AppID: 2, PartitionIndex: 7}, base.NewGpid(), "0000000700000002", "2.7"},
		{"negative gpid", &base.Gpid{AppID: -1, PartitionIndex: -1}, base.NewGpid(), "ffffffffffffffff", "-1.-1"},
		{"address", &address, &base.RPCAddress{}, "7f00000187f10001", "127.0.0.1:34801"},
		{"host port", &base.HostPort{Host: "h", Port: 34801, Kind: base.HostPortSingle}, base.NewHostPort(), "000000016887f101", "h:34801"},
		{"i64", &base.Int64{V: -2}, &base.Int64{}, "fffffffffffffffe", "-2"},
		{"string", &base.String{V: "ok"}, &base.String{}, "000000026f6b", "ok"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var w binproto.Writer
			require.NoError(t, tc.value.Write(ctx, &w))
			require.Equal(t, tc.hex, hex.EncodeToString(w.Buf))
			require.Equal(t, tc.text, tc.value.String())
			for n := range w.Buf {
				require.Error(t, tc.empty.Read(ctx, binproto.NewReader(w.Buf[:n])), "%d bytes", n)
			}
			r := binproto.NewReader(w.Buf)
			require.NoError(t, tc.empty.Read(ctx, r))
			require.Zero(t, r.Remaining())
			require.Equal(t, tc.value, tc.empty)
		})
	}
}

func TestNilIsWrittenEmpty(t *testing.T) {
	for _, tc := range []struct {
		value message
		hex   string
	}{
		{(*base.Blob)(nil), "00000000"},
		{(*base.ErrorCode)(nil), "0000000b4552525f554e4b4e4f574e"},
		{base.NewErrorCode(), "0000000b4552525f554e4b4e4f574e"},
		{(*base.TaskCode)(nil), "00000000"},
		{(*base.Gpid)(nil), "0000000000000000"},
		{(*base.RPCAddress)(nil), "0000000000000000"},
		{(*base.HostPort)(nil), "00000000000000"},
	} {
		var w binproto.Writer
		require.NoError(t, tc.value.Write(ctx, &w))
		require.Equal(t, tc.hex, hex.EncodeToString(w.Buf), "%T", tc.value)
		require.NotPanics(t, func() { _ = tc.value.String() })
	}
}

func TestRPCAddress(t *testing.T) {
	a := base.NewRPCAddress(net.ParseIP("10.1.2.3"), 65535)
	require.Equal(t, "10.1.2.3:65535", a.String())
	require.Equal(t, &base.HostPort{Host: "10.1.2.3", Port: 65535, Kind: base.HostPortSingle}, a.HostPort())
	again := base.RPCAddressFromRaw(a.Raw())
	require.True(t, a.Equals(&again))

	var none base.RPCAddress
	require.True(t, none.IsZero())
	require.Empty(t, none.String())
	require.Nil(t, none.HostPort())
	group := base.RPCAddressFromRaw(2)
	require.Contains(t, group.String(), "invalid")

	for _, bad := range []string{"", "localhost:1", "1.2.3.4", "[::1]:80", "1.2.3.4:70000"} {
		_, err := base.ParseRPCAddress(bad)
		require.Error(t, err, bad)
	}
	v6 := base.NewRPCAddress(net.ParseIP("::1"), 1)
	require.True(t, v6.IsZero())
}

func TestEqualsTakesNilForEmpty(t *testing.T) {
	require.True(t, (*base.Blob)(nil).Equals(base.NewBlob()))
	require.True(t, (*base.Gpid)(nil).Equals(base.NewGpid()))
	require.True(t, (*base.HostPort)(nil).Equals(base.NewHostPort()))
	require.False(t, base.BlobOf([]byte("a")).Equals(nil))
}

func TestErrorCode(t *testing.T) {
	require.Equal(t, code.Busy, base.ErrorCodeOf(code.Busy).Code())
	require.Equal(t, code.Unknown, (*base.ErrorCode)(nil).Code())
	require.Equal(t, code.Unknown, (&base.ErrorCode{Errno: "ERR_X"}).Code())
}
