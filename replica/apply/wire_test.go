package apply

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/binproto"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
)

// FuzzDecodePut holds the hand-written decoder to the generated one.
func FuzzDecodePut(f *testing.F) {
	yes := true
	f.Add(args(&rrdb.UpdateRequest{Key: blob("k"), Value: blob("v"), ExpireTsSeconds: -1}))
	f.Add(args(&rrdb.UpdateRequest{
		Key: blob("k"), Type: new(rrdb.UpdateType), CheckValueReturned: &yes, CheckValueExist: &yes, CheckValue: blob("c"),
	}))
	f.Add([]byte{11, 0, 1, 0, 0, 0, 1, 'k', 0})              // the key tagged as string is skipped
	f.Add([]byte{12, 0, 9, 8, 0, 1, 0, 0, 0, 1, 0, 0})       // an unknown struct
	f.Add([]byte{8, 0, 1, 0, 0, 0, 1, 12, 0, 3, 0, 0, 0})    // tags swapped
	f.Add([]byte{12, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0})    // negative length
	f.Add([]byte{15, 0, 1, 12, 0x7f, 0xff, 0xff, 0xff, 'x'}) // long list
	f.Fuzz(func(t *testing.T, payload []byte) {
		var want rrdb.UpdateRequest
		wantErr := frame.Decode(payload, &want)
		var r binproto.Reader
		got, err := decodePut(&r, payload)
		require.Equal(t, wantErr == nil, err == nil, "%v, generated code says %v", err, wantErr)
		if err != nil {
			return
		}
		require.Equal(t, string(want.Key.Bytes()), string(got.key))
		require.Equal(t, string(want.Value.Bytes()), string(got.value))
		require.Equal(t, uint32(want.ExpireTsSeconds), got.expire)
	})
}

func FuzzValidate(f *testing.F) {
	f.Add(uint8(3), multiPut("h", 1, "a", "b").Payload)
	f.Add(uint8(6), cas(rrdb.CheckAndSetRequest{HashKey: base.BlobOf([]byte("h"))}).Payload)
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		k := command.Put + command.Kind(kind)%7
		a, b := New(Identity{}, State{}), new(engine.Batch)
		refusal, err := a.Validate(k, payload)
		e, decodeErr := command.Decode(entry(command.Header{}, command.Op{Kind: k, Payload: payload}))
		require.NoError(t, decodeErr)
		applied, applyErr := a.Apply(storage{}, e, 1, b)
		require.NoError(t, applyErr)
		if refusal != nil || err != nil {
			require.EqualValues(t, 4, status(applied[0]))
			require.Zero(t, b.Len(), "refused, and yet written")
		}
	})
}
