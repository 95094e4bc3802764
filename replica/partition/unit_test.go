package partition

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/mem"
)

func always(int) bool { return true }
func never() bool     { return false }

func checkpointDir(t testing.TB, files map[string]int) string {
	dir := t.TempDir()
	for name, size := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte(name[:1]), size), 0o644))
	}
	return dir
}

func TestStreamRoundTrip(t *testing.T) {
	from := checkpointDir(t, map[string]int{"CURRENT": 16, "000001.sst": 3*copyBuffer + 5, "empty": 0, "one": 1})
	var stream bytes.Buffer
	require.NoError(t, writeStream(&stream, from, always))
	to := filepath.Join(t.TempDir(), "db")
	require.NoError(t, readStream(bytes.NewReader(stream.Bytes()), to, never))
	names, err := plainFiles(from)
	require.NoError(t, err)
	got, err := plainFiles(to)
	require.NoError(t, err)
	require.Equal(t, names, got)
	for _, name := range names {
		want, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		have, err := os.ReadFile(filepath.Join(to, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, have), name)
	}
}

// Every single flipped byte and every cut is noticed.
func TestStreamDamage(t *testing.T) {
	from := checkpointDir(t, map[string]int{"a": 40, "b": 3})
	var stream bytes.Buffer
	require.NoError(t, writeStream(&stream, from, always))
	read := func(b []byte) error {
		return readStream(bytes.NewReader(b), filepath.Join(t.TempDir(), "db"), never)
	}
	require.NoError(t, read(stream.Bytes()))
	for at := range stream.Len() {
		if at >= 5 && at < streamHeader {
			continue // reserved
		}
		bad := bytes.Clone(stream.Bytes())
		bad[at] ^= 0x11
		require.Error(t, read(bad), "byte %d", at)
		require.Error(t, read(stream.Bytes()[:at]), "cut at %d", at)
	}
}

func TestStreamStops(t *testing.T) {
	from := checkpointDir(t, map[string]int{"a": 4 * copyBuffer})
	pieces := 0
	err := writeStream(io.Discard, from, func(int) bool { pieces++; return pieces < 3 })
	require.ErrorIs(t, err, errStopped)
	var stream bytes.Buffer
	require.NoError(t, writeStream(&stream, from, always))
	err = readStream(&stream, filepath.Join(t.TempDir(), "db"), func() bool { return true })
	require.ErrorIs(t, err, errStopped)
	require.NoError(t, os.Mkdir(filepath.Join(from, "dir"), 0o755))
	require.Error(t, writeStream(io.Discard, from, always), "a directory would be lost")
}

func FuzzReadStream(f *testing.F) {
	from := checkpointDir(f, map[string]int{"CURRENT": 16, "x": 100})
	var stream bytes.Buffer
	require.NoError(f, writeStream(&stream, from, always))
	f.Add(stream.Bytes())
	f.Add([]byte("ARSN\x01\x00\x00\x00\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff.."))
	f.Add([]byte("ARSN\x01\x00\x00\x00\x01\x04\x00\x00\x00\x00\x00\x00\x00\x01../x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		parent := t.TempDir()
		err := readStream(bytes.NewReader(b), filepath.Join(parent, "db"), never)
		outside, readErr := os.ReadDir(parent)
		require.NoError(t, readErr)
		require.LessOrEqual(t, len(outside), 1, "wrote outside its directory")
		if err == nil {
			var again bytes.Buffer
			require.NoError(t, writeStream(&again, filepath.Join(parent, "db"), always))
		}
	})
}

func TestEnvelope(t *testing.T) {
	e := envelope{proposer: 1<<63 + 1, sequence: 77}
	b := append(e.append(nil), "command"...)
	got, body, err := openEnvelope(b)
	require.NoError(t, err)
	require.Equal(t, e, got)
	require.Equal(t, "command", string(body))
	for _, bad := range [][]byte{nil, {1}, b[:envelopeLen-1], append([]byte{2}, b[1:]...)} {
		_, _, err := openEnvelope(bad)
		require.ErrorIs(t, err, errEnvelope)
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add(envelope{1, 2}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, body, err := openEnvelope(b); err == nil {
			require.Equal(t, b, append(e.append(nil), body...))
		}
	})
}

