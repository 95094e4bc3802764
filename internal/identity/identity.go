// Package identity keeps who a node is: a generated id that outlives restarts
// and address changes, and a boot counter that tells two lives of it apart.
//
// The id belongs to the data beside it. A directory that lost its data has lost
// its identity too, so a wiped node joins the cluster as a new one and can never
// speak in raft under the replica ids of its former life.
package identity

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/arionkv/arion/internal/durable"
)

// FileName is the identity file inside a node's directory.
const FileName = "node.json"

// Format is the version of the node directory that this build reads and writes.
// 1: node.json, raft/, partitions/.
const Format = 1

// Node roles as they stand in the file.
const (
	RoleMeta    = "meta"
	RoleReplica = "replica"
)

// Identity is the content of node.json. Pure data; Open is the only writer.
type Identity struct {
	Format  int    `json:"format"`
	NodeID  ID     `json:"node_id"`
	Role    string `json:"role"`
	Boot    int64  `json:"boot"`    // starts of this node so far, 1 at the first
	Cluster string `json:"cluster"` // cluster name given at the first start
	Created string `json:"created"` // RFC 3339, for people only
}

// ID is a node id: 63 random bits, never 0. Its text form is 16 hex digits.
type ID int64

// String returns the 16 hex digits of the id.
func (id ID) String() string { return fmt.Sprintf("%016x", int64(id)) }

// MarshalText writes the hex form.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the hex form.
func (id *ID) UnmarshalText(b []byte) error {
	v, err := strconv.ParseInt(string(b), 16, 64)
	if err != nil || v <= 0 {
		return fmt.Errorf("node id %q is not a positive 63-bit hex number", b)
	}
	*id = ID(v)
	return nil
}

// Open reads the identity of dir, or makes one at the first start, and counts
// this start. dir is created when missing. The file is replaced atomically and
// synced before Open returns, so two lives never share a boot number.
func Open(dir, role, cluster string) (Identity, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Identity{}, fmt.Errorf("node directory: %w", err)
	}
	path := filepath.Join(dir, FileName)
	id, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		id, err = fresh(dir, role, cluster)
	case err == nil:
		err = id.check(path, role, cluster)
	}
	if err != nil {
		return Identity{}, err
	}
	id.Boot++
	return id, write(path, id)
}

func read(path string) (Identity, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Identity{}, err
	}
	var id Identity
	if err := json.Unmarshal(raw, &id); err != nil {
		return Identity{}, fmt.Errorf("%s is damaged (%w): restore it, or remove the whole node directory to join as a new node", path, err)
	}
	return id, nil
}

// check refuses a directory that belongs to somebody else or to a newer build.
func (id Identity) check(path, role, cluster string) error {
	switch {
	case id.Format > Format:
		return fmt.Errorf("%s has format %d, this build knows up to %d: start it with the newer release", path, id.Format, Format)
	case id.Format < 1:
		return fmt.Errorf("%s has format %d, the first one is 1", path, id.Format)
	case id.NodeID <= 0:
		return fmt.Errorf("%s has no node id", path)
	case id.Role != role:
		return fmt.Errorf("%s belongs to a %s server, not to a %s server", path, id.Role, role)
	case id.Cluster != cluster:
		return fmt.Errorf("%s belongs to cluster %q, not to %q", path, id.Cluster, cluster)
	}
	return nil
}

// fresh makes an identity for an unused directory. Data without node.json is a
// directory whose identity was lost; guessing one could make this node speak as
// two different members, so it is refused.
func fresh(dir, role, cluster string) (Identity, error) {
	for _, sub := range []string{"raft", "partitions"} {
		if entries, err := os.ReadDir(filepath.Join(dir, sub)); err == nil && len(entries) > 0 {
			return Identity{}, fmt.Errorf("%s holds data in %s but no %s: restore that file, or move the data away to join as a new node", dir, sub, FileName)
		}
	}
	id, err := newID()
	if err != nil {
		return Identity{}, err
	}
	return Identity{
		Format: Format, NodeID: id, Role: role, Cluster: cluster,
		Created: time.Now().UTC().Format(time.RFC3339),
	}, nil
}

func newID() (ID, error) {
	var b [8]byte
	for {
		if _, err := rand.Read(b[:]); err != nil {
			return 0, fmt.Errorf("node id: %w", err)
		}
		if id := ID(binary.BigEndian.Uint64(b[:]) >> 1); id != 0 {
			return id, nil
		}
	}
}

func write(path string, id Identity) error {
	raw, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.ReplaceFile(path, append(raw, '\n')); err != nil {
		return fmt.Errorf("write node identity: %w", err)
	}
	return nil
}
