package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"
)

// The raft connection. The dialling side begins with a hello and then only
// sends; the listening side only receives, and closes to refuse.
//
//	hello:  "ARFT" | version u8 | kind u8 | 0 0 | deployment u64 BE
//	frame:  length u32 BE | CRC-32C of the body u32 BE | body
const (
	wireMagic   = "ARFT"
	wireVersion = 1
	helloLen    = 16
	frameHeader = 8

	kindMessages  = 1 // bodies are raftpb.MessageBatch
	kindSnapshots = 2 // bodies are raftpb.Chunk
)

const (
	// maxFrame bounds a frame in bytes. dragonboat closes a batch at 64 MB, one
	// entry and the fields around it may come on top.
	maxFrame = 160 << 20
	// ioStep is how much must move within ioTimeout: a peer that stalls is
	// dropped, one that is slow with a large frame is not.
	ioStep    = 1 << 20
	ioTimeout = 5 * time.Second
	// idleTimeout closes an inbound connection on which nothing arrives.
	// dragonboat closes its side after one idle minute.
	idleTimeout  = 2 * time.Minute
	dialTimeout  = 3 * time.Second
	closeTimeout = 5 * time.Second
)

var errWire = errors.New("malformed raft connection")

var crcTable = crc32.MakeTable(crc32.Castagnoli)

func appendHello(dst []byte, kind byte, deployment uint64) []byte {
	dst = append(dst, wireMagic...)
	dst = append(dst, wireVersion, kind, 0, 0)
	return binary.BigEndian.AppendUint64(dst, deployment)
}

func parseHello(b []byte, deployment uint64) (kind byte, err error) {
	switch {
	case len(b) != helloLen || string(b[:4]) != wireMagic:
		return 0, fmt.Errorf("%w: no hello", errWire)
	case b[4] != wireVersion:
		return 0, fmt.Errorf("%w: version %d, this build speaks %d", errWire, b[4], wireVersion)
	case b[5] != kindMessages && b[5] != kindSnapshots:
		return 0, fmt.Errorf("%w: kind %d", errWire, b[5])
	case binary.BigEndian.Uint64(b[8:]) != deployment:
		return 0, fmt.Errorf("%w: peer belongs to another cluster", errWire)
	}
	return b[5], nil
}

// writeFrame sends body as one frame, each step of it within ioTimeout.
func writeFrame(c net.Conn, body []byte) error {
	if len(body) > maxFrame {
		return fmt.Errorf("%w: frame of %d bytes", errWire, len(body))
	}
	var head [frameHeader]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(body)))
	binary.BigEndian.PutUint32(head[4:], crc32.Checksum(body, crcTable))
	bufs := net.Buffers{head[:], body[:min(len(body), ioStep)]}
	if err := c.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	if _, err := bufs.WriteTo(c); err != nil {
		return err
	}
	for rest := body[min(len(body), ioStep):]; len(rest) > 0; {
		if err := c.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
			return err
		}
		n, err := c.Write(rest[:min(len(rest), ioStep)])
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// deadliner is the part of net.Conn that bounds a read.
type deadliner interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// readFrame reads one frame into buf, grown as the bytes arrive and not as the
// length claims. It returns io.EOF if the peer closed between frames.
func readFrame(c deadliner, buf []byte) ([]byte, error) {
	var head [frameHeader]byte
	if err := c.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
		return buf, err
	}
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return buf, err
	}
	n := int(binary.BigEndian.Uint32(head[:]))
	if n == 0 || n > maxFrame {
		return buf, fmt.Errorf("%w: frame of %d bytes", errWire, n)
	}
	buf = buf[:0]
	for len(buf) < n {
		step := min(n-len(buf), ioStep)
		if cap(buf)-len(buf) < step {
			buf = append(make([]byte, 0, min(n, 2*cap(buf)+step)), buf...)
		}
		part := buf[len(buf) : len(buf)+step]
		if err := c.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
			return buf, err
		}
		if _, err := io.ReadFull(c, part); err != nil {
			return buf, err
		}
		buf = buf[:len(buf)+step]
	}
	if crc32.Checksum(buf, crcTable) != binary.BigEndian.Uint32(head[4:]) {
		return buf, fmt.Errorf("%w: checksum", errWire)
	}
	return buf, nil
}
