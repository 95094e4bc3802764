package raft

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/arionkv/arion/internal/durable"
)

const (
	bookFile   = "peers.json"
	bookFormat = 1
)

// Book says where targets listen. It is kept in a file, so that a node that
// restarts alone, before any meta server answers, still knows its peers.
// Safe for concurrent use.
type Book struct {
	path string

	// generation grows after each change.
	generation atomic.Uint64

	mu    sync.RWMutex
	addrs map[Target]string
}

type bookContent struct {
	Format    int               `json:"format"`
	Addresses map[Target]string `json:"addresses"`
}

// OpenBook reads the book of a raft directory. A damaged book is an empty one:
// its content comes again from the meta servers.
func OpenBook(dir string) (*Book, error) {
	b := &Book{path: filepath.Join(dir, bookFile), addrs: map[Target]string{}}
	raw, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("address book: %w", err)
	}
	var c bookContent
	if json.Unmarshal(raw, &c) == nil && c.Format == bookFormat && c.Addresses != nil {
		b.addrs = c.Addresses
	}
	return b, nil
}

// Lookup returns the address of t, "" if unknown.
func (b *Book) Lookup(t Target) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.addrs[t]
}

// Set records addresses, replacing what is known of the same targets. The file
// is written only if something is new.
func (b *Book) Set(addrs map[Target]string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed := false
	for t, a := range addrs {
		if !validAddress(a) {
			return fmt.Errorf("address book: %q of %s is no host:port", a, t)
		}
		changed = changed || b.addrs[t] != a
	}
	if !changed {
		return nil
	}
	next := maps.Clone(b.addrs)
	maps.Copy(next, addrs)
	raw, err := json.MarshalIndent(bookContent{bookFormat, next}, "", "  ")
	if err != nil {
		return err
	}
	b.addrs = next // useful even if the disk refuses it
	b.generation.Add(1)
	if err := durable.ReplaceFile(b.path, append(raw, '\n')); err != nil {
		return fmt.Errorf("address book: %w", err)
	}
	return nil
}
