package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/arionkv/arion/internal/durable"
)

// A snapshot on its way from one replica to another: the files of an engine
// checkpoint.
//
//	header  "ARSN" | version u8 | 0 0 0
//	file    0x01 | name length u8 | size u64 BE | name | content | CRC-32C u32 BE
//	…
//	end     0xff | files u32 BE | content bytes u64 BE
//
// Each CRC covers the file's head and content. Names are plain file names.
const (
	streamMagic   = "ARSN"
	streamVersion = 1
	streamHeader  = 8
	fileMark      = 0x01
	endMark       = 0xff
	fileHeadLen   = 10
	endLen        = 13
	crcLen        = 4

	copyBuffer = 256 << 10
	// spaceRetry is the pause before a write that found the disk full is tried
	// again. Failing instead would stop the whole process.
	spaceRetry = time.Second
)

var (
	errStream  = errors.New("damaged snapshot stream")
	errStopped = errors.New("snapshot stopped")
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// throttle is what a copy asks before each piece: it waits as the rate limit
// wants and reports whether to go on.
type throttle func(bytes int) bool

// writeStream sends the files of dir.
func writeStream(w io.Writer, dir string, more throttle) error {
	names, err := plainFiles(dir)
	if err != nil {
		return err
	}
	head := append([]byte(streamMagic), streamVersion, 0, 0, 0)
	if _, err := w.Write(head); err != nil {
		return err
	}
	var total uint64
	buf := make([]byte, copyBuffer)
	for _, name := range names {
		n, err := writeFile(w, filepath.Join(dir, name), name, buf, more)
		if err != nil {
			return err
		}
		total += n
	}
	end := binary.BigEndian.AppendUint32([]byte{endMark}, uint32(len(names)))
	_, err = w.Write(binary.BigEndian.AppendUint64(end, total))
	return err
}

func plainFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if !e.Type().IsRegular() {
			return nil, fmt.Errorf("checkpoint %s holds %s, which is no plain file", dir, e.Name())
		}
		names = append(names, e.Name())
	}
	sort.Strings(names)
	return names, nil
}

func writeFile(w io.Writer, path, name string, buf []byte, more throttle) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !validName(name) {
		return 0, fmt.Errorf("checkpoint file name %q", name)
	}
	size := uint64(st.Size())
	head := binary.BigEndian.AppendUint64([]byte{fileMark, byte(len(name))}, size)
	head = append(head, name...)
	sum := crc32.Checksum(head, crcTable)
	if _, err := w.Write(head); err != nil {
		return 0, err
	}
	for left := size; left > 0; {
		piece := buf[:min(left, uint64(len(buf)))]
		if !more(len(piece)) {
			return 0, errStopped
		}
		if _, err := io.ReadFull(f, piece); err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
		sum = crc32.Update(sum, crcTable, piece)
		if _, err := w.Write(piece); err != nil {
			return 0, err
		}
		left -= uint64(len(piece))
	}
	_, err = w.Write(binary.BigEndian.AppendUint32(nil, sum))
	return size, err
}

// validName accepts what engines call their files.
func validName(name string) bool {
	return name != "" && len(name) <= 255 && !strings.ContainsAny(name, "/\\\x00") && name[0] != '.'
}

// readStream writes a stream into dir, which it creates, and makes it durable.
// stopped is asked between pieces.
func readStream(r io.Reader, dir string, stopped func() bool) error {
	var head [streamHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("%w: header: %w", errStream, err)
	}
	if string(head[:4]) != streamMagic || head[4] < streamVersion {
		return fmt.Errorf("%w: header %x", errStream, head)
	}
	if head[4] > streamVersion {
		return fmt.Errorf("%w: version %d, this build knows up to %d: start the node with the newer release", errStream, head[4], streamVersion)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	in := &streamReader{r: r, dir: dir, stopped: stopped, buf: make([]byte, copyBuffer)}
	for {
		done, err := in.next()
		if err != nil {
			return err
		}
		if done {
			return durable.SyncDir(dir)
		}
	}
}

type streamReader struct {
	r       io.Reader
	dir     string
	stopped func() bool
	buf     []byte
	files   uint32
	total   uint64
}

// next reads one file, or the end.
func (s *streamReader) next() (done bool, err error) {
	var mark [1]byte
	if _, err := io.ReadFull(s.r, mark[:]); err != nil {
		return false, fmt.Errorf("%w: %w", errStream, err)
	}
	switch mark[0] {
	case fileMark:
		return false, s.file()
	case endMark:
		return true, s.end()
	}
	return false, fmt.Errorf("%w: mark %#x", errStream, mark[0])
}

func (s *streamReader) end() error {
	var rest [endLen - 1]byte
	if _, err := io.ReadFull(s.r, rest[:]); err != nil {
		return fmt.Errorf("%w: end: %w", errStream, err)
	}
	files, total := binary.BigEndian.Uint32(rest[:]), binary.BigEndian.Uint64(rest[4:])
	if files != s.files || total != s.total {
		return fmt.Errorf("%w: %d files with %d bytes, got %d with %d", errStream, files, total, s.files, s.total)
	}
	return nil
}

func (s *streamReader) file() error {
	head := make([]byte, fileHeadLen, fileHeadLen+255)
	head[0] = fileMark
	if _, err := io.ReadFull(s.r, head[1:]); err != nil {
		return fmt.Errorf("%w: file head: %w", errStream, err)
	}
	head = head[:fileHeadLen+int(head[1])]
	if _, err := io.ReadFull(s.r, head[fileHeadLen:]); err != nil {
		return fmt.Errorf("%w: file name: %w", errStream, err)
	}
	name := string(head[fileHeadLen:])
	if !validName(name) {
		return fmt.Errorf("%w: file name %q", errStream, name)
	}
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	sum, err := s.content(f, binary.BigEndian.Uint64(head[2:]), crc32.Checksum(head, crcTable))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	var want [crcLen]byte
	if _, err := io.ReadFull(s.r, want[:]); err != nil {
		return fmt.Errorf("%w: checksum: %w", errStream, err)
	}
	if sum != binary.BigEndian.Uint32(want[:]) {
		return fmt.Errorf("%w: checksum of %s", errStream, name)
	}
	s.files++
	return nil
}

func (s *streamReader) content(f *os.File, size uint64, sum uint32) (uint32, error) {
	for left := size; left > 0; {
		piece := s.buf[:min(left, uint64(len(s.buf)))]
		if s.stopped() {
			return 0, errStopped
		}
		if _, err := io.ReadFull(s.r, piece); err != nil {
			return 0, fmt.Errorf("%w: content: %w", errStream, err)
		}
		sum = crc32.Update(sum, crcTable, piece)
		if err := s.write(f, piece); err != nil {
			return 0, err
		}
		left -= uint64(len(piece))
		s.total += uint64(len(piece))
	}
	return sum, nil
}

// write waits out a full disk.
func (s *streamReader) write(f *os.File, b []byte) error {
	for {
		n, err := f.Write(b)
		if b = b[n:]; !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		if s.stopped() {
			return errStopped
		}
		time.Sleep(spaceRetry)
	}
}
