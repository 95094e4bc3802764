package raft

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/raftpb"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"
)

func TestFrames(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	bodies := [][]byte{{1}, bytes.Repeat([]byte{2}, ioStep), bytes.Repeat([]byte{3}, 3*ioStep+17)}
	go func() {
		for _, body := range bodies {
			_ = writeFrame(a, body)
		}
		a.Close()
	}()
	var buf []byte
	var err error
	for _, want := range bodies {
		buf, err = readFrame(b, buf)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, buf))
	}
	_, err = readFrame(b, buf)
	require.Error(t, err)
}

// inert is a connection that has all it will ever have.
type inert struct{ *bytes.Reader }

func (inert) SetReadDeadline(time.Time) error { return nil }

func TestHello(t *testing.T) {
	good := appendHello(nil, kindSnapshots, 7)
	kind, err := parseHello(good, 7)
	require.NoError(t, err)
	require.EqualValues(t, kindSnapshots, kind)
	_, err = parseHello(good, 8)
	require.ErrorContains(t, err, "another cluster")
	for at := range 6 {
		bad := bytes.Clone(good)
		bad[at] ^= 0x40
		_, err = parseHello(bad, 7)
		require.ErrorIs(t, err, errWire, at)
	}
}

func FuzzReadFrame(f *testing.F) {
	var frame bytes.Buffer
	a, b := net.Pipe()
	go func() { _ = writeFrame(a, []byte("body")); a.Close() }()
	_, _ = io.Copy(&frame, b)
	f.Add(frame.Bytes())
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1})
	f.Add([]byte{0x09, 0, 0, 0, 0, 0, 0, 0, 1}) // claims 150 MB
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := readFrame(inert{bytes.NewReader(b)}, nil)
		require.LessOrEqual(t, cap(body), len(b)+2*ioStep, "memory for what did not arrive")
		if err == nil {
			require.Equal(t, b[frameHeader:frameHeader+len(body)], body)
		}
	})
}

// What the network says must not crash the process.
func FuzzDeliver(f *testing.F) {
	batch := raftpb.MessageBatch{SourceAddress: string(NodeTarget(1)), Requests: []raftpb.Message{
		{Type: raftpb.Replicate, From: 1, To: 2, ShardID: 3, Term: 4, Entries: []raftpb.Entry{{Index: 1, Term: 1, Cmd: []byte("x")}}},
	}}
	raw, err := batch.Marshal()
	require.NoError(f, err)
	f.Add(raw)
	chunk, err := (&raftpb.Chunk{ShardID: 1, ReplicaID: 2, Data: []byte("data")}).Marshal()
	require.NoError(f, err)
	f.Add(chunk)
	l, _ := test.NewNullLogger()
	m, err := newMetrics(nil, nil)
	require.NoError(f, err)
	tr := &transport{
		guard: newGuard(time.Second, time.Now), metrics: m, log: logrus.NewEntry(l),
		knows:  func(uint64, uint64) bool { return false },
		handle: func(raftpb.MessageBatch) {}, chunk: func(raftpb.Chunk) bool { return true },
		pacer: &pacer{learn: func(uint64, uint64, string) {}},
	}
	var memory raftpb.MessageBatch
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := tr.deliverBatch(b, &memory); err != nil {
			require.ErrorIs(t, err, errWire)
		}
		if err := tr.deliverChunk(b); err != nil {
			require.True(t, errors.Is(err, errWire), err)
		}
	})
}

// A port scan, a half frame, a stranger: each is closed, and the host lives on.
func TestStrangersAreRefused(t *testing.T) {
	o := testOptions(t, t.TempDir(), freeAddress(t))
	h, err := Open(o)
	require.NoError(t, err)
	defer h.Close()
	for name, bytes := range map[string][]byte{
		"http":            []byte("GET / HTTP/1.1\r\n\r\n"),
		"other cluster":   appendHello(nil, kindMessages, 1),
		"nonsense frame":  append(appendHello(nil, kindMessages, o.deploymentID()), make([]byte, 64)...),
		"unknown replica": append(appendHello(nil, kindSnapshots, o.deploymentID()), 0, 0, 0, 2, 0, 0, 0, 0, 1, 2),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", o.Address)
			require.NoError(t, err)
			defer c.Close()
			_, err = c.Write(bytes)
			require.NoError(t, err)
			require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
			_, err = io.ReadAll(c)
			var timeout net.Error
			require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "still open")
		})
	}
	c, err := net.Dial("tcp", o.Address)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}
