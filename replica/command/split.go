package command

import (
	"encoding/binary"
	"fmt"
)

// Split says that a partition becomes two: it keeps the hashes that are its
// index modulo To and gives those that are index + From to a new partition.
//
//	0             4           8                12
//	┌─────────────┬───────────┬────────────────┐
//	│ from u32 BE │ to u32 BE │ attempt u32 BE │
//	└─────────────┴───────────┴────────────────┘
type Split struct {
	// From and To are the partition counts of the table before and after, To
	// twice From.
	From, To int32
	// Attempt counts from 1 the entries that were decided on for this To; a later
	// one makes the base of the new partition again.
	Attempt int32
}

const splitLen = 12

// AppendTo appends the payload of a split.
func (s Split) AppendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.From))
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.To))
	return binary.BigEndian.AppendUint32(dst, uint32(s.Attempt))
}

// DecodeSplit reads the payload of a split. Errors wrap ErrCorrupt.
func DecodeSplit(b []byte) (Split, error) {
	if len(b) != splitLen {
		return Split{}, fmt.Errorf("%w: split of %d bytes", ErrCorrupt, len(b))
	}
	s := Split{
		From:    int32(binary.BigEndian.Uint32(b)),
		To:      int32(binary.BigEndian.Uint32(b[4:])),
		Attempt: int32(binary.BigEndian.Uint32(b[8:])),
	}
	if s.From < 1 || int64(s.To) != 2*int64(s.From) || s.Attempt < 1 {
		return Split{}, fmt.Errorf("%w: split from %d to %d, attempt %d", ErrCorrupt, s.From, s.To, s.Attempt)
	}
	return s, nil
}
