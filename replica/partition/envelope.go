package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The envelope around a command in the log tells the replica that proposed an
// entry which of its waiting writes it answers. All others ignore it.
//
//	0        1                 9                17
//	┌────────┬─────────────────┬────────────────┬───────────────
//	│ ver u8 │ proposer u64 BE │ sequence u64 BE│ command.Entry
//	└────────┴─────────────────┴────────────────┴───────────────
//	 1        random, drawn when
//	          a replica opens
//
// The proposer is not the replica id: entries that come back from the log after
// a restart must not be taken for those of the new life.
const (
	envelopeVersion = 1
	envelopeLen     = 17
)

var errEnvelope = errors.New("log entry without a known envelope")

type envelope struct{ proposer, sequence uint64 }

func (e envelope) append(dst []byte) []byte {
	dst = append(dst, envelopeVersion)
	dst = binary.BigEndian.AppendUint64(dst, e.proposer)
	return binary.BigEndian.AppendUint64(dst, e.sequence)
}

// openEnvelope splits a log entry. The command aliases b.
func openEnvelope(b []byte) (envelope, []byte, error) {
	if len(b) >= envelopeLen && b[0] > envelopeVersion {
		return envelope{}, nil, fmt.Errorf("%w: version %d, this build knows up to %d: start the node with the newer release",
			errEnvelope, b[0], envelopeVersion)
	}
	if len(b) < envelopeLen || b[0] != envelopeVersion {
		return envelope{}, nil, fmt.Errorf("%w: %d bytes, %.1x", errEnvelope, len(b), b)
	}
	return envelope{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])}, b[envelopeLen:], nil
}
