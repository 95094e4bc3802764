package wal

import (
	"bytes"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

// FuzzRecord: whatever is on the disk, decoding does not panic, and what is taken
// for a record is one to the last byte.
func FuzzRecord(f *testing.F) {
	rec := beginRecord(nil)
	rec = appendState(rec, 1, 2, pb.State{Term: 1, Vote: 2, Commit: 3}, 4)
	off := len(rec)
	rec = beginItem(rec, itemEntries, 0, 1, 2, 5, 1)
	rec = appendEntry(rec, &pb.Entry{Index: 5, Term: 1, Cmd: []byte("abc")})
	rec = endItem(rec, off)
	endRecord(rec, 0, 7, 8, 8)
	f.Add(rec)
	f.Add(rec[:recordLen])
	f.Fuzz(func(t *testing.T, data []byte) {
		n, _, err := parseRecord(data, 7, 8)
		if err != nil {
			return
		}
		items := 0
		err = eachItem(data[:n], func(it item) error {
			items++
			if it.kind == itemEntries || it.kind == itemMoved {
				_ = eachEntry(it.payload, func(*pb.Entry, []byte) bool { return true })
			}
			return nil
		})
		if err != nil || items == 0 && n != recordLen {
			t.Fatalf("valid record, but %v after %d items", err, items)
		}
	})
}

// FuzzManifest: a list that is accepted is what was written.
func FuzzManifest(f *testing.F) {
	f.Add(manifest{Format: format, Segments: []listedFile{{1, 8192, 100}, {Seq: 2, Size: 8192}}}.encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decodeManifest(raw)
		if err == nil && len(m.Segments) == 0 {
			t.Fatal("empty list accepted")
		}
		if err == nil {
			if again, err := decodeManifest(m.encode()); err != nil || !bytes.Equal(again.encode(), m.encode()) {
				t.Fatal("round trip", err)
			}
		}
	})
}
