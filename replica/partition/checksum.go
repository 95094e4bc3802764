package partition

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// Checksum is a digest of what a replica holds at one applied index. Two replicas
// of a partition that report the same AppliedIndex must report the same
// everything; if they do not, one of them is damaged.
type Checksum struct {
	AppliedIndex uint64 `json:"applied_index"`
	ClockMS      uint64 `json:"clock_ms"` // partition clock, Unix ms
	Records      uint64 `json:"records"`  // live ones
	Bytes        uint64 `json:"bytes"`    // of their keys and values
	Sum          string `json:"checksum"` // hex
}

const (
	checksumRows  = 1000
	checksumBytes = 1 << 20
	// checksumLen is how much of the SHA-256 is shown: enough to tell replicas
	// apart, short enough to be compared by eye.
	checksumLen = 12
)

// Checksum reads everything the replica holds, in one view, beside writes. A
// record counts as live if it has not expired by the partition clock: whether one
// that has is still stored depends on the compactions of each replica.
func (p *Partition) Checksum(ctx context.Context) (Checksum, error) {
	sum, err := p.checksum(ctx)
	p.NoteDamage(err)
	return sum, err
}

func (p *Partition) checksum(ctx context.Context) (Checksum, error) {
	h, err := p.Acquire()
	if err != nil {
		return Checksum{}, err
	}
	defer h.Release()
	// Backwards, since the bookkeeping sorts last and the clock is needed first.
	it, err := h.NewIter(engine.IterOptions{Reverse: true, Bulk: true, Label: "checksum"})
	if err != nil {
		return Checksum{}, err
	}
	defer it.Close()
	sum := summer{digest: sha256.New(), index: p.id.PartitionIndex}
	var page engine.Page
	for {
		if err := ctx.Err(); err != nil {
			return Checksum{}, err
		}
		if err := it.Next(checksumRows, checksumBytes, &page); err != nil {
			return Checksum{}, fmt.Errorf("checksum of partition %v: %w", p.id, err)
		}
		if page.Len() == 0 {
			return sum.result()
		}
		if err := sum.add(&page); err != nil {
			return Checksum{}, fmt.Errorf("checksum of partition %v: %w", p.id, err)
		}
	}
}

// summer digests rows that come in descending order of keys.
type summer struct {
	digest   hash.Hash
	index    int32 // of the partition
	internal internalRows
	state    apply.State
	loaded   bool
	out      Checksum
	buf      []byte
}

func (s *summer) add(page *engine.Page) error {
	for i := range page.Len() {
		k, v := page.Key(i), page.Value(i)
		if bytes.HasPrefix(k, engine.InternalPrefix) {
			s.internal = append(s.internal, [2][]byte{bytes.Clone(k), bytes.Clone(v)})
			continue
		}
		if err := s.load(); err != nil {
			return err
		}
		if err := s.addRecord(k, v); err != nil {
			return err
		}
	}
	return nil
}

// load reads the bookkeeping of the view, which has passed by.
func (s *summer) load() (err error) {
	if !s.loaded {
		s.state, err = apply.Load(s.internal)
		s.loaded = err == nil
	}
	return err
}

// addRecord takes the stored bytes whole: version and write time of a record must
// agree too.
func (s *summer) addRecord(k, stored []byte) error {
	h, _, err := record.Decode(stored)
	if err != nil {
		return fmt.Errorf("%w: key %x: %w", engine.ErrCorruption, k, err)
	}
	if h.ExpiredAt(s.state.ClockSec()) || s.foreign(k) {
		return nil
	}
	s.out.Records++
	s.out.Bytes += uint64(len(k) + len(stored))
	s.buf = binary.AppendUvarint(s.buf[:0], uint64(len(k)))
	s.buf = binary.AppendUvarint(s.buf, uint64(len(stored)))
	s.digest.Write(s.buf)
	s.digest.Write(k)
	s.digest.Write(stored)
	return nil
}

// foreign records are left over from a split, on some replicas longer than on
// others.
func (s *summer) foreign(k []byte) bool {
	hash, err := key.HashOf(k)
	return err == nil && !apply.Owns(hash, s.index, s.state.HashCount)
}

func (s *summer) result() (Checksum, error) {
	if err := s.load(); err != nil {
		return Checksum{}, err
	}
	s.out.AppliedIndex, s.out.ClockMS = s.state.AppliedIndex, s.state.ClockMS
	s.out.Sum = hex.EncodeToString(s.digest.Sum(nil)[:checksumLen])
	return s.out, nil
}

// internalRows serves the internal rows of the view to apply.Load.
type internalRows [][2][]byte

// Get implements apply.Reader.
func (r internalRows) Get(key, dst []byte) ([]byte, bool, error) {
	for _, row := range r {
		if bytes.Equal(row[0], key) {
			return append(dst, row[1]...), true, nil
		}
	}
	return dst, false, nil
}
