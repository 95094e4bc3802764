// Package command is the codec of raft log entries: what a leader proposes and
// every replica of the partition applies.
//
//	0        1                    9                   13
//	┌────────┬────────────────────┬───────────────────┬──────────────
//	│ ver u8 │ stamp u64 BE       │ default TTL u32 BE│ ops, 1 or more
//	└────────┴────────────────────┴───────────────────┴──────────────
//	 1        leader's clock,      seconds, 0 = none
//	          unix milliseconds
//
//	op:
//	┌─────────┬────────────────┬──────────────────
//	│ kind u8 │ length uvarint │ payload
//	└─────────┴────────────────┴──────────────────
//	           shortest form     thrift bytes of the request as received
//
// Everything apply may not ask its surroundings for travels in the entry: the
// time, and the table setting in force when the leader accepted the writes. The
// ops of one entry share both. The payload is the client's own bytes, so that a
// write is encoded once in its life.
//
// Entries outlive binaries: they are replayed after an upgrade and sent to
// replicas that run an older one. A reader that does not know the version or a
// kind must stop instead of guessing, since skipping an op would let replicas
// of one partition drift apart. Hence every addition is a new version, raised
// only once all replicas can read it.
package command

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Version is the newest version read. Entries are written in the oldest version
// that can say what they say.
//
//	1: the layout above, kinds 1 to 7 and 64
//	2: kind 65, alone in its entry, in the same layout
//	3: kind 66, alone likewise
const Version = 3

// MaxPayload bounds the payload of one op in bytes. It equals the largest body
// a frame may have (frame.MaxBody): no client can send more. What a server
// accepts as a write is far smaller; this only bounds lies in damaged entries.
const MaxPayload = 64 << 20

const (
	stampOffset = 1
	ttlOffset   = stampOffset + 8
	headerLen   = ttlOffset + 4
	maxUvarint  = 4 // bytes of a length up to MaxPayload
)

var (
	// ErrVersion marks an entry of a newer binary. The replica must not apply
	// it, nor anything after it.
	ErrVersion = errors.New("entry of an unknown version")
	// ErrCorrupt marks bytes that no Append function made.
	ErrCorrupt = errors.New("corrupt entry")
)

// Header is the part of an entry that all its ops share.
type Header struct {
	// StampMS is the leader's clock in Unix milliseconds when it proposed.
	StampMS uint64
	// DefaultTTL is the table's default_ttl in seconds, 0 = none.
	DefaultTTL uint32
}

// AppendHeader starts an entry in dst. At least one AppendOp must follow, of kinds
// that may stand together.
func AppendHeader(dst []byte, h Header) []byte { return appendHeader(dst, 1, h) }

// AppendAlone appends a whole entry with an op of a kind that stands alone.
func AppendAlone(dst []byte, h Header, k Kind, payload []byte) []byte {
	return AppendOp(appendHeader(dst, k.version(), h), k, payload)
}

// AppendSplit appends a whole entry that holds a split; payload is that of
// Split.AppendTo.
func AppendSplit(dst []byte, h Header, payload []byte) []byte {
	return AppendAlone(dst, h, KindSplit, payload)
}

func appendHeader(dst []byte, version byte, h Header) []byte {
	dst = append(dst, version)
	dst = binary.BigEndian.AppendUint64(dst, h.StampMS)
	return binary.BigEndian.AppendUint32(dst, h.DefaultTTL)
}

// SetStamp overwrites the stamp of an entry begun at entry[0], so that a queue
// may gather ops first and read the clock when it proposes.
func SetStamp(entry []byte, stampMS uint64) {
	binary.BigEndian.PutUint64(entry[stampOffset:], stampMS)
}

// AppendOp appends one op. The caller keeps payloads within MaxPayload and
// kinds among those named here: Decode refuses anything else.
func AppendOp(dst []byte, k Kind, payload []byte) []byte {
	dst = append(dst, byte(k))
	dst = binary.AppendUvarint(dst, uint64(len(payload)))
	return append(dst, payload...)
}

