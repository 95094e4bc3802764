package frame_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/arionkv/arion/idl/frame"
)

// FuzzParseRequest: no bytes make a parser panic, a frame cut anywhere never
// changes its size, and what parses can be framed again with the same meaning.
func FuzzParseRequest(f *testing.F) {
	for _, g := range goldenFrames(f) {
		f.Add(unhex(f, g.Hex))
	}
	for _, x := range exchanges(f) {
		f.Add(unhex(f, x.RequestHex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, _, sizeErr := frame.RequestSize(b)
		for cut := range min(len(b), 64) {
			if m, need, err := frame.RequestSize(b[:cut]); err == nil && m == 0 && need <= cut {
				t.Fatalf("%d bytes of %x ask for %d", cut, b, need)
			} else if m != 0 && m != n && sizeErr == nil {
				t.Fatalf("size of %x is %d after %d bytes and %d after all", b, m, cut, n)
			}
		}
		h, args, err := frame.ParseRequest(b)
		if err != nil {
			if !errors.Is(err, frame.ErrClose) && !errors.Is(err, frame.ErrNoArgs) {
				t.Fatalf("unclassified error: %v", err)
			}
			return
		}
		if c, ok := calls[h.Name]; ok {
			_ = frame.Decode(args, c.arg())
		}
		h.Local = h.From
		again, args2, err := frame.ParseRequest(frame.AppendRequest(nil, &h, raw(args)))
		h.Local = 0
		if err != nil || again != h || !bytes.Equal(args2, append(bytes.Clone(args), 0)) {
			t.Fatalf("%+v comes back as %+v, %v", h, again, err)
		}
	})
}

func FuzzParseReply(f *testing.F) {
	for _, g := range goldenFrames(f) {
		f.Add(g.Kind == "rdsn", unhex(f, g.Hex))
	}
	f.Fuzz(func(t *testing.T, native bool, b []byte) {
		p := frame.ProtoTHFT0
		if native {
			p = frame.ProtoRDSN
		}
		h, body, err := frame.ParseReply(p, b)
		if err != nil {
			if !errors.Is(err, frame.ErrClose) {
				t.Fatalf("unclassified error: %v", err)
			}
			return
		}
		if c, ok := calls[h.Name]; ok && c.result != nil {
			_ = frame.Decode(body, c.result())
		}
	})
}

// FuzzDecode runs every argument and every result over the same bytes. What can
// be read can be written, and reads the same the second time.
func FuzzDecode(f *testing.F) {
	names := slices.Sorted(maps.Keys(calls))
	for _, g := range goldenFrames(f) {
		b := unhex(f, g.Hex)
		if h, args, err := frame.ParseRequest(b); err == nil {
			f.Add(uint8(slices.Index(names, h.Name)), false, args)
		} else if h, body, err := frame.ParseReply(frame.ProtoTHFT0, b); err == nil {
			f.Add(uint8(slices.Index(names, h.Name)), true, body)
		}
	}
	for i, name := range names {
		f.Add(uint8(i), false, frame.AppendMessage(nil, calls[name].arg()))
		if calls[name].result != nil {
			f.Add(uint8(i), true, frame.AppendMessage(nil, calls[name].result()))
		}
	}
	f.Fuzz(func(t *testing.T, index uint8, result bool, payload []byte) {
		c := calls[names[int(index)%len(names)]]
		empty := c.arg
		if result && c.result != nil {
			empty = c.result
		}
		m := empty()
		if frame.Decode(payload, m) != nil {
			return
		}
		once, ok := write(m)
		if !ok {
			return
		}
		// An absent struct is written as an empty one, which then is there and
		// written with all its fields: each round may add one level.
		for range maxNesting {
			m = empty()
			if err := frame.Decode(once, m); err != nil {
				t.Fatalf("%T writes what it cannot read: %x: %v", m, once, err)
			}
			twice, _ := write(m)
			if len(twice) == len(once) {
				return
			}
			once = twice
		}
		t.Fatalf("%T never reads back what it writes: %x", m, once)
	})
}

// maxNesting is more than any message nests structs.
const maxNesting = 8

// write encodes m unless a set in it has an element twice, which thrift refuses
// to write and which frames replace by an error.
func write(m frame.Message) (b []byte, ok bool) {
	defer func() {
		if recover() != nil {
			b, ok = nil, false
		}
	}()
	return frame.AppendMessage(nil, m), true
}