func TestQueue(t *testing.T) {
	q := newQueue(3, 100, time.Hour)
	var answers []error
	w := func(size int) write {
		return write{kind: command.Put, args: make([]byte, size), done: func(_ apply.Result, err error) { answers = append(answers, err) }}
	}
	require.Equal(t, errNotLeader, q.put(w(1)), "closed until this replica leads")
	q.open()
	require.NoError(t, q.put(w(1000)), "one write always fits")
	require.Equal(t, errBusy, q.put(w(1)))
	require.Len(t, q.take(nil, 10, 10), 1, "a large write goes alone")
	for range 3 {
		require.NoError(t, q.put(w(10)))
	}
	require.Equal(t, errBusy, q.put(w(0)))
	require.Len(t, q.take(nil, 2, 1000), 2)
	require.NoError(t, q.put(w(10)))
	require.Len(t, q.take(nil, 10, 15), 1, "by size")

	q.close(errNotLeader)
	require.Equal(t, []error{errNotLeader}, answers)
	q.open()
	require.NoError(t, q.put(w(1)))
	q.close(errClosing)
	q.open()
	require.Equal(t, errClosing, q.put(w(1)), "closing is final")
	q.close(errNotLeader)
	require.Equal(t, errClosing, q.put(w(1)))
	require.Len(t, answers, 2)
	require.True(t, q.empty())
}

// A queue that has not got on for too long refuses, however little is in it.
func TestQueueRefusesWhenItsWritesAreOld(t *testing.T) {
	q := newQueue(100, 1000, time.Second)
	now := time.Now()
	q.now = func() time.Time { return now }
	q.open()
	w := write{kind: command.Put}
	require.NoError(t, q.put(w))
	now = now.Add(time.Second - 1)
	require.NoError(t, q.put(w))
	now = now.Add(1)
	require.Equal(t, errSlow, q.put(w))
	require.Equal(t, code.Busy, code.Of(errSlow))
	require.Len(t, q.take(nil, 1, 1000), 1)
	require.NoError(t, q.put(w), "the oldest that is left is young")
	now = now.Add(time.Second)
	require.Equal(t, errSlow, q.put(w))
	q.take(nil, 100, 1000)
	require.NoError(t, q.put(w), "nothing waits")
}

func TestLease(t *testing.T) {
	now := time.Now()
	l := newLease(200 * time.Millisecond)
	l.now = func() time.Time { return now }
	valid := func() bool { _, ok := l.age(l.now()); return ok }
	require.False(t, valid())

	begin, epoch := l.start()
	now = now.Add(50 * time.Millisecond)
	require.True(t, l.grant(begin, epoch, 1))
	age, ok := l.age(l.now())
	require.True(t, ok)
	require.Equal(t, 50*time.Millisecond, age, "it counts from the begin of the ReadIndex")
	now = now.Add(150*time.Millisecond - 1)
	require.True(t, valid())
	now = now.Add(1)
	require.False(t, valid())

	begin, epoch = l.start()
	l.revoke()
	require.False(t, l.grant(begin, epoch, 1), "evidence from before a revocation")
	begin, epoch = l.start()
	require.True(t, l.grant(begin, epoch, 1))
	l.revoke()
	require.False(t, valid())

	l.bar(5)
	begin, epoch = l.start()
	require.False(t, l.grant(begin, epoch, 5), "leadership may still be transferred")
	require.True(t, l.grant(begin, epoch, 6))
	l.close()
	require.False(t, valid())
	begin, epoch = l.start()
	require.False(t, l.grant(begin, epoch, 7))
}

// While a machine sleeps the monotonic clock may stand still.
func TestLeaseEndsWhenTheMachineSlept(t *testing.T) {
	l := newLease(200 * time.Millisecond)
	begin, epoch := l.start()
	require.True(t, l.grant(begin, epoch, 1))
	later := begin.Add(10 * time.Millisecond)
	l.now = func() time.Time { return later }
	_, ok := l.age(l.now())
	require.True(t, ok)
	// Round(0) drops the monotonic reading, so Sub goes by the wall clock.
	later = begin.Round(0).Add(time.Hour)
	_, ok = l.age(l.now())
	require.False(t, ok)
}

func TestLimiter(t *testing.T) {
	l := NewLimiter(1000)
	now := time.Now()
	require.Zero(t, l.reserve(500, now))
	require.Equal(t, 500*time.Millisecond, l.reserve(500, now))
	require.Equal(t, time.Second, l.reserve(1, now))
	require.Zero(t, l.reserve(1, now.Add(time.Minute)), "idle time is not saved up")
	stop := make(chan struct{})
	require.True(t, (*Limiter)(nil).wait(1<<30, stop))
	require.True(t, NewLimiter(0).wait(1<<30, stop))
	close(stop)
	require.False(t, NewLimiter(0).wait(1, stop))
}

