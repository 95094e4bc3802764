package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRESP(t *testing.T) {
	set := &resp{set: true, value: []byte("abc")}
	require.Equal(t, "*3\r\n$3\r\nSET\r\n$15\r\nuser-0000000007\r\n$3\r\nabc\r\n", string(set.request(nil, 7)))
	get := new(resp)
	require.Equal(t, "*2\r\n$3\r\nGET\r\n$15\r\nuser-0000000007\r\n", string(get.request(nil, 7)))
	in := bufio.NewReader(strings.NewReader("+OK\r\n-ERR no\r\n$3\r\nabc\r\n$-1\r\n?"))
	for _, want := range []bool{true, false, true, false} {
		ok, err := get.reply(in)
		require.NoError(t, err)
		require.Equal(t, want, ok)
	}
	_, err := get.reply(in)
	require.Error(t, err)
}

// A load sends each record once, whatever the window.
func TestPipelineLoads(t *testing.T) {
	for _, connections := range []int{1, 3} {
		o := options{workload: "load", records: 1000, valueSize: 8, connections: connections, inFlight: 16, partitions: 1, sortKeys: 1}
		r, err := runEcho(o)
		require.NoError(t, err)
		require.Equal(t, int64(1000), r.Operations)
	}
}

func TestPipelineReportsABrokenServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			nc.Close()
		}
	}()
	defer l.Close()
	o := options{workload: "get", records: 10, connections: 1, inFlight: 4, duration: time.Second, addrs: []string{l.Addr().String()}}
	_, err = runRESP(o)
	require.Error(t, err)
}

func TestFloor(t *testing.T) {
	o := options{workload: "get", records: 500, valueSize: 64, connections: 2, inFlight: 8, duration: 50 * time.Millisecond, dir: t.TempDir(), partitions: 3, sortKeys: 10}
	for _, o.memtable = range []bool{false, true} {
		for _, run := range []func(options) (*result, error){runFramed, runRocks, runIterate, runSync} {
			r, err := run(o)
			require.NoError(t, err)
			require.Positive(t, r.Operations)
			require.Zero(t, r.Failed)
		}
	}
	require.Equal(t, "\x00\x0fuser-0000000042field-0000000007", string(o.storedKey(nil, 427)))
}

// etcd's frames: five bytes, then the message.
func TestEtcd(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Type") != "application/grpc" || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
			w.Header().Set("Grpc-Status", "13")
			return
		}
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write([]byte{0, 0, 0, 0, 0})
		w.Header().Set("Grpc-Status", "0")
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	o := options{workload: "set", records: 100, valueSize: 300, connections: 2, inFlight: 4,
		duration: 50 * time.Millisecond, addrs: []string{s.Listener.Addr().String()}}
	r, err := runEtcd(o)
	require.NoError(t, err)
	require.Positive(t, r.Operations)
	require.Zero(t, r.Failed)
	e := &etcd{set: true, value: []byte("v")}
	require.Equal(t, []byte("\x00\x00\x00\x00\x07\x0a\x02kk\x12\x01v"), e.message(nil, []byte("kk")))
}
