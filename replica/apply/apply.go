// Package apply turns log entries into writes: the semantics of the rrdb
// service, as a pure function of (state, entry).
//
// Replicas of a partition apply the same entries at different times, in runs
// cut differently, some after a restart and some on data that a compaction has
// already purged. They must end with the same bytes. Therefore nothing here
// asks a clock, a random source, a setting or the order of a map. Time is the
// entry's stamp, raised to the partition clock (State.ClockMS), and a record
// that expired by then is absent, whether or not it is still stored.
//
// A run is what one engine.Batch holds. Operations see the state below the run
// through an overlay of what the run wrote so far, so the result does not
// depend on where runs end.
package apply

import (
	"context"
	"fmt"
	"math"

	"github.com/arionkv/arion/idl/binproto"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/idl/rrdb"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// Result is the reply to one op, ready to be sent: the rrdb response struct, or
// nil for an op nobody waits for. Ops may share one result; do not modify.
type Result = frame.Message

// Reader is the state below the run. engine.Engine is one.
type Reader interface {
	// Get appends the stored bytes of key to dst; see engine.Engine.
	Get(key, dst []byte) (value []byte, found bool, err error)
}

// Applier applies the entries of one partition in order. It is not for
// concurrent use; its Identity is.
type Applier struct {
	Identity
	state State
	run   overlay
	ended bool // AppendState was called for the batch of the last Apply
	dec   binproto.Reader
	buf   []byte // stored bytes of the last lookup
}

// New makes an Applier that continues from st, the state as Load found it; the
// zero State is that of a new partition.
// After the engine's content was replaced (snapshot) a new one is needed.
func New(id Identity, st State) *Applier {
	if st.Format == 0 {
		st.Format = firstFormat
	}
	return &Applier{Identity: id, state: st}
}

// State is the partition's bookkeeping after everything applied so far,
// including entries of a run not yet given to the engine.
func (a *Applier) State() State { return a.state }

// AppendState ends a run: it adds the bookkeeping to the run's batch, to be
// written together with the data. The Applier lets go of the entries' bytes;
// the next Apply must begin a run.
func (a *Applier) AppendState(batch *engine.Batch) {
	a.state.AppendTo(batch)
	a.ended = true
	a.run.reset()
	a.dec.Reset(nil)
	if cap(a.buf) > maxIdleRecord {
		a.buf = nil
	}
}

// maxIdleRecord bounds the record buffer an Applier keeps between runs.
const maxIdleRecord = 64 << 10

// op is what the operations of one entry share.
type op struct {
	*Applier
	state      Reader
	batch      *engine.Batch
	index      uint64
	stampMS    uint64
	nowSec     uint32 // stampMS in seconds since 2016
	defaultTTL uint32
	ok         *rrdb.UpdateResponse // shared by all successes of the entry
}

// Apply runs the ops of e, the log entry at index, adds their writes to batch
// and returns one Result per op. An empty batch begins a new run; entries whose
// writes the state does not show yet must share a batch. The bytes behind e must
// stay unchanged until the run ends; results do not alias them.
//
// An error means that storage failed or lied, or that the caller replays an
// entry. The batch is then unusable and so is the Applier.
func (a *Applier) Apply(state Reader, e command.Entry, index uint64, batch *engine.Batch) ([]Result, error) {
	if index <= a.state.AppliedIndex {
		return nil, fmt.Errorf("apply %v: entry %d after entry %d", a.Identity, index, a.state.AppliedIndex)
	}
	switch {
	case batch.Len() == 0:
		a.run.reset()
		a.ended = false
	case a.ended:
		return nil, fmt.Errorf("apply %v: entry %d joins a run that has ended", a.Identity, index)
	}
	// Stamps of successive leaders may go back: the clock is part of the state,
	// and what compaction purged under it must stay expired.
	stamp := max(min(e.StampMS, maxClockMS), a.state.ClockMS)
	a.state.AppliedIndex, a.state.ClockMS = index, stamp
	o := op{
		Applier: a, state: state, batch: batch, index: index,
		stampMS: stamp, nowSec: record.SecondsAt(stamp), defaultTTL: e.DefaultTTL,
	}
	results := make([]Result, 0, e.Len())
	for c := e.Ops(); c.Next(); {
		res, err := o.apply(c.Op)
		if err != nil {
			return nil, fmt.Errorf("apply %v: %v in entry %d: %w", a.Identity, c.Op.Kind, index, err)
		}
		results = append(results, res)
	}
	return results, nil
}

func (o *op) apply(c command.Op) (Result, error) {
	switch c.Kind {
	case command.Put:
		return o.put(c.Payload), nil
	case command.Remove:
		return o.remove(c.Payload), nil
	case command.MultiPut:
		return o.multiPut(c.Payload), nil
	case command.MultiRemove:
		return o.multiRemove(c.Payload), nil
	case command.Incr:
		return o.incr(c.Payload)
	case command.CheckAndSet:
		return o.checkAndSet(c.Payload)
	case command.CheckAndMutate:
		return o.checkAndMutate(c.Payload)
	case command.Noop:
		return nil, nil
	case command.KindSplit:
		return o.split(c.Payload)
	case command.KindSweep:
		return nil, o.sweep(c.Payload)
	}
	return nil, fmt.Errorf("%w: not a kind of this binary", command.ErrVersion)
}

// store writes a record that expires at expire, 0 meaning the table's default.
// key must stay unchanged until the run ends.
func (o *op) store(key, value []byte, expire uint32) {
	h := record.Header{Expire: o.expiry(expire), Index: o.index, WriteTimeMS: o.stampMS}
	o.batch.PutHeader(key, h, value)
	o.run.add(pending{key: key, value: value, expire: h.Expire, index: h.Index, timeMS: h.WriteTimeMS})
}

// erase removes a record. key must stay unchanged until the run ends.
func (o *op) erase(key []byte) {
	o.batch.Delete(key)
	o.run.add(pending{key: key, gone: true})
}

func (o *op) expiry(expire uint32) uint32 {
	if expire > 0 || o.defaultTTL == 0 {
		return expire
	}
	return uint32(min(uint64(o.nowSec)+uint64(o.defaultTTL), math.MaxUint32))
}

// found is a live record.
type found struct {
	value  []byte // valid until the next lookup
	expire uint32
	index  uint64 // of the write
	timeMS uint64
}

// lookup returns the record of key if it is live at the entry's time.
func (o *op) lookup(key []byte) (rec found, ok bool, err error) {
	if p, hit := o.run.find(key); hit {
		ok = !p.gone && !(record.Header{Expire: p.expire}).ExpiredAt(o.nowSec)
		return found{p.value, p.expire, p.index, p.timeMS}, ok, nil
	}
	stored, ok, err := o.state.Get(key, o.buf[:0])
	if err != nil || !ok {
		return found{}, false, err
	}
	o.buf = stored
	h, value, err := record.Decode(stored)
	if err != nil {
		return found{}, false, fmt.Errorf("record %x: %w: %w", key, engine.ErrCorruption, err)
	}
	return found{value, h.Expire, h.Index, h.WriteTimeMS}, !h.ExpiredAt(o.nowSec), nil
}

// encode builds an encoded key that lives until the run ends.
func (o *op) encode(hashKey, sortKey []byte) []byte {
	n := len(o.run.arena)
	o.run.arena = key.Append(o.run.arena, hashKey, sortKey)
	return o.run.arena[n:len(o.run.arena):len(o.run.arena)]
}

// decode reads a request. A payload that is none was refused by Validate on the
// leader already; should one be in the log nevertheless (written by a binary
// with a laxer decoder), it gets status 4 and writes nothing, everywhere.
func (a *Applier) decode(payload []byte, m Result) bool {
	a.dec.Reset(payload)
	return m.Read(context.Background(), &a.dec) == nil
}

// updated is the reply of put, remove and multi_put.
func (o *op) updated(status code.Status) Result {
	if status != code.StatusOK {
		return o.updateResponse(status, int64(o.index))
	}
	if o.ok == nil {
		o.ok = o.updateResponse(code.StatusOK, int64(o.index))
	}
	return o.ok
}
