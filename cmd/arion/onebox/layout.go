package onebox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/arionkv/arion/internal/durable"
)

// layoutFile remembers with which servers and ports the directory was made:
// raft groups hold addresses, so another layout would not find its data.
const layoutFile = "onebox.json"

const layoutFormat = 1

type layout struct {
	Format      int `json:"format"`
	Metas       int `json:"metas"`
	Replicas    int `json:"replicas"`
	MetaPort    int `json:"meta_port"`
	ReplicaPort int `json:"replica_port"`
}

// Flags tells which of the layout flags were given; the rest of a known
// directory's layout is taken from its record.
type Flags struct{ Metas, Replicas, MetaPort, ReplicaPort bool }

// Recall completes the options from the record of a directory that was used
// before, and refuses flags that contradict it.
func (o *Options) Recall(given Flags) error {
	path := filepath.Join(o.Dir, layoutFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var l layout
	if err := json.Unmarshal(text, &l); err != nil {
		return fmt.Errorf("%s is damaged: %w", path, err)
	}
	if l.Format != layoutFormat {
		return fmt.Errorf("%s has format %d, this build knows %d: start it with the release that wrote it", path, l.Format, layoutFormat)
	}
	return errors.Join(
		o.settle("--metas", given.Metas, &o.Metas, l.Metas, false),
		o.settle("--replicas", given.Replicas, &o.Replicas, l.Replicas, true),
		o.settle("--meta-port", given.MetaPort, &o.MetaPort, l.MetaPort, false),
		o.settle("--replica-port", given.ReplicaPort, &o.ReplicaPort, l.ReplicaPort, false),
	)
}

// settle takes the recorded value unless the flag was given; a given one must
// agree, or be larger where growing is possible.
func (o *Options) settle(flag string, given bool, value *int, recorded int, mayGrow bool) error {
	if !given {
		*value = recorded
	}
	if *value == recorded || (mayGrow && *value > recorded) {
		return nil
	}
	return fmt.Errorf("%s was made with %s %d, not %d; leave the flag out or use another --dir", o.Dir, flag, recorded, *value)
}

// record writes the layout, atomically, so that a crash leaves the old or the
// new one.
func (o *Options) record() error {
	text, err := json.MarshalIndent(layout{layoutFormat, o.Metas, o.Replicas, o.MetaPort, o.ReplicaPort}, "", "  ")
	if err != nil {
		return err
	}
	return durable.ReplaceFile(filepath.Join(o.Dir, layoutFile), append(text, '\n'))
}