func TestPlaceSweepsLeftovers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "7.0.1")
	id := identity{TableID: 7, ReplicaID: 1, Join: true}
	p, err := openPlace(dir, id)
	require.NoError(t, err)
	require.Empty(t, p.live)
	name := p.fresh(dbPrefix)
	require.NoError(t, os.Mkdir(p.path(name), 0o755))
	require.NoError(t, p.setLive(name))
	for _, left := range []string{"db-000007", "db-000009.tmp", "pin-000003", "CURRENT.tmp"} {
		require.NoError(t, os.Mkdir(p.path(left), 0o755))
	}

	p, err = openPlace(dir, identity{TableID: 7, ReplicaID: 1})
	require.NoError(t, err)
	require.Equal(t, name, p.live)
	require.True(t, p.id.Join, "what was recorded first counts")
	require.Equal(t, "db-000010", p.fresh(dbPrefix))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 3)

	_, err = openPlace(dir, identity{TableID: 7, ReplicaID: 2})
	require.ErrorContains(t, err, "belongs to replica 1")
	require.NoError(t, os.WriteFile(filepath.Join(dir, currentFile), []byte("../elsewhere"), 0o644))
	_, err = openPlace(dir, id)
	require.ErrorContains(t, err, "damaged")
}

func TestHandlesOutliveASwitch(t *testing.T) {
	s := newShelf(quiet(), time.Minute)
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	open := func(dir string) engine.Engine {
		e, err := mem.Opener{}.Open(dir, engine.Options{})
		require.NoError(t, err)
		return e
	}
	_, err := s.acquire()
	require.ErrorIs(t, err, ErrClosed)
	s.replace(open(dirs[0]), dirs[0])
	old, err := s.acquire()
	require.NoError(t, err)
	s.replace(open(dirs[1]), dirs[1])
	_, _, err = old.Get([]byte("k"), nil)
	require.NoError(t, err, "still open")
	old.Release()
	eventually(t, "removal of the old directory", func() bool { _, err := os.Stat(dirs[0]); return errors.Is(err, os.ErrNotExist) })

	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				h, err := s.acquire()
				if err != nil {
					return
				}
				if _, _, err := h.Get([]byte("k"), nil); err != nil {
					panic(fmt.Sprintf("engine closed under a handle: %v", err))
				}
				h.Release()
			}
		}()
	}
	s.close()
	wg.Wait()
	_, err = os.Stat(dirs[1])
	require.NoError(t, err, "the live directory stays")
}

func TestLeadership(t *testing.T) {
	l := newLeadership(1)
	require.False(t, l.get().mine)
	require.True(t, l.set(1, 3))
	led := l.get()
	require.True(t, led.mine)
	require.False(t, l.set(1, 3), "nothing new")
	require.False(t, l.set(2, 2), "an older term")
	require.False(t, isClosed(led.over))
	require.True(t, l.set(0, 3), "the leader is lost within its term")
	require.True(t, isClosed(led.over))
	l.resign()
	require.False(t, l.set(1, 9))
	require.False(t, l.get().mine)
}

// A run that answers an entry of a full window wakes the proposer, and raft, which
// speaks later, is still listened to.
func TestFullWindow(t *testing.T) {
	p := &Partition{o: Options{Window: 1}.withDefaults(), leadership: newLeadership(1)}
	r := newProposer(p, 1)
	var answers []error
	f := &flight{
		sequence: 7, state: &dragonboat.RequestState{CompletedC: make(chan dragonboat.RequestResult, 1)},
		writes: []write{{done: func(_ apply.Result, err error) { answers = append(answers, err) }}},
	}
	r.flights, r.window = []*flight{f}, []*flight{f}
	require.False(t, r.room())

	r.applied(8, []apply.Result{nil}, runTimes{})
	require.Empty(t, answers, "another entry")
	r.applied(7, []apply.Result{nil}, runTimes{})
	require.Equal(t, []error{nil}, answers)
	require.Empty(t, r.queue.wake, "more of the run may follow")
	r.ended()
	require.Len(t, r.queue.wake, 1)
	require.True(t, r.room())
	require.Equal(t, []*flight{f}, r.spent)
	r.release()
	require.Len(t, r.spent, 1, "raft has not spoken")
	f.state.CompletedC <- dragonboat.RequestResult{} // it timed out
	r.release()
	require.Empty(t, r.spent)
	require.Empty(t, r.free, "the state machine may be at work on it")
	require.Empty(t, r.flights)

	r.applied(7, []apply.Result{nil}, runTimes{})
	require.Len(t, answers, 1, "answered once")
}

func TestProposeErrorsAreNotUnknown(t *testing.T) {
	for _, err := range []error{errBusy, errNotLeader, errClosing, errRemoved} {
		require.NotEqual(t, code.ClassUnknownOutcome, code.Of(err).Class(), err)
	}
	require.Equal(t, code.ClassUnknownOutcome, code.Of(errOutcome).Class())
}

func TestShardID(t *testing.T) {
	require.EqualValues(t, 7<<32|3, ShardID(7, 3))
}
