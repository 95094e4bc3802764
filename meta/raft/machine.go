package raft

import (
	"fmt"
	"io"

	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/arionkv/arion/meta/catalog"
)

// maxSnapshot bounds what is read into memory from a snapshot: a thousand times what the catalog's limits add up to in
// practice, and far below what would hurt.
const maxSnapshot = 1 << 30

// machine is the library's view of the group's state. Its calls are serial.
type machine struct{ g *Group }

func (g *Group) newMachine(uint64, uint64) statemachine.IStateMachine { return machine{g} }

// Update applies one command. A command that cannot be read comes from a damaged log or a newer release; going on without
// it would let this catalog differ from the others', so it stops the process.
func (m machine) Update(e statemachine.Entry) (statemachine.Result, error) {
	c, err := catalog.Decode(e.Cmd)
	if err != nil {
		return statemachine.Result{}, fmt.Errorf("meta catalog, log index %d: %w", e.Index, err)
	}
	next, r := m.g.State().Apply(e.Index, c)
	m.g.state.Store(next)
	m.g.changed.Fire()
	return statemachine.Result{Value: uint64(r.Code), Data: catalog.EncodeResult(r)}, nil
}

// Lookup is not used: the state is immutable and read without asking the library.
func (m machine) Lookup(any) (any, error) { return m.g.State(), nil }

// SaveSnapshot writes the whole state.
func (m machine) SaveSnapshot(w io.Writer, _ statemachine.ISnapshotFileCollection, _ <-chan struct{}) error {
	_, err := w.Write(m.g.State().Snapshot())
	return err
}

// RecoverFromSnapshot replaces the state.
func (m machine) RecoverFromSnapshot(r io.Reader, _ []statemachine.SnapshotFile, _ <-chan struct{}) error {
	b, err := io.ReadAll(io.LimitReader(r, maxSnapshot))
	if err != nil {
		return err
	}
	s, err := catalog.Restore(b)
	if err != nil {
		return fmt.Errorf("meta catalog snapshot: %w", err)
	}
	m.g.state.Store(s)
	m.g.changed.Fire()
	return nil
}

// Close has nothing to free.
func (m machine) Close() error { return nil }
