package partition

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/arionkv/arion/internal/durable"
)

// The directory of a replica:
//
//	replica.json   which replica this is, and that raft has run it, by us
//	CURRENT        name of the live engine directory
//	db-000001/     an engine; a snapshot from another replica makes the next one
//	db-000002.tmp/ a snapshot being received
//	pin-000001/    a checkpoint being streamed to another replica
//	DAMAGED        why the replica must not be opened any more
//	PURGED         hash count up to which records left by splits are gone
//	base-8-1/      a checkpoint for the partition that a split into 8 makes, of
//	               attempt 1, until that partition's replica takes it away
//
// Everything that is neither named by CURRENT, nor a base, nor one of the two
// files is left over from a crash and swept when the replica opens.
const (
	identityFile = "replica.json"
	// identityFormat is the newest: 2 knows rooted, which a build that does not
	// must not overlook. Others are written as 1.
	identityFormat = 2
	currentFile    = "CURRENT"
	damagedFile    = "DAMAGED"
	dbPrefix       = "db-"
	pinPrefix      = "pin-"
	tmpSuffix      = durable.TmpSuffix
)

// identity is the content of replica.json.
type identity struct {
	Format    int    `json:"format"`
	TableID   int32  `json:"table_id"`
	Partition int32  `json:"partition_index"`
	ReplicaID uint64 `json:"replica_id"`
	// Join tells that the replica was added to a running group. raft must be
	// told the same at every start.
	Join bool `json:"join"`
	// Rooted tells that the partition was made by a split: its log does not hold
	// all of its data, so an empty replica must begin with a snapshot.
	Rooted bool `json:"rooted,omitempty"`
	// Started tells that raft has run the replica: from then on its log exists.
	// The applied index cannot tell, it is 0 until the engine flushes.
	Started bool `json:"started,omitempty"`
}

// place is an open replica directory.
type place struct {
	dir  string
	id   identity
	live string // content of CURRENT, "" before the first engine
	next int    // number of the next db- or pin- directory
}

// openPlace prepares dir for the replica. A directory of another replica is
// refused.
func openPlace(dir string, want identity) (*place, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	p := &place{dir: dir}
	var err error
	if p.id, err = readIdentity(dir); errors.Is(err, fs.ErrNotExist) {
		want.Format = 1
		if want.Rooted {
			want.Format = 2
		}
		p.id, err = want, p.writeIdentity(want)
	}
	if err != nil {
		return nil, err
	}
	if p.id.TableID != want.TableID || p.id.Partition != want.Partition || p.id.ReplicaID != want.ReplicaID {
		return nil, fmt.Errorf("%s belongs to replica %d of %d.%d", dir, p.id.ReplicaID, p.id.TableID, p.id.Partition)
	}
	raw, err := os.ReadFile(p.path(currentFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p.live = strings.TrimSpace(string(raw))
	if err == nil && !strings.HasPrefix(p.live, dbPrefix) || strings.ContainsRune(p.live, filepath.Separator) {
		return nil, fmt.Errorf("%s in %s is damaged: %q", currentFile, dir, raw)
	}
	return p, p.sweep()
}

func readIdentity(dir string) (identity, error) {
	raw, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		return identity{}, err
	}
	var id identity
	if err := json.Unmarshal(raw, &id); err != nil {
		return identity{}, fmt.Errorf("%s is damaged: %w", identityFile, err)
	}
	switch {
	case id.Format > identityFormat:
		return identity{}, fmt.Errorf("%s has format %d, this build knows up to %d: start the node with the newer release",
			filepath.Join(dir, identityFile), id.Format, identityFormat)
	case id.Format < 1:
		return identity{}, fmt.Errorf("%s has format %d, the first one is 1", filepath.Join(dir, identityFile), id.Format)
	}
	return id, nil
}

// markStarted records that raft has run the replica.
func (p *place) markStarted() error {
	if p.id.Started {
		return nil
	}
	p.id.Started = true
	return p.writeIdentity(p.id)
}

func (p *place) writeIdentity(id identity) error {
	raw, err := json.Marshal(id)
	if err != nil {
		return err
	}
	if err := durable.ReplaceFile(p.path(identityFile), append(raw, '\n')); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(p.dir))
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

// sweep removes what a crash left behind and finds the next free number.
func (p *place) sweep() error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	p.next = 1
	if p.id.Rooted && !p.id.Join {
		p.next = 2 // the first is adoptedDir
	}
	for _, e := range entries {
		name := e.Name()
		p.next = max(p.next, numberOf(name)+1)
		switch {
		case name == p.live, name == identityFile, name == currentFile:
			continue
		case p.live == "" && p.id.Rooted && name == adoptedDir:
			continue // a base that was moved here, see adopt
		case strings.HasPrefix(name, dbPrefix), strings.HasPrefix(name, pinPrefix), strings.HasSuffix(name, tmpSuffix):
			if err := os.RemoveAll(p.path(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// numberOf returns the number of a db- or pin- directory, 0 for other names.
func numberOf(name string) int {
	for _, prefix := range []string{dbPrefix, pinPrefix} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(rest, tmpSuffix))
			if err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}

// fresh returns an unused name. Not for concurrent use.
func (p *place) fresh(prefix string) string {
	name := fmt.Sprintf("%s%06d", prefix, p.next)
	p.next++
	return name
}

// setLive makes the engine directory name the live one. After a crash either
// the old or the new one is live.
func (p *place) setLive(name string) error {
	if err := durable.ReplaceFile(p.path(currentFile), []byte(name+"\n")); err != nil {
		return fmt.Errorf("switch %s to %s: %w", p.dir, name, err)
	}
	p.live = name
	return nil
}
