package mem

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/btree"

	"github.com/arionkv/arion/replica/engine"
)

// saveView writes the present state into dir, atomically.
func (e *Engine) saveView(dir string) error {
	e.flushMu.Lock()
	defer e.flushMu.Unlock()
	view, err := e.view()
	if err != nil {
		return err
	}
	if e.beforeFlush != nil {
		e.beforeFlush()
	}
	return e.save(dir, view)
}

func (e *Engine) save(dir string, view *btree.BTreeG[item]) error {
	var b engine.Batch
	view.Ascend(func(it item) bool {
		b.Put(it.key, it.value)
		return true
	})
	path := filepath.Join(dir, dataFile)
	err := os.WriteFile(path+".tmp", b.Repr(), 0o644)
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("save: %w: %w", engine.ErrNoSpace, err)
	}
	return err
}

func (e *Engine) load() error {
	repr, err := os.ReadFile(filepath.Join(e.dir, dataFile))
	if err != nil {
		return err
	}
	b, err := engine.ParseBatch(repr)
	if err != nil {
		return fmt.Errorf("%w: %w", engine.ErrCorruption, err)
	}
	applyTo(e.tree, b)
	return nil
}
