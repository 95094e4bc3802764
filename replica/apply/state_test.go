package apply

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

func TestStateIsWrittenWithTheData(t *testing.T) {
	r := newReplica(t)
	fresh, err := Load(r.engine)
	require.NoError(t, err)
	require.Equal(t, State{Format: firstFormat}, fresh)

	r.at(now, put("h", "s", "v", 0))
	r.run(entry(command.Header{StampMS: stampAt(now + 1)}, put("h", "s", "v", 0)),
		entry(command.Header{StampMS: stampAt(now + 2)}, put("h", "s", "v", 0)))
	st, err := Load(r.engine)
	require.NoError(t, err)
	require.Equal(t, State{AppliedIndex: 3, ClockMS: stampAt(now + 2), Format: firstFormat}, st)
	require.Equal(t, st, r.State())
	require.EqualValues(t, now+2, st.ClockSec())
}

// TestStateBytes pins what is on disk.
func TestStateBytes(t *testing.T) {
	var b engine.Batch
	State{AppliedIndex: 0x0102030405060708, ClockMS: 0x0a0b0c0d0e0f, Format: 1}.AppendTo(&b)
	b.Each(func(_ engine.Kind, key, value []byte) {
		require.Equal(t, "\xff\xffstate", string(key))
		require.Equal(t, "\x01\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0a\x0b\x0c\x0d\x0e\x0f\x01", string(value))
	})
}

// storage is a Reader that answers one thing.
type storage struct {
	value []byte
	err   error
}

func (s storage) Get(_, dst []byte) ([]byte, bool, error) {
	return append(dst, s.value...), s.value != nil, s.err
}

func TestLoadRefuses(t *testing.T) {
	disk := errors.New("disk")
	_, err := Load(storage{err: disk})
	require.ErrorIs(t, err, disk)
	_, err = Load(storage{value: []byte("short")})
	require.ErrorIs(t, err, engine.ErrCorruption)
	_, err = Load(storage{value: record.Append(nil, record.Header{Index: 1}, nil)})
	require.ErrorIs(t, err, engine.ErrCorruption)
	_, err = Load(storage{value: record.Append(nil, record.Header{Index: 1}, []byte{2, 0, 0, 0, 8})})
	require.ErrorIs(t, err, engine.ErrCorruption)
	for _, format := range []byte{0, Format + 1} {
		_, err = Load(storage{value: record.Append(nil, record.Header{Index: 1}, []byte{format})})
		require.ErrorIs(t, err, ErrFormat)
	}
	st, err := Load(storage{value: record.Append(nil, record.Header{Index: 1}, []byte{1, 'm', 'o', 'r', 'e'})})
	require.NoError(t, err)
	require.EqualValues(t, 1, st.AppliedIndex)
}

// TestClockNeverGoesBack: a new leader may stamp with a clock behind that of the
// old one. What compactions purged under the old clock must stay expired.
func TestClockNeverGoesBack(t *testing.T) {
	purged, kept := newReplica(t), newReplica(t)
	for _, r := range []*replica{purged, kept} {
		r.at(now, put("h", "s", "41", now+10))
		r.at(now+20, command.Op{Kind: command.Noop})
	}
	purged.engine.SetClock(purged.State().ClockSec())
	require.NoError(t, purged.engine.Compact(t.Context(), engine.CompactOptions{}))
	purged.requireAbsent("h", "s")
	kept.requireStored("h", "s", "41", now+10)

	for _, r := range []*replica{purged, kept} {
		res := r.at(now+5, incr("h", "s", 1, 0))[0].(*rrdb.IncrResponse)
		require.EqualValues(t, 1, res.NewValue_)
		require.Equal(t, stampAt(now+20), r.State().ClockMS)
	}
	require.Equal(t, purged.dump(), kept.dump())
}

func TestClockIsClamped(t *testing.T) {
	r := newReplica(t)
	r.run(entry(command.Header{StampMS: math.MaxUint64}, put("h", "s", "v", 0)))
	st, err := Load(r.engine)
	require.NoError(t, err)
	require.Equal(t, r.State(), st, "memory and disk agree")
}

func TestApplyRefusesAReplay(t *testing.T) {
	r := newReplica(t)
	e, err := command.Decode(entry(command.Header{}, incr("h", "s", 1, 0)))
	require.NoError(t, err)
	var b engine.Batch
	_, err = r.Apply(r.engine, e, 5, &b)
	require.NoError(t, err)
	for _, index := range []uint64{5, 4, 0} {
		_, err = r.Apply(r.engine, e, index, &b)
		require.Error(t, err)
	}
}

func TestStorageErrors(t *testing.T) {
	disk := errors.New("disk")
	ops := []command.Op{
		incr("h", "s", 1, 0), cas(rrdb.CheckAndSetRequest{}),
		cam(rrdb.CheckAndMutateRequest{MutateList: []*rrdb.Mutate{{}}}),
	}
	for _, op := range ops {
		e, err := command.Decode(entry(command.Header{}, op))
		require.NoError(t, err)
		var b engine.Batch
		_, err = New(Identity{}, State{}).Apply(storage{err: disk}, e, 1, &b)
		require.ErrorIs(t, err, disk)
		_, err = New(Identity{}, State{}).Apply(storage{value: []byte("no record")}, e, 1, &b)
		require.ErrorIs(t, err, engine.ErrCorruption)
	}
}

func TestRunEndsWithItsState(t *testing.T) {
	r := newReplica(t)
	e, err := command.Decode(entry(command.Header{}, put("h", "s", "v", 0)))
	require.NoError(t, err)
	var b engine.Batch
	_, err = r.Apply(r.engine, e, 1, &b)
	require.NoError(t, err)
	r.AppendState(&b)
	_, err = r.Apply(r.engine, e, 2, &b)
	require.Error(t, err, "its writes would hide those of the run")
	b.Reset()
	_, err = r.Apply(r.engine, e, 2, &b)
	require.NoError(t, err)
}
