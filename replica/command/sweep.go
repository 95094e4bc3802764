package command

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Sweep carries out what the leader decided about some records by the rules of
// their table, as one step of a pass over the partition.
//
//	┌────────────────────┬──────────────────┬─────────────────────────────────┐
//	│ expect, as a block │ next, as a block │ changes to the end              │
//	└────────────────────┴──────────────────┴─────────────────────────────────┘
//	block:  length uvarint │ Pass
//	change: length uvarint │ encoded key │ index u64 BE │ write time u64 BE │ expire u32 BE
type Sweep struct {
	// Expect is the pass as stored when the step was planned. If it is another one
	// by now, the step does nothing. Next is stored then.
	Expect, Next Pass
	Changes      []Change
}

// Pass is the state of the last pass over a partition; the zero Pass is that of a
// partition never swept.
//
//	0              8              12        13
//	┌──────────────┬──────────────┬─────────┬──────
//	│ rules u64 BE │ began u32 BE │ done u8 │ from
//	└──────────────┴──────────────┴─────────┴──────
type Pass struct {
	Rules uint64 // a digest of the rules
	Began uint32 // seconds since 2016
	Done  bool
	From  []byte // encoded key of the first record not looked at; not if Done
}

// Change is the decision about one record. It holds for the version that was
// written at Index and WriteTimeMS, and for no other.
type Change struct {
	Key         []byte // encoded
	Index       uint64
	WriteTimeMS uint64
	// Expire is the new expiry in seconds since 2016; 0 deletes.
	Expire uint32
}

const (
	passLen       = 13
	changeTailLen = 20
	// maxKeyLen bounds the lengths in a sweep. Keys of stored records are shorter
	// than the largest write.
	maxKeyLen = 2 << 20
)

// Equal compares passes.
func (p Pass) Equal(o Pass) bool {
	return p.Rules == o.Rules && p.Began == o.Began && p.Done == o.Done && bytes.Equal(p.From, o.From)
}

// AppendTo appends the pass.
func (p Pass) AppendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, p.Rules)
	dst = binary.BigEndian.AppendUint32(dst, p.Began)
	done := byte(0)
	if p.Done {
		done = 1
	}
	return append(append(dst, done), p.From...)
}

// DecodePass reads a pass, which aliases b. Errors wrap ErrCorrupt.
func DecodePass(b []byte) (Pass, error) {
	if len(b) < passLen || b[12] > 1 {
		return Pass{}, fmt.Errorf("%w: pass of %d bytes", ErrCorrupt, len(b))
	}
	return Pass{
		Rules: binary.BigEndian.Uint64(b), Began: binary.BigEndian.Uint32(b[8:]), Done: b[12] == 1, From: b[passLen:],
	}, nil
}

// AppendTo appends the payload of a sweep.
func (s Sweep) AppendTo(dst []byte) []byte {
	for _, p := range []Pass{s.Expect, s.Next} {
		dst = binary.AppendUvarint(dst, uint64(passLen+len(p.From)))
		dst = p.AppendTo(dst)
	}
	for _, c := range s.Changes {
		dst = binary.AppendUvarint(dst, uint64(len(c.Key)))
		dst = append(dst, c.Key...)
		dst = binary.BigEndian.AppendUint64(dst, c.Index)
		dst = binary.BigEndian.AppendUint64(dst, c.WriteTimeMS)
		dst = binary.BigEndian.AppendUint32(dst, c.Expire)
	}
	return dst
}

// DecodeSweep reads the payload of a sweep, which aliases b. Errors wrap
// ErrCorrupt.
func DecodeSweep(b []byte) (s Sweep, err error) {
	for _, p := range []*Pass{&s.Expect, &s.Next} {
		var block []byte
		if block, b, err = cutBlock(b); err != nil {
			return Sweep{}, err
		}
		if *p, err = DecodePass(block); err != nil {
			return Sweep{}, err
		}
	}
	for len(b) > 0 {
		var c Change
		if c.Key, b, err = cutBlock(b); err != nil {
			return Sweep{}, err
		}
		if len(b) < changeTailLen {
			return Sweep{}, fmt.Errorf("%w: change cut short", ErrCorrupt)
		}
		c.Index, c.WriteTimeMS = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
		c.Expire = binary.BigEndian.Uint32(b[16:])
		s.Changes, b = append(s.Changes, c), b[changeTailLen:]
	}
	return s, nil
}

// cutBlock takes a length and as many bytes off b.
func cutBlock(b []byte) (block, rest []byte, err error) {
	n, w := binary.Uvarint(b)
	if w <= 0 || (w > 1 && b[w-1] == 0) || n > maxKeyLen || n > uint64(len(b)-w) {
		return nil, nil, fmt.Errorf("%w: block in a sweep", ErrCorrupt)
	}
	end := w + int(n)
	return b[w:end:end], b[end:], nil
}
