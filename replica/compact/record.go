package compact

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/arionkv/arion/internal/durable"
)

// recordFile lies in the directory of a replica:
//
//	{"format":1,"began_unix_ms":…,"finished_unix_ms":…}
//
// It is lost with the replica and does not travel with its data: a new replica
// has not been compacted on this node.
const (
	recordFile   = "compaction.json"
	recordFormat = 1
)

// Record is the last compaction of a replica that finished. Zero times mean that
// there was none.
type Record struct{ Began, Finished time.Time }

type recordJSON struct {
	Format         int   `json:"format"`
	BeganUnixMS    int64 `json:"began_unix_ms"`
	FinishedUnixMS int64 `json:"finished_unix_ms"`
}

// Load reads the record of the replica in dir.
func Load(dir string) (Record, error) {
	raw, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, err
	}
	var r recordJSON
	if err := json.Unmarshal(raw, &r); err != nil {
		return Record{}, fmt.Errorf("%s in %s is damaged: %w", recordFile, dir, err)
	}
	if r.Format != recordFormat {
		return Record{}, fmt.Errorf("%s has format %d, this build knows %d: start the node with the release that wrote it",
			filepath.Join(dir, recordFile), r.Format, recordFormat)
	}
	return Record{Began: time.UnixMilli(r.BeganUnixMS), Finished: time.UnixMilli(r.FinishedUnixMS)}, nil
}

// Save replaces the record of the replica in dir, durably.
func (r Record) Save(dir string) error {
	raw, err := json.Marshal(recordJSON{recordFormat, r.Began.UnixMilli(), r.Finished.UnixMilli()})
	if err != nil {
		return err
	}
	return durable.ReplaceFile(filepath.Join(dir, recordFile), append(raw, '\n'))
}
