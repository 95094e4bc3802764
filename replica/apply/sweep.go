package apply

import (
	"bytes"
	"fmt"

	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/record"
)

// sweepKey holds the pass of the last sweep.
var sweepKey = append(append([]byte(nil), engine.InternalPrefix...), "sweep"...)

// LoadPass reads how far the last sweep of a partition is.
func LoadPass(r Reader) (command.Pass, error) {
	stored, found, err := r.Get(sweepKey, nil)
	if err != nil || !found {
		return command.Pass{}, err
	}
	_, value, err := record.Decode(stored)
	if err != nil {
		return command.Pass{}, fmt.Errorf("load sweep: %w: %w", engine.ErrCorruption, err)
	}
	return command.DecodePass(value)
}

// sweep carries out a step of a pass: decisions that the leader has made about
// single versions of records. It judges nothing itself but whether the record
// still is that version.
func (o *op) sweep(payload []byte) error {
	s, err := command.DecodeSweep(payload)
	if err != nil {
		return err
	}
	pass, err := o.pass()
	if err != nil || !pass.Equal(s.Expect) {
		return err // of a former leader, and overtaken
	}
	for _, c := range s.Changes {
		if err := o.change(c); err != nil {
			return err
		}
	}
	value := s.Next.AppendTo(nil)
	h := record.Header{Index: o.index, WriteTimeMS: o.stampMS}
	o.batch.PutHeader(sweepKey, h, value)
	o.run.add(pending{key: sweepKey, value: value, index: h.Index, timeMS: h.WriteTimeMS})
	return nil
}

// pass is the stored pass as of this entry.
func (o *op) pass() (command.Pass, error) {
	rec, ok, err := o.lookup(sweepKey)
	if err != nil || !ok {
		return command.Pass{}, err
	}
	return command.DecodePass(bytes.Clone(rec.value))
}

func (o *op) change(c command.Change) error {
	if !wellFormed(c.Key) || !o.ownsKey(c.Key) {
		return nil
	}
	rec, ok, err := o.lookup(c.Key)
	if err != nil || !ok || rec.index != c.Index || rec.timeMS != c.WriteTimeMS {
		return err
	}
	if c.Expire == 0 {
		o.erase(c.Key)
		return nil
	}
	// The looked-up value is the next lookup's memory; the overlay needs it until
	// the run ends.
	o.store(c.Key, bytes.Clone(rec.value), c.Expire)
	return nil
}
