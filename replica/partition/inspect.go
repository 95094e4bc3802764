package partition

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Inspection is what the directory of a replica says about it.
type Inspection struct {
	TableID, Partition int32
	ReplicaID          uint64
	Engine             string // directory of the live engine; empty before the first
}

// Inspect reads the directory of a replica that is not running. It changes
// nothing.
func Inspect(dir string) (Inspection, error) {
	id, err := readIdentity(dir)
	if err != nil {
		return Inspection{}, err
	}
	i := Inspection{TableID: id.TableID, Partition: id.Partition, ReplicaID: id.ReplicaID}
	raw, err := os.ReadFile(filepath.Join(dir, currentFile))
	if os.IsNotExist(err) {
		return i, nil
	}
	if err != nil {
		return i, err
	}
	live := strings.TrimSpace(string(raw))
	if !strings.HasPrefix(live, dbPrefix) || strings.ContainsRune(live, filepath.Separator) {
		return i, fmt.Errorf("%s in %s is damaged: %q", currentFile, dir, raw)
	}
	i.Engine = filepath.Join(dir, live)
	return i, nil
}

// LoggedCommand gives the command inside a log entry of a partition. It aliases b.
func LoggedCommand(b []byte) ([]byte, error) {
	_, command, err := openEnvelope(b)
	return command, err
}
