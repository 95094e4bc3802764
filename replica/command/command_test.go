package command

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	h := Header{StampMS: 1_700_000_000_123, DefaultTTL: 60}
	ops := []Op{{Put, []byte("a")}, {Remove, nil}, {CheckAndMutate, bytes.Repeat([]byte("x"), 300)}, {Noop, nil}}
	b := AppendHeader(nil, h)
	for _, op := range ops {
		b = AppendOp(b, op.Kind, op.Payload)
	}
	e, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if e.Header != h || e.Len() != len(ops) {
		t.Fatalf("header %+v, %d ops", e.Header, e.Len())
	}
	i := 0
	for c := e.Ops(); c.Next(); i++ {
		if c.Op.Kind != ops[i].Kind || !bytes.Equal(c.Op.Payload, ops[i].Payload) {
			t.Errorf("op %d: got %+v", i, c.Op)
		}
	}
	if i != len(ops) {
		t.Errorf("walked %d ops", i)
	}
}

// TestGolden pins the bytes: entries are on disk.
func TestGolden(t *testing.T) {
	b := AppendHeader(nil, Header{StampMS: 0x0102030405060708, DefaultTTL: 0x0a0b0c0d})
	b = AppendOp(b, Put, []byte("pq"))
	b = AppendOp(b, Noop, nil)
	want := "\x01\x01\x02\x03\x04\x05\x06\x07\x08\x0a\x0b\x0c\x0d\x01\x02pq\x40\x00"
	if string(b) != want {
		t.Errorf("got  %x\nwant %x", b, want)
	}
	SetStamp(b, 7)
	if e, err := Decode(b); err != nil || e.StampMS != 7 {
		t.Errorf("after SetStamp: %+v, %v", e, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	head := AppendHeader(nil, Header{StampMS: 1})
	with := func(ops ...byte) []byte { return append(bytes.Clone(head), ops...) }
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, ErrCorrupt},
		{"version 0", make([]byte, 20), ErrVersion},
		{"version 4", append([]byte{4}, head[1:]...), ErrVersion},
		{"version 2 without its kind", append([]byte{2}, with(64, 0)[1:]...), ErrCorrupt},
		{"split in version 1", with(65, 0), ErrCorrupt},
		{"split beside another", append(AppendSplit(nil, Header{}, nil), 64, 0), ErrCorrupt},
		{"half a header", head[:5], ErrCorrupt},
		{"no op", head, ErrCorrupt},
		{"kind 0", with(0, 0), ErrCorrupt},
		{"kind 8", with(8, 0), ErrCorrupt},
		{"kind 255", with(255, 0), ErrCorrupt},
		{"no length", with(1), ErrCorrupt},
		{"length cut", with(1, 0x80), ErrCorrupt},
		{"length not shortest", with(1, 0x80, 0), ErrCorrupt},
		{"payload cut", with(1, 2, 'x'), ErrCorrupt},
		{"second op cut", with(1, 1, 'x', 2, 1), ErrCorrupt},
		{"length over 64 bits", with(append([]byte{1}, bytes.Repeat([]byte{0xff}, 11)...)...), ErrCorrupt},
		{"length of max uint64", with(append([]byte{1}, binary.AppendUvarint(nil, math.MaxUint64)...)...), ErrCorrupt},
		{"length over MaxPayload", with(append([]byte{1}, binary.AppendUvarint(nil, MaxPayload+1)...)...), ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Decode(tt.in); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestMaxPayloadFitsItsLength(t *testing.T) {
	if n := len(binary.AppendUvarint(nil, MaxPayload)); n != maxUvarint {
		t.Errorf("length of MaxPayload takes %d bytes, maxUvarint is %d", n, maxUvarint)
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	b := AppendOp(AppendHeader(nil, Header{}), Put, []byte("payload"))
	n := testing.AllocsPerRun(100, func() {
		e, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		for c := e.Ops(); c.Next(); {
			_ = c.Op
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestKindNames(t *testing.T) {
	for k := range 256 {
		kind := Kind(k)
		if named := !strings.HasPrefix(kind.String(), "kind("); named != kind.known() {
			t.Errorf("%v: named %v, known %v", kind, named, kind.known())
		}
	}
	if Incr.Idempotent() || CheckAndSet.Idempotent() || CheckAndMutate.Idempotent() || !Put.Idempotent() {
		t.Error("wrong idempotence")
	}
}

func TestSplit(t *testing.T) {
	s := Split{From: 4, To: 8, Attempt: 3}
	b := AppendSplit(nil, Header{StampMS: 1}, s.AppendTo(nil))
	want := "\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x41\x0c\x00\x00\x00\x04\x00\x00\x00\x08\x00\x00\x00\x03"
	if string(b) != want {
		t.Errorf("got  %x\nwant %x", b, want)
	}
	e, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	op, ok := e.Alone()
	if !ok || op.Kind != KindSplit {
		t.Fatalf("got %v, %v", op, ok)
	}
	if got, err := DecodeSplit(op.Payload); got != s || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []Split{{}, {4, 4, 1}, {4, 16, 1}, {-4, -8, 1}, {4, 8, 0}, {0, 0, 1}, {1 << 30, math.MinInt32, 1}} {
		if _, err := DecodeSplit(bad.AppendTo(nil)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := DecodeSplit(s.AppendTo([]byte{0})); !errors.Is(err, ErrCorrupt) {
		t.Error("too long and accepted")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(AppendSplit(nil, Header{StampMS: 5}, Split{From: 1, To: 2, Attempt: 1}.AppendTo(nil)))
	f.Add(AppendOp(AppendHeader(nil, Header{StampMS: 5, DefaultTTL: 6}), Incr, []byte("body")))
	f.Add(AppendOp(AppendHeader(nil, Header{}), Noop, nil))
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		again, n := AppendHeader(nil, e.Header), 0
		if op, ok := e.Alone(); ok {
			if again = AppendSplit(nil, e.Header, op.Payload); !bytes.Equal(again, b) {
				t.Fatalf("got %x, want %x", again, b)
			}
			return
		}
		for c := e.Ops(); c.Next(); n++ {
			again = AppendOp(again, c.Op.Kind, c.Op.Payload)
		}
		if n != e.Len() || !bytes.Equal(again, b) {
			t.Fatalf("%d of %d ops, got %x, want %x", n, e.Len(), again, b)
		}
	})
}
