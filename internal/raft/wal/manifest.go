package wal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
)

const (
	manifestFile = "MANIFEST"
	// format is the version of everything in the directory.
	format = 1
)

// manifest lists the segments, oldest first. The last may not be in use yet. A
// segment that is not listed holds nothing any more.
type manifest struct {
	Format   int          `json:"format"`
	Segments []listedFile `json:"segments"`
}

type listedFile struct {
	Seq  uint64 `json:"seq"`
	Size int64  `json:"size"`
	// End is the position behind the last record once the segment is full; the
	// one after it is in use then.
	End uint64 `json:"end,omitempty"`
}

func segmentName(seq uint64) string { return fmt.Sprintf("%016x.log", seq) }

// encode returns one line of JSON and one with its CRC-32C.
func (m manifest) encode() []byte {
	line, _ := json.Marshal(m) // numbers only
	line = append(line, '\n')
	return fmt.Appendf(line, "%08x\n", crc32.Checksum(line, castagnoli))
}

func decodeManifest(raw []byte) (manifest, error) {
	line, sum, ok := bytes.Cut(raw, []byte{'\n'})
	var m manifest
	if !ok {
		return m, fmt.Errorf("%d bytes without an end", len(raw))
	}
	want, err := strconv.ParseUint(string(bytes.TrimSuffix(sum, []byte{'\n'})), 16, 32)
	if err != nil || uint32(want) != crc32.Checksum(raw[:len(line)+1], castagnoli) {
		return m, fmt.Errorf("its checksum is wrong")
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return m, err
	}
	return m, m.check()
}

func (m manifest) check() error {
	if m.Format > format {
		return newerFormatError(m.Format)
	}
	if m.Format < 1 || len(m.Segments) == 0 {
		return fmt.Errorf("format %d and %d segments make no sense", m.Format, len(m.Segments))
	}
	for i, s := range m.Segments {
		if s.Size < headerLen || i > 0 && s.Seq <= m.Segments[i-1].Seq {
			return fmt.Errorf("segment %x of %d bytes makes no sense", s.Seq, s.Size)
		}
	}
	return nil
}

// newerFormatError is the format of a directory that a newer build has written.
type newerFormatError int

func (e newerFormatError) Error() string {
	return fmt.Sprintf("raft log has format %d, this build knows up to %d: start the newer build again", int(e), format)
}