// HeaderSize is what AppendHeader adds.
const HeaderSize = headerLen

// Op is one write of an entry.
type Op struct {
	Kind Kind
	// Payload aliases the decoded entry.
	Payload []byte
}

// Entry is a decoded, fully checked entry. It aliases the bytes given to
// Decode and is valid as long as they are unchanged.
type Entry struct {
	Header
	ops   []byte
	count int
}

// Len is the number of ops, at least 1.
func (e Entry) Len() int { return e.count }

// Ops starts a pass over the ops.
func (e Entry) Ops() Cursor { return Cursor{rest: e.ops} }

// Cursor walks the ops of an Entry without allocating:
//
//	for c := e.Ops(); c.Next(); {
//		use(c.Op)
//	}
type Cursor struct {
	Op   Op
	rest []byte
}

// Next moves to the next op and reports whether there was one.
func (c *Cursor) Next() bool {
	if len(c.rest) == 0 {
		return false
	}
	op, rest, err := cutOp(c.rest)
	if err != nil {
		panic(err) // Decode has walked the same bytes
	}
	c.Op, c.rest = op, rest
	return true
}

// Decode checks all of b and returns it as an Entry that aliases b. Errors wrap
// ErrVersion or ErrCorrupt.
func Decode(b []byte) (Entry, error) {
	if len(b) == 0 {
		return Entry{}, fmt.Errorf("%w: empty", ErrCorrupt)
	}
	if b[0] < 1 || b[0] > Version {
		return Entry{}, fmt.Errorf("%w: %d, this build knows up to %d: start the node with the newer release", ErrVersion, b[0], Version)
	}
	if len(b) <= headerLen {
		return Entry{}, fmt.Errorf("%w: %d bytes, no op", ErrCorrupt, len(b))
	}
	e := Entry{
		Header: Header{
			StampMS:    binary.BigEndian.Uint64(b[stampOffset:]),
			DefaultTTL: binary.BigEndian.Uint32(b[ttlOffset:]),
		},
		ops: b[headerLen:],
	}
	version := byte(1)
	for rest := e.ops; len(rest) > 0; e.count++ {
		var op Op
		var err error
		if op, rest, err = cutOp(rest); err != nil {
			return Entry{}, fmt.Errorf("op %d: %w", e.count, err)
		}
		version = max(version, op.Kind.version())
	}
	if version != b[0] || version > 1 && e.count != 1 {
		return Entry{}, fmt.Errorf("%w: %d ops in an entry of version %d", ErrCorrupt, e.count, b[0])
	}
	return e, nil
}

// Alone returns the op of an entry that is the only one for its kind's sake.
func (e Entry) Alone() (Op, bool) {
	c := e.Ops()
	if e.count != 1 || !c.Next() || !c.Op.Kind.Alone() {
		return Op{}, false
	}
	return c.Op, true
}

// cutOp takes one op off a non-empty b. Lengths must be in their shortest form:
// then an entry has exactly one encoding, and a comparison of bytes is one of
// meaning.
func cutOp(b []byte) (Op, []byte, error) {
	k := Kind(b[0])
	if !k.known() {
		return Op{}, nil, fmt.Errorf("%w: kind %d", ErrCorrupt, b[0])
	}
	n, w := binary.Uvarint(b[1:])
	switch {
	case w <= 0 || w > maxUvarint || (w > 1 && b[w] == 0):
		return Op{}, nil, fmt.Errorf("%w: length of %v", ErrCorrupt, k)
	case n > MaxPayload || n > uint64(len(b)-1-w):
		return Op{}, nil, fmt.Errorf("%w: %v of %d bytes in %d", ErrCorrupt, k, n, len(b)-1-w)
	}
	end := 1 + w + int(n)
	return Op{Kind: k, Payload: b[1+w : end : end]}, b[end:], nil
}
