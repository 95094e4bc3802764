package service

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/load"
	"github.com/arionkv/arion/replica/partition"
)

func TestStages(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	names := func(c *call) map[string]time.Duration {
		out := map[string]time.Duration{}
		for _, s := range c.stages(at(100)) {
			if s.took > 0 {
				out[s.name] = s.took / time.Millisecond
			}
		}
		return out
	}
	write := &call{o: &operation{op: load.Put}, begin: begin, admitted: at(5),
		trace: partition.Trace{Proposed: at(15), Applying: at(45), Stored: at(90)}}
	require.Equal(t, map[string]time.Duration{
		"stage_held": 5, "stage_queue": 10, "stage_raft": 30, "stage_apply": 45, "stage_reply": 10}, names(write))
	refused := &call{o: &operation{op: load.Put}, begin: begin}
	require.Equal(t, map[string]time.Duration{"stage_reply": 100}, names(refused), "answered without the log")
	scan := &call{o: &operation{op: load.Scan}, begin: begin, barrier: at(20), started: at(30), answered: at(80)}
	require.Equal(t, map[string]time.Duration{
		"stage_barrier": 20, "stage_queue": 10, "stage_engine": 50, "stage_reply": 20}, names(scan))
}

func TestHashKeyOf(t *testing.T) {
	blob := func(b []byte) *base.Blob { return &base.Blob{Data: b} }
	encoded := key.Append(nil, []byte("hash"), []byte("sort"))
	args := func(m frame.Message) []byte { return frame.AppendMessage(nil, m) }
	for name, c := range map[string]struct {
		of   hashKeyOf
		args []byte
	}{
		"get":       {keyArg, args(blob(encoded))},
		"put":       {keyField, args(&rrdb.UpdateRequest{Key: blob(encoded), Value: blob([]byte("v"))})},
		"incr":      {keyField, args(&rrdb.IncrRequest{Key: blob(encoded)})},
		"count":     {hashKeyArg, args(blob([]byte("hash")))},
		"multi_put": {hashKeyField, args(&rrdb.MultiPutRequest{HashKey: blob([]byte("hash"))})},
		"multi_get": {hashKeyField, args(&rrdb.MultiGetRequest{HashKey: blob([]byte("hash"))})},
		"cas":       {hashKeyField, args(&rrdb.CheckAndSetRequest{HashKey: blob([]byte("hash"))})},
	} {
		got, ok := c.of(c.args)
		require.True(t, ok, name)
		require.Equal(t, "hash", string(got), name)
		for n := range c.args {
			c.of(c.args[:n]) // no panic, whatever is cut off
		}
		_, ok = c.of(nil)
		require.False(t, ok, name)
	}
}

func FuzzHashKeyOf(f *testing.F) {
	f.Add([]byte("\x0c\x00\x01\x00\x00\x00\x06\x00\x04hash"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		for _, of := range []hashKeyOf{keyArg, keyField, hashKeyArg, hashKeyField} {
			of(b)
		}
	})
}
