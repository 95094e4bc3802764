package transfer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// The compact form. Numbers are little endian, varints as encoding/binary has them:
//
//	file:   "ARIONEXP" | version u16 = 1 | records | end
//	record: 1 u8 | hash key length varint | sort key length varint | value length varint |
//	        expiry varint (unix seconds, 0 = never) | hash key | sort key | value |
//	        crc32c u32 of all before it in the record
//	end:    0 u8 | number of records u64, of this run of the writer
//
// A file without end was cut off.
const (
	binaryMagic   = "ARIONEXP"
	binaryVersion = 1
	markRecord    = 1
	markEnd       = 0
)

// The lengths a reader believes before it allocates: those of the wire.
const (
	maxKey   = 1 << 16
	maxValue = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type binaryWriter struct {
	out   *bufio.Writer
	buf   []byte
	count uint64
}

func newBinaryWriter(w io.Writer, resume bool) (*binaryWriter, error) {
	b := &binaryWriter{out: bufio.NewWriterSize(w, 1<<20)}
	if resume {
		return b, nil
	}
	_, err := b.out.Write(binary.LittleEndian.AppendUint16([]byte(binaryMagic), binaryVersion))
	return b, err
}

func (w *binaryWriter) Write(r Record) error {
	b := append(w.buf[:0], markRecord)
	for _, n := range []int{len(r.HashKey), len(r.SortKey), len(r.Value)} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	var at uint64
	if !r.Expires.IsZero() {
		at = uint64(max(1, r.Expires.Unix()))
	}
	b = binary.AppendUvarint(b, at)
	b = append(append(append(b, r.HashKey...), r.SortKey...), r.Value...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	w.buf = b
	w.count++
	_, err := w.out.Write(b)
	return err
}

func (w *binaryWriter) Flush() error { return w.out.Flush() }

func (w *binaryWriter) End() error {
	_, err := w.out.Write(binary.LittleEndian.AppendUint64([]byte{markEnd}, w.count))
	return errors.Join(err, w.out.Flush())
}

type binaryReader struct {
	in     *bufio.Reader
	sum    uint32
	offset int64
	count  int64
}

func newBinaryReader(r io.Reader) (*binaryReader, error) {
	b := &binaryReader{in: bufio.NewReaderSize(r, 1<<20)}
	var head [len(binaryMagic) + 2]byte
	if _, err := io.ReadFull(b.in, head[:]); err != nil || string(head[:len(binaryMagic)]) != binaryMagic {
		return nil, errors.New("this is no binary export of arion")
	}
	if v := binary.LittleEndian.Uint16(head[len(binaryMagic):]); v != binaryVersion {
		return nil, fmt.Errorf("version %d of the binary form is unknown", v)
	}
	b.offset = int64(len(head))
	return b, nil
}

func (r *binaryReader) Offset() int64 { return r.offset }

// ReadByte feeds the checksum and serves binary.ReadUvarint.
func (r *binaryReader) ReadByte() (byte, error) {
	c, err := r.in.ReadByte()
	if err == nil {
		r.sum = crc32.Update(r.sum, castagnoli, []byte{c})
		r.offset++
	}
	return c, err
}

var errCut = errors.New("the file was cut off: there is no end mark")

func (r *binaryReader) Next() (Record, error) {
	r.sum = 0
	mark, err := r.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return Record{}, errCut
	case err != nil:
		return Record{}, err
	case mark == markEnd:
		return Record{}, io.EOF
	case mark != markRecord:
		return Record{}, r.damaged(fmt.Errorf("mark %d is unknown", mark))
	}
	return r.record()
}

// damaged is not of one record: nothing behind it can be found.
func (r *binaryReader) damaged(cause error) error {
	return fmt.Errorf("record %d at byte %d: damaged: %w", r.count+1, r.offset, cause)
}

func (r *binaryReader) record() (Record, error) {
	var n [4]uint64
	for i, most := range []uint64{maxKey, maxValue, maxValue, 1 << 40} {
		var err error
		if n[i], err = binary.ReadUvarint(r); err != nil {
			return Record{}, r.damaged(err)
		}
		if n[i] > most {
			return Record{}, r.damaged(fmt.Errorf("length %d", n[i]))
		}
	}
	// The buffer grows with what is there, not with what is claimed.
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, r.in, int64(n[0]+n[1]+n[2]+4)); err != nil {
		return Record{}, r.damaged(err)
	}
	body := buf.Bytes()
	r.offset += int64(len(body))
	data := body[:len(body)-4]
	if crc32.Update(r.sum, castagnoli, data) != binary.LittleEndian.Uint32(body[len(data):]) {
		return Record{}, r.damaged(errors.New("wrong checksum"))
	}
	r.count++
	record := Record{HashKey: data[:n[0]], SortKey: data[n[0] : n[0]+n[1]], Value: data[n[0]+n[1]:]}
	if n[3] > 0 {
		record.Expires = time.Unix(int64(n[3]), 0)
	}
	return record, nil
}
