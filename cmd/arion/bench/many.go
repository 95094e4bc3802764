package bench

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/arionkv/arion/client"
)

// startMany makes a call on several records.
func (s *slot) startMany() {
	ctx := context.Background()
	switch s.op {
	case opMultiGet:
		s.table.MultiGetAsync(ctx, s.hash, s.siblings(), client.MultiGetOptions{}).AddBoth(s.gotRecords)
	case opRange:
		o := client.RangeOptions{Range: client.Range{Start: s.sort}}
		o.MaxCount = 1 + s.rng.IntN(s.run.o.Batch)
		s.table.MultiGetRangeAsync(ctx, s.hash, o).AddBoth(s.gotRecords)
	case opBatchGet:
		s.table.BatchGetAsync(ctx, s.randomKeys()).AddBoth(s.gotBatch)
	case opBatchSet:
		s.table.BatchSetAsync(ctx, s.randomEntries()).AddBoth(s.wroteBatch)
	}
}

// siblings are sort keys of the chosen record's hash key: as many as a batch has,
// from a random one on. They are valid until the slot's next call.
func (s *slot) siblings() [][]byte {
	per := s.run.layout.sortKeys
	n := min(int64(s.run.o.Batch), per)
	first := s.rng.Int64N(per - n + 1)
	arena := slices.Grow(s.arena[:0], int(n)*len(s.sort))
	s.keys = s.keys[:0]
	for i := range n {
		start := len(arena)
		arena = s.run.layout.sortKey(first+i, arena)
		s.keys = append(s.keys, arena[start:len(arena):len(arena)])
	}
	s.arena = arena
	return s.keys
}

func (s *slot) gotRecords(rs client.Records, err error) (client.Records, error) {
	x := sample{records: len(rs.Records), read: len(s.hash), err: err}
	for _, r := range rs.Records {
		x.read += len(r.SortKey) + len(r.Value)
		if s.run.ledger != nil && x.violation == nil {
			x.violation = s.checkSibling(r)
		}
	}
	s.finish(x)
	return client.Records{}, nil
}

// checkSibling checks a record of the chosen hash key for damage.
func (s *slot) checkSibling(r client.Record) error {
	i, err := strconv.ParseInt(string(bytes.TrimPrefix(r.SortKey, []byte("field-"))), 10, 64)
	if err != nil {
		return nil // a counter
	}
	per := s.run.layout.sortKeys
	_, err = check(r.Value, s.record/per*per+i)
	return err
}

// randomKeys chooses a batch of records and their keys.
func (s *slot) randomKeys() []client.Key {
	keys := make([]client.Key, s.run.o.Batch)
	s.many = s.many[:0]
	for i := range keys {
		n := s.run.chooser.pick(s.rng)
		s.many = append(s.many, n)
		keys[i].HashKey, keys[i].SortKey = s.run.layout.keys(n, nil, nil)
	}
	return keys
}

func (s *slot) gotBatch(rs []client.GetResult, err error) ([]client.GetResult, error) {
	var x sample
	for i, r := range rs {
		switch {
		case errors.Is(r.Err, client.ErrNotFound):
			x.missing++
		case r.Err == nil:
			x.records++
			x.read += len(r.Value)
			if s.run.ledger != nil && x.violation == nil {
				_, x.violation = check(r.Value, s.many[i])
			}
		}
	}
	x.err = err
	s.finish(x)
	return nil, nil
}

func (s *slot) randomEntries() []client.Entry {
	entries := make([]client.Entry, s.run.o.Batch)
	for i := range entries {
		n := s.run.chooser.pick(s.rng)
		e := &entries[i]
		e.HashKey, e.SortKey = s.run.layout.keys(n, nil, nil)
		e.Value, e.TTL = s.run.noise.value(s.rng, s.run.o.Value), s.run.o.TTL
		if s.run.ledger != nil {
			// Not in the ledger, since a batch may hold a record twice. No workload
			// has single reads beside batches.
			e.Value = s.run.noise.checked(s.rng, s.run.o.Value, n, 0, nil)
		}
	}
	return entries
}

func (s *slot) wroteBatch(failures []error, err error) ([]error, error) {
	x := sample{err: err}
	if err == nil {
		x.records = len(failures)
		x.written = len(failures) * (s.requested + (s.run.o.Value.Min+s.run.o.Value.Max)/2)
	}
	s.finish(x)
	return nil, nil
}
