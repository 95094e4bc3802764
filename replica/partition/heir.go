package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/arionkv/arion/replica/apply"
)

// A group that lost its majority for good can be formed anew from one replica.
// That one is closed, and a replica under a new id, alone in a new group, begins
// with its engine. As after a split, the data is not in the new group's log, so
// every replica of it is rooted.

// DirOf is where a replica of a partition lives under the directory of them all.
func DirOf(parent string, table, index int32, replica int64) string {
	return filepath.Join(parent, fmt.Sprintf("%d.%d.%d", table, index, replica))
}

// inherit makes the engine of the closed replica in dir the first one here. A
// crash at any point is repeated from where it got to.
func (m *machine) inherit(dir string) error {
	to := m.place.path(adoptedDir)
	if _, err := os.Stat(to); errors.Is(err, fs.ErrNotExist) {
		live, err := os.ReadFile(filepath.Join(dir, currentFile))
		if errors.Is(err, fs.ErrNotExist) {
			return ErrBaseLost
		}
		if err != nil {
			return err
		}
		if err := moveBase(filepath.Join(dir, filepath.Base(strings.TrimSpace(string(live)))), to); err != nil {
			return err
		}
	}
	return m.begin(func(st apply.State) apply.State {
		st.AppliedIndex = 0
		return st
	})
}
