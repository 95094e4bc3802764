package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/rocks"
	"github.com/arionkv/arion/replica/record"
)

// The floor is what remains when everything that makes a database is left out: no
// protocol, no partitions, no leases, no metrics. What stays is a length before
// each message, sockets, and RocksDB through the same engine package.

func runEcho(o options) (*result, error) {
	value := payload(o.valueSize)
	return serveFramed(o, func([]byte) []byte { return value })
}

func runFramed(o options) (*result, error) {
	e, done, err := loaded(o)
	if err != nil {
		return nil, err
	}
	defer done()
	return serveFramedEach(o, func() func([]byte) []byte {
		var buf []byte
		return func(k []byte) []byte {
			buf, _, _ = e.Get(k, buf[:0]) // a failure is an empty value, which the client counts
			return buf
		}
	})
}

func serveFramed(o options, answer func([]byte) []byte) (*result, error) {
	return serveFramedEach(o, func() func([]byte) []byte { return answer })
}

// serveFramedEach answers frames on a port of its own and drives load at it.
func serveFramedEach(o options, answerer func() func([]byte) []byte) (*result, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return // closed
			}
			go serveConn(nc, answerer())
		}
	}()
	o.addrs = []string{l.Addr().String()}
	return runPipelines(o, func() protocol { return new(framed) })
}

// serveConn answers what is there before it writes.
func serveConn(nc net.Conn, answer func([]byte) []byte) {
	defer nc.Close()
	in, out := bufio.NewReaderSize(nc, socketBuffer), bufio.NewWriterSize(nc, socketBuffer)
	var head [4]byte
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return // the client is done
		}
		n := int(binary.BigEndian.Uint32(head[:]))
		k, err := in.Peek(n)
		if err != nil {
			return
		}
		v := answer(k)
		binary.BigEndian.PutUint32(head[:], uint32(len(v)))
		_, _ = out.Write(head[:]) // Flush tells of failures
		_, _ = out.Write(v)
		_, _ = in.Discard(n)
	}
}

// framed is the client's side.
type framed struct{}

func (framed) request(dst []byte, n int) []byte {
	at := len(dst)
	dst = storedKey(append(dst, 0, 0, 0, 0), n)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

func (framed) reply(in *bufio.Reader) (bool, error) {
	head, err := in.Peek(4)
	if err != nil {
		return false, err
	}
	n := int(binary.BigEndian.Uint32(head))
	_, err = in.Discard(4 + n)
	return n > 0, err
}

// storedKey is a key as partitions store it: length of the hash key, hash key.
func storedKey(dst []byte, n int) []byte { return key(append(dst, 0, 15), n) }

// loaded opens an engine that holds all records in tables.
func loaded(o options) (e engine.Engine, done func(), err error) {
	dir, err := os.MkdirTemp(o.dir, "floor-*")
	if err != nil {
		return nil, nil, err
	}
	opener, err := rocks.NewOpener(rocks.DefaultConfig())
	if err != nil {
		return nil, nil, err
	}
	if e, err = opener.Open(dir+"/db", engine.Options{}); err != nil {
		return nil, nil, err
	}
	done = func() {
		_ = e.Close() // the data is thrown away
		_ = opener.Close()
		_ = os.RemoveAll(dir)
	}
	var b engine.Batch
	value := payload(o.valueSize)
	for n := range o.records {
		b.PutHeader(storedKey(nil, n), record.Header{Index: uint64(n)}, value)
		if b.Size() > 1<<20 || n == o.records-1 {
			if err := e.Apply(&b); err != nil {
				return nil, nil, errors.Join(err, e.Close())
			}
			b.Reset()
		}
	}
	return e, done, e.Flush()
}

// runRocks is gets without a server: on as many goroutines as there are
// connections.
func runRocks(o options) (*result, error) {
	e, done, err := loaded(o)
	if err != nil {
		return nil, err
	}
	defer done()
	return together(o.connections, o.duration, func(i int, t *tally, until time.Time) error {
		rng := rand.New(rand.NewPCG(4, uint64(i)))
		var k, v []byte
		for now := time.Now(); now.Before(until); {
			k = storedKey(k[:0], rng.IntN(o.records))
			var found bool
			var err error
			if v, found, err = e.Get(k, v[:0]); err != nil || !found {
				return errors.Join(err, errors.New("record is not there"))
			}
			next := time.Now()
			t.add(next.Sub(now))
			now = next
		}
		return nil
	})
}

// runIterate reads the whole database page by page; an operation is a page, and
// the records are in PerSecond.
func runIterate(o options) (*result, error) {
	e, done, err := loaded(o)
	if err != nil {
		return nil, err
	}
	defer done()
	rows := 0
	r, err := together(1, o.duration, func(_ int, t *tally, until time.Time) error {
		var p engine.Page
		for now := time.Now(); now.Before(until); {
			it, err := e.NewIter(engine.IterOptions{})
			if err != nil {
				return err
			}
			for {
				if err := it.Next(1000, 1<<20, &p); err != nil {
					return err
				}
				if p.Len() == 0 {
					break
				}
				rows += p.Len()
				next := time.Now()
				t.add(next.Sub(now))
				now = next
			}
			it.Close()
		}
		return nil
	})
	if err == nil {
		r.PerSecond *= float64(rows) / float64(r.Operations)
	}
	return r, err
}

// runSync appends blocks of the value size to a file, each made durable.
func runSync(o options) (*result, error) {
	f, err := os.CreateTemp(o.dir, "sync-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	b := payload(o.valueSize)
	return together(1, o.duration, func(_ int, t *tally, until time.Time) error {
		for now := time.Now(); now.Before(until); {
			if _, err := f.Write(b); err != nil {
				return err
			}
			if err := f.Sync(); err != nil {
				return err
			}
			next := time.Now()
			t.add(next.Sub(now))
			now = next
		}
		return nil
	})
}
