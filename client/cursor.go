package client

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/arionkv/arion/idl/key"
)

// Cursor is the place of a scanner, behind the last record delivered, with what
// it was asked to deliver. It is printable text and may be kept for as long as the
// table lives.
type Cursor string

// cursorFormat begins every cursor; another number is another layout.
const cursorFormat = 1

type cursorData struct {
	Format   int
	Table    string
	Ordered  bool `json:",omitempty"`
	HashKey  []byte
	Bounds   Range
	Options  ScanOptions
	Segments []segment
	Ended    bool `json:",omitempty"`
}

// Cursor gives the present place. Records that were fetched and not delivered yet
// are behind it.
func (s *Scanner) Cursor() Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := cursorData{Format: cursorFormat, Table: s.t.name, Ordered: s.ordered, HashKey: s.hashKey,
		Bounds: s.bounds, Options: s.o, Segments: s.segments, Ended: s.ended}
	b, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("client: cursor: %v", err)) // plain data always marshals
	}
	return Cursor(base64.RawURLEncoding.EncodeToString(b))
}

// ResumeScan makes a scanner that goes on at a cursor of this table.
func (t *Table) ResumeScan(c Cursor) (*Scanner, error) {
	bad := func(err error) error { return invalid("scan", t.name, "cursor: %w", err) }
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil {
		return nil, bad(err)
	}
	var d cursorData
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, bad(err)
	}
	if err := d.check(t.name); err != nil {
		return nil, bad(err)
	}
	return &Scanner{t: t, o: d.Options, ordered: d.Ordered, hashKey: d.HashKey, bounds: d.Bounds,
		segments: d.Segments, ended: d.Ended}, nil
}

func (d *cursorData) check(table string) error {
	switch {
	case d.Format != cursorFormat:
		return fmt.Errorf("format %d is unknown", d.Format)
	case d.Table != table:
		return fmt.Errorf("it belongs to table %q", d.Table)
	case len(d.Segments) == 0 || (d.Ordered && len(d.Segments) != 1):
		return fmt.Errorf("%d partitions", len(d.Segments))
	}
	for _, g := range d.Segments {
		if !d.Ordered && (g.Count < 1 || g.Partition < 0 || g.Partition >= g.Count || g.Count > 1<<20) {
			return fmt.Errorf("partition %d of %d", g.Partition, g.Count)
		}
		for _, k := range append(g.Seen[:], g.After) {
			if _, _, err := key.Decode(k); len(k) > 0 && err != nil {
				return err
			}
		}
	}
	return nil
}
