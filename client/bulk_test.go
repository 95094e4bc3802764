package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/client/internal/conn"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
)

// A value in a reply whose memory is the call's own is not copied.
func TestLargeValueIsHandedOver(t *testing.T) {
	r, err := wire.ParseReply(frame.AppendReply(nil, &frame.Header{}, "ERR_OK", &rrdb.ReadResponse{Value: base.BlobOf([]byte("value"))}))
	require.NoError(t, err)
	_, inside, err := wire.DecodeValue(r.Body)
	require.NoError(t, err)
	for _, own := range []bool{false, true} {
		var c call
		if own {
			c.own = r.Body
		}
		value, err := decodeValue(&c, r.Body)
		require.NoError(t, err)
		require.Equal(t, "value", string(value))
		require.Equal(t, own, &value[0] == &inside[0])
		require.Equal(t, own, &c.keep(r.Body)[0] == &r.Body[0])
	}
}

// A write that was not sent because its time was too short has surely not happened.
func TestRefusedBeforeSending(t *testing.T) {
	c := call{t: &Table{name: "t"}, op: &opSet, placed: 1}
	e := c.errorLocked(conn.ErrSlow)
	require.ErrorIs(t, e, ErrBusy)
	require.True(t, IsRetryable(e))
	require.False(t, IsUnknownOutcome(e))
}
