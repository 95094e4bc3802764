package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"time"
)

// etcd is spoken to in its own protocol: gRPC, which is HTTP/2 with five bytes in
// front of a protobuf message. The standard library has the former, and the two
// messages needed are a few lines, so the comparison is with what etcd's Go client
// does, without its balancer, retries and interceptors.
type etcd struct {
	client *http.Client
	url    string
	set    bool
	value  []byte
}

func runEtcd(o options) (*result, error) {
	value := payload(o.valueSize)
	path, set := "/etcdserverpb.KV/Range", false
	if o.workload != "get" {
		path, set = "/etcdserverpb.KV/Put", true
	}
	clients := make([]*etcd, o.connections)
	for i := range clients {
		var p http.Protocols
		p.SetUnencryptedHTTP2(true)
		// One Transport is one connection; HTTP/2 puts all calls on it.
		clients[i] = &etcd{
			client: &http.Client{Transport: &http.Transport{Protocols: &p}},
			url:    "http://" + o.addrs[i%len(o.addrs)] + path, set: set, value: value,
		}
	}
	length := o.duration
	per := o
	per.connections = o.inFlight // numbers are dealt to workers
	if o.workload == "load" {
		length = time.Hour
	}
	return together(o.inFlight, length, func(i int, t *tally, until time.Time) error {
		return clients[i%len(clients)].work(per.numbers(i), t, until)
	})
}

func (e *etcd) work(next func() (int, bool), t *tally, until time.Time) error {
	var body, name []byte
	for time.Now().Before(until) {
		n, ok := next()
		if !ok {
			return nil
		}
		name = key(name[:0], n)
		body = e.message(body[:0], name)
		start := time.Now()
		ok, err := e.call(body)
		if err != nil {
			return err
		}
		if ok {
			t.add(time.Since(start))
		} else {
			t.failed++
		}
	}
	return nil
}

// message is a PutRequest{1: key, 2: value} or a RangeRequest{1: key}.
func (e *etcd) message(dst, name []byte) []byte {
	dst = append(dst, 0, 0, 0, 0, 0) // not compressed, length
	dst = field(dst, 1, name)
	if e.set {
		dst = field(dst, 2, e.value)
	}
	binary.BigEndian.PutUint32(dst[1:], uint32(len(dst)-5))
	return dst
}

func field(dst []byte, number byte, b []byte) []byte {
	const lengthDelimited = 2
	dst = append(dst, number<<3|lengthDelimited)
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// call makes one unary call; ok says whether etcd was satisfied.
func (e *etcd) call(body []byte) (ok bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header["Content-Type"] = []string{"application/grpc"}
	req.Header["Te"] = []string{"trailers"}
	resp, err := e.client.Do(req)
	if err != nil {
		return false, fmt.Errorf("call %s: %w", e.url, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, err
	}
	status := resp.Trailer.Get("Grpc-Status")
	if status == "" {
		status = resp.Header.Get("Grpc-Status") // an error may come without a body
	}
	return status == "0", nil
}
