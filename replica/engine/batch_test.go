package engine

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/record"
)

func TestBatchGoldenBytes(t *testing.T) {
	var b Batch
	b.Put([]byte("k"), []byte("vv"))
	b.Delete([]byte("dead"))
	b.DeleteRange([]byte("a"), []byte("b"))
	require.Equal(t, "0000000000000000"+"03000000"+
		"01"+"016b"+"027676"+
		"00"+"0464656164"+
		"0f"+"0161"+"0162", hex.EncodeToString(b.Repr()))
	require.Equal(t, 3, b.Len())
	require.Equal(t, len(b.Repr()), b.Size())
	b.Reset()
	require.Equal(t, make([]byte, 12), b.Repr())
}

func TestBatchPutHeaderEqualsPut(t *testing.T) {
	h := record.Header{Expire: 9, Index: 8, WriteTimeMS: 7}
	for _, n := range []int{0, 1, 108, 109, 16364, 16365, 1 << 20} {
		v := bytes.Repeat([]byte{'v'}, n)
		var a, b Batch
		a.PutHeader([]byte("key"), h, v)
		b.Put([]byte("key"), record.Append(nil, h, v))
		require.True(t, bytes.Equal(b.Repr(), a.Repr()), "value of %d bytes", n)
	}
}

func TestBatchDeleteRange(t *testing.T) {
	var b Batch
	b.DeleteRange([]byte("b"), []byte("a"))
	b.DeleteRange([]byte("a"), []byte("a"))
	b.DeleteRange([]byte{0xff, 0xff, 1}, nil)
	require.Equal(t, 0, b.Len(), "empty ranges write nothing")
	b.DeleteRange([]byte("a"), nil)
	require.Equal(t, []string{"15 \"a\" \"\\xff\\xff\""}, listed(&b))
}

func TestParseBatch(t *testing.T) {
	var b Batch
	b.Put(nil, nil)
	b.Put([]byte("k"), bytes.Repeat([]byte("v"), 300))
	b.Delete([]byte("d"))
	b.DeleteRange([]byte("a"), []byte("z"))
	again, err := ParseBatch(bytes.Clone(b.Repr()))
	require.NoError(t, err)
	require.Equal(t, listed(&b), listed(again))
	require.Equal(t, b.Len(), again.Len())

	repr := b.Repr()
	for i := range repr {
		_, err := ParseBatch(repr[:i:i])
		require.ErrorIs(t, err, ErrBadBatch, "cut at %d", i)
	}
	for name, bad := range map[string]string{
		"unknown kind": "0000000000000000" + "01000000" + "02016b",
		"count":        "0000000000000000" + "02000000" + "00016b",
		"lying length": "0000000000000000" + "01000000" + "00ffffffff0f6b",
		"huge length":  "0000000000000000" + "01000000" + "00ffffffffffffffff7f",
		"long varint":  "0000000000000000" + "01000000" + "00ffffffffffffffffffffff01",
	} {
		raw, err := hex.DecodeString(bad)
		require.NoError(t, err)
		_, err = ParseBatch(raw)
		require.ErrorIs(t, err, ErrBadBatch, name)
	}
}

func listed(b *Batch) (out []string) {
	b.Each(func(k Kind, key, value []byte) { out = append(out, fmt.Sprintf("%d %q %q", k, key, value)) })
	return out
}

func FuzzParseBatch(f *testing.F) {
	var b Batch
	b.Put([]byte("k"), []byte("v"))
	b.DeleteRange([]byte("a"), []byte("b"))
	f.Add(b.Repr())
	f.Fuzz(func(t *testing.T, repr []byte) {
		p, err := ParseBatch(bytes.Clone(repr))
		if err != nil {
			return
		}
		n := 0
		p.Each(func(Kind, []byte, []byte) { n++ })
		if n != p.Len() {
			t.Fatalf("%d records, Len says %d", n, p.Len())
		}
	})
}
