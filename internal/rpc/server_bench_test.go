package rpc

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/rrdb"
)

// BenchmarkGet is a get without storage: what the network side costs for each
// request, client included.
func BenchmarkGet(b *testing.B) {
	value := &base.Blob{Data: make([]byte, 100)}
	get := func(q *Request) {
		var key base.Blob
		if q.DecodeOrFail(&key) {
			q.Reply(&rrdb.ReadResponse{Value: value, AppID: q.AppID, PartitionIndex: q.PartitionIndex, Server: "127.0.0.1:34801"})
		}
	}
	for _, async := range []bool{false, true} {
		for _, window := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("async=%v/window=%d", async, window), func(b *testing.B) {
				r := newRig(b, func(o *Options) {
					o.Mux = NewMux()
					o.Mux.Handle(frame.RPCGet, get)
					if async {
						o.Mux = NewMux()
						o.Mux.Handle(frame.RPCGet, func(q *Request) { go get(q) })
					}
				})
				benchmarkPipelined(b, r.addr, window)
			})
		}
	}
}

// sizedReply knows its size, as the replies to range reads do.
type sizedReply struct{ *rrdb.ReadResponse }

func (s sizedReply) EncodedSize() int { return s.Value.Len() + 128 }

// BenchmarkPage is a page of a scanner without storage.
func BenchmarkPage(b *testing.B) {
	page := sizedReply{&rrdb.ReadResponse{Value: &base.Blob{Data: make([]byte, 170_000)}}}
	r := newRig(b, func(o *Options) {
		o.Mux = NewMux()
		o.Mux.Handle(frame.RPCGet, func(q *Request) { q.Reply(page) })
	})
	benchmarkPipelined(b, r.addr, 1)
}

func benchmarkPipelined(b *testing.B, addr string, window int) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	h := frame.Header{Name: frame.RPCGet, AppID: 2, PartitionIndex: 3}
	one := frame.AppendRequest(nil, &h, &base.Blob{Data: []byte("\x00\x05hkey1skey1")})
	var burst []byte
	for range window {
		burst = append(burst, one...)
	}
	in := bufio.NewReaderSize(nc, 64<<10)
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	for done := 0; done < b.N; done += window {
		if _, err := nc.Write(burst); err != nil {
			b.Fatal(err)
		}
		for range window {
			length, err := in.Peek(4)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := in.Discard(int(binary.BigEndian.Uint32(length))); err != nil && err != io.EOF {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "req/s")
}
