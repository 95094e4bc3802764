package frame

import (
	"testing"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/rrdb"
)

// sized says how large it gets.
type sized struct{ *rrdb.ScanResponse }

func (s sized) EncodedSize() int {
	n := replyOverhead
	for _, kv := range s.Kvs {
		n += recordSize(kv.Key, kv.Value)
	}
	return n
}

// largeReplies hold so many records each, all their parts set.
func largeReplies(records int) []Message {
	blob, expire := &base.Blob{Data: make([]byte, 50)}, int32(7)
	kvs, data := make([]*rrdb.KeyValue, records), make([]*rrdb.FullData, records)
	for i := range kvs {
		kvs[i] = &rrdb.KeyValue{Key: blob, Value: blob, ExpireTsSeconds: &expire}
		data[i] = &rrdb.FullData{HashKey: blob, SortKey: blob, Value: blob}
	}
	const server = "127.0.0.1:34801"
	return []Message{
		&sized{&rrdb.ScanResponse{Kvs: kvs, Server: server}},
		&rrdb.BatchGetResponse{Data: data, Server: server},
	}
}

// A large reply takes one allocation, whatever its size, and wastes little.
func TestLargeRepliesAreOneAllocation(t *testing.T) {
	for _, h := range []Header{{Name: RPCScan, Seq: 1}, {Proto: ProtoRDSN, Name: RPCScan, ID: 1}} {
		for _, m := range largeReplies(1000) {
			var b []byte
			if got := testing.AllocsPerRun(50, func() { b = AppendReply(nil, &h, "ERR_OK", m) }); got > 2 { // a pool under the race detector forgets
				t.Errorf("%T: %v allocations", m, got)
			}
			if cap(b) > len(b)+len(b)/2 {
				t.Errorf("%T: %d bytes reserved for %d", m, cap(b), len(b))
			}
		}
	}
}

func TestNoRoomIsMadeForNothing(t *testing.T) {
	for _, m := range []Message{nil, (*rrdb.BatchGetResponse)(nil), &rrdb.BatchGetResponse{}, &rrdb.ReadResponse{}} {
		if got := makeRoom(nil, m); got != nil {
			t.Errorf("%T: %d bytes", m, cap(got))
		}
	}
	makeRoom(nil, &rrdb.BatchGetResponse{Data: []*rrdb.FullData{nil, {}}})
}

func BenchmarkAppendLargeReply(b *testing.B) {
	m, h := largeReplies(1000)[0], Header{Name: RPCScan, Seq: 1}
	b.ReportAllocs()
	for b.Loop() {
		AppendReply(nil, &h, "ERR_OK", m)
	}
}
