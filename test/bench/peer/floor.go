package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/rocks"
	"github.com/arionkv/arion/replica/record"
)

// The floor is what remains when everything that makes a database is left out: no
// protocol, no partitions, no leases, no metrics. What stays is a length before
// each message, sockets, and RocksDB through the same engine package: one get for
// each frame, out of as many databases as the table has partitions, under keys of
// the same shape, from tables in the block cache or from memtables.

func runEcho(o options) (*result, error) {
	value := payload(o.valueSize)
	return serveFramedEach(o, func() func([]byte) []byte { return func([]byte) []byte { return value } })
}

func runFramed(o options) (*result, error) {
	f, err := load(o)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return serveFramedEach(o, func() func([]byte) []byte {
		var buf []byte
		return func(request []byte) []byte {
			buf, _, _ = f.engines[request[0]].Get(request[1:], buf[:0]) // a failure is an empty value, which the client counts
			return buf
		}
	})
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
	return runPipelines(o, func() protocol { return &framed{o} })
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

// framed is the client's side. A request is a partition and an encoded key.
type framed struct{ o options }

func (f *framed) request(dst []byte, n int) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, f.o.partition(n))
	dst = f.o.storedKey(dst, n)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

func (f *framed) reply(in *bufio.Reader) (bool, error) {
	head, err := in.Peek(4)
	if err != nil {
		return false, err
	}
	n := int(binary.BigEndian.Uint32(head))
	_, err = in.Discard(4 + n)
	return n > 0, err
}

// storedKey is the key of a record as partitions store it: length of the hash key,
// hash key, sort key.
func (o *options) storedKey(dst []byte, n int) []byte {
	return digits(append(digits(append(dst, "\x00\x0fuser-"...), n/o.sortKeys), "field-"...), n%o.sortKeys)
}

// digits is fmt's %010d without its cost, which the floor would be charged for.
func digits(dst []byte, n int) []byte {
	at := len(dst)
	dst = append(dst, "0000000000"...)
	for i := len(dst) - 1; i >= at; i-- {
		dst[i], n = byte('0'+n%10), n/10
	}
	return dst
}

// maxPartitions is what a byte can name.
const maxPartitions = 256

// partition of a record. The hash is not the protocol's, which costs a call as
// much as the rest of its encoding.
func (o *options) partition(n int) byte { return byte(n / o.sortKeys % o.partitions) }

// floor is databases that hold all records.
type floor struct {
	dir     string
	opener  *rocks.Opener
	engines []engine.Engine
}

func load(o options) (*floor, error) {
	f := new(floor)
	err := f.open(o)
	if err == nil {
		err = f.fill(o)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *floor) open(o options) (err error) {
	if f.dir, err = os.MkdirTemp(o.dir, "floor-*"); err != nil {
		return err
	}
	if f.opener, err = rocks.NewOpener(rocks.DefaultConfig()); err != nil {
		return err
	}
	for i := range o.partitions {
		e, err := f.opener.Open(filepath.Join(f.dir, strconv.Itoa(i)), engine.Options{})
		if err != nil {
			return err
		}
		f.engines = append(f.engines, e)
	}
	return nil
}

// fill writes what a table of random values has: they do not compress, and no two
// are in the same place of the processor's cache.
func (f *floor) fill(o options) error {
	batches := make([]engine.Batch, o.partitions)
	noise := payload(1<<20 + o.valueSize)
	for n := range o.records {
		p := o.partition(n)
		b := &batches[p]
		at := n * 31 % (len(noise) - o.valueSize)
		b.PutHeader(o.storedKey(nil, n), record.Header{Index: uint64(n)}, noise[at:at+o.valueSize])
		if b.Size() > 64<<10 {
			if err := f.engines[p].Apply(b); err != nil {
				return err
			}
			b.Reset()
		}
	}
	for p, e := range f.engines {
		if err := e.Apply(&batches[p]); err != nil {
			return err
		}
		if o.memtable {
			continue
		}
		if err := e.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (f *floor) close() {
	for _, e := range f.engines {
		_ = e.Close() // the data is thrown away
	}
	if f.opener != nil {
		_ = f.opener.Close()
	}
	_ = os.RemoveAll(f.dir)
}

// runRocks is gets without a server: on as many goroutines as there are
// connections.
func runRocks(o options) (*result, error) {
	f, err := load(o)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return together(o.connections, o.duration, func(i int, t *tally, until time.Time) error {
		rng := rand.New(rand.NewPCG(4, uint64(i)))
		var k, v []byte
		for now := time.Now(); now.Before(until); {
			n := rng.IntN(o.records)
			k = o.storedKey(k[:0], n)
			var found bool
			var err error
			if v, found, err = f.engines[o.partition(n)].Get(k, v[:0]); err != nil || !found {
				return errors.Join(err, errors.New("record is not there"))
			}
			next := time.Now()
			t.add(next.Sub(now))
			now = next
		}
		return nil
	})
}

// runIterate reads all databases page by page, on as many goroutines as there are
// connections; an operation is a page, and the records are in PerSecond.
func runIterate(o options) (*result, error) {
	f, err := load(o)
	if err != nil {
		return nil, err
	}
	defer f.close()
	var rows atomic.Int64
	r, err := together(o.connections, o.duration, func(i int, t *tally, until time.Time) error {
		var p engine.Page
		for now := time.Now(); now.Before(until); i++ {
			it, err := f.engines[i%len(f.engines)].NewIter(engine.IterOptions{})
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
				rows.Add(int64(p.Len()))
				next := time.Now()
				t.add(next.Sub(now))
				now = next
			}
			it.Close()
		}
		return nil
	})
	if err == nil {
		r.PerSecond *= float64(rows.Load()) / float64(r.Operations)
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
