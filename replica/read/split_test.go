package read

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
	"github.com/arionkv/arion/replica/record"
)

// halved is partition 1 of a table with 2 partitions, split from 1 of 1 with all
// records still stored.
func halved(t *testing.T) (*Reader, View, []string, []string) {
	e, err := mem.Opener{}.Open(t.TempDir()+"/e", engine.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	var b engine.Batch
	var own, gone []string
	for i := range 40 {
		h := fmt.Sprintf("h%02d", i)
		b.PutHeader(key.Append(nil, []byte(h), []byte("s")), record.Header{Index: 1}, []byte(h))
		b.PutHeader(key.Append(nil, nil, []byte(h)), record.Header{Index: 1}, []byte(h))
		if key.PartitionIndex(key.Hash([]byte(h), nil), 2) == 1 {
			own = append(own, h)
		} else {
			gone = append(gone, h)
		}
	}
	require.NoError(t, e.Apply(&b))
	r := &Reader{TableID: 1, PartitionIndex: 1, Contexts: NewContextTable(ContextOptions{}).Partition()}
	return r, View{Engine: e, Limits: DefaultLimits()}, own, gone
}

// TestForeignAfterASplit: no read shows what belongs to the other half, whatever
// the request says about validation.
func TestForeignAfterASplit(t *testing.T) {
	r, v, own, gone := halved(t)
	blob := func(s string) *base.Blob { return base.BlobOf([]byte(s)) }
	reads := map[string]func(View, string) error{
		"get": func(v View, h string) error {
			_, err := r.Get(v, key.Append(nil, []byte(h), []byte("s")), nil)
			return err
		},
		"ttl":                  func(v View, h string) error { _, err := r.TTL(v, key.Append(nil, []byte(h), []byte("s"))); return err },
		"get without hash key": func(v View, h string) error { _, err := r.Get(v, key.Append(nil, nil, []byte(h)), nil); return err },
		"multi_get": func(v View, h string) error {
			_, err := r.MultiGet(v, &rrdb.MultiGetRequest{HashKey: blob(h)})
			return err
		},
		"points without hash key": func(v View, h string) error {
			_, err := r.MultiGet(v, &rrdb.MultiGetRequest{SortKeys: []*base.Blob{blob(own[0]), blob(h)}})
			return err
		},
		"count": func(v View, h string) error { _, err := r.SortKeyCount(v, []byte(h)); return err },
		"batch_get": func(v View, h string) error {
			_, err := r.BatchGet(v, &rrdb.BatchGetRequest{Keys: []*rrdb.FullKey{{HashKey: blob(own[0]), SortKey: blob("s")}, {HashKey: blob(h), SortKey: blob("s")}}})
			return err
		},
		"scan of a hash key": func(v View, h string) error {
			no := false
			_, err := r.GetScanner(v, &rrdb.GetScannerRequest{StartKey: base.BlobOf(key.Append(nil, []byte(h), nil)), StartInclusive: true, ValidatePartitionHash: &no})
			return err
		},
	}
	split := v
	split.HashCount = 2
	for name, read := range reads {
		require.NoError(t, read(v, gone[0]), "%s before the split", name)
		require.NoError(t, read(split, own[1]), name)
		require.ErrorIs(t, read(split, gone[0]), ErrForeign, name)
	}
	count, err := r.SortKeyCount(split, nil)
	require.NoError(t, err)
	require.EqualValues(t, len(own), count.Count, "without a hash key each record has a hash of its own")
}

func TestScansAcrossASplit(t *testing.T) {
	r, v, own, _ := halved(t)
	no, yes := false, true
	whole := func(batch int32) *rrdb.GetScannerRequest {
		return &rrdb.GetScannerRequest{StartKey: base.BlobOf([]byte{0, 1, 0}), StartInclusive: true, FullScan: &yes, StopKey: base.BlobOf([]byte{0xff, 0xff}), BatchSize: batch, ValidatePartitionHash: &no}
	}
	split := v
	split.HashCount = 2

	reply, err := r.GetScanner(v, whole(5))
	require.NoError(t, err)
	before := scanned(t, reply)
	require.Len(t, before.Kvs, 5)
	for range 2 { // as often as a client asks
		_, err = r.Scan(split, &rrdb.ScanRequest{ContextID: before.ContextID})
		require.ErrorIs(t, err, ErrForeign, "part of what is left may be elsewhere")
	}
	_, err = r.Scan(v, &rrdb.ScanRequest{ContextID: before.ContextID})
	require.NoError(t, err)

	reply, err = r.GetScanner(split, whole(1000))
	require.NoError(t, err)
	after := scanned(t, reply)
	require.Equal(t, int32(code.StatusOK), after.Error)
	var got []string
	for _, kv := range after.Kvs {
		h, _, err := key.Decode(kv.Key.Bytes())
		require.NoError(t, err)
		got = append(got, string(h))
	}
	require.Equal(t, own, got)
}

func scanned(t *testing.T, reply *RangeReply) *rrdb.ScanResponse {
	defer reply.Release()
	resp := new(rrdb.ScanResponse)
	require.NoError(t, frame.Decode(frame.AppendMessage(nil, reply), resp))
	return resp
}
