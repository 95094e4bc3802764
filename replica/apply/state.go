package apply

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// Format is the version of everything a partition stores: key encoding, record
// header, bookkeeping. A binary refuses data of a newer format.
//
// A partition is written in the oldest format that can say what it holds.
//
//	1: keys and records as in idl/key and replica/record
//	2: the partition was split or made by a split: HashCount and SplitAttempt
const Format = 2

// firstFormat is that of a partition that never heard of a split.
const firstFormat = 1

// ErrFormat marks data that this binary cannot read.
var ErrFormat = errors.New("unknown data format")

// maxClockMS is the largest stamp the bookkeeping can hold (year 10889). Stamps
// beyond it are clamped, so that memory and disk agree.
const maxClockMS = 1<<48 - 1

// State is a partition's bookkeeping. It is written in the same batch as the
// data it speaks of.
type State struct {
	// AppliedIndex is the raft index of the last entry applied, 0 if none.
	AppliedIndex uint64
	// ClockMS is the partition clock, the largest stamp applied, in Unix
	// milliseconds. It never goes back; nothing that expired before it can be
	// seen by a later entry, which is what allows compactions to purge.
	ClockMS uint64
	// Format is the version of the stored data.
	Format uint8
	// HashCount is the partition count by which this partition owns hashes: those
	// that are its index modulo HashCount. 0 until the first split: it owns what
	// the table's creation gave it, and nobody checks.
	HashCount int32
	// SplitAttempt is the attempt of the last split applied, see command.Split; 0
	// in a partition that was made by a split and has not been split since.
	SplitAttempt int32
}

// stateKey sorts behind every user key.
var stateKey = append(append([]byte(nil), engine.InternalPrefix...), "state"...)

// Load reads the bookkeeping; that of a new partition is index 0, clock 0 and
// the current Format. Errors wrap ErrFormat, engine.ErrCorruption or come from
// the engine.
func Load(r Reader) (State, error) {
	stored, found, err := r.Get(stateKey, nil)
	switch {
	case err != nil:
		return State{}, fmt.Errorf("load partition state: %w", err)
	case !found:
		return State{Format: firstFormat}, nil
	}
	h, value, err := record.Decode(stored)
	if err != nil || len(value) < 1 {
		return State{}, fmt.Errorf("load partition state %x: %w", stored, engine.ErrCorruption)
	}
	if value[0] < 1 || value[0] > Format {
		return State{}, fmt.Errorf("load partition state: %w %d, this build knows up to %d: start the node with the newer release", ErrFormat, value[0], Format)
	}
	st := State{AppliedIndex: h.Index, ClockMS: h.WriteTimeMS, Format: value[0]}
	if st.Format >= 2 {
		if len(value) < splitValueLen {
			return State{}, fmt.Errorf("load partition state %x: %w", stored, engine.ErrCorruption)
		}
		st.HashCount = int32(binary.BigEndian.Uint32(value[1:]))
		st.SplitAttempt = int32(binary.BigEndian.Uint32(value[5:]))
	}
	return st, nil
}

// splitValueLen is the length of the value in format 2.
const splitValueLen = 9

// AppendTo adds the bookkeeping to a batch. It is stored as a record whose
// header says it: index and write time are the last entry's, and the value is
//
//	0           1                   5                      9
//	┌───────────┬───────────────────┬──────────────────────┐
//	│ format u8 │ hash count u32 BE │ split attempt u32 BE │
//	└───────────┴───────────────────┴──────────────────────┘
//	              from format 2 on
//
// A later format may append to the value.
func (s State) AppendTo(b *engine.Batch) {
	h := record.Header{Index: s.AppliedIndex, WriteTimeMS: s.ClockMS}
	if s.Format < 2 {
		b.PutHeader(stateKey, h, []byte{s.Format})
		return
	}
	value := [splitValueLen]byte{s.Format}
	binary.BigEndian.PutUint32(value[1:], uint32(s.HashCount))
	binary.BigEndian.PutUint32(value[5:], uint32(s.SplitAttempt))
	b.PutHeader(stateKey, h, value[:])
}

// ClockSec is ClockMS in seconds since 2016, for engine.SetClock.
func (s State) ClockSec() uint32 { return record.SecondsAt(s.ClockMS) }
