// Package offline reads the data directory of a stopped node: records, raft log,
// and whether everything in it can be read. It writes nothing.
package offline

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/arionkv/arion/internal/identity"
	"github.com/arionkv/arion/replica/partition"
)

// Node is the directory of a stopped node.
type Node struct {
	Dir   string
	locks []*os.File
}

// Open takes the directory of a node that is not running. A running one is
// refused: its files change underneath.
func Open(dir string) (*Node, error) {
	if _, err := os.Stat(filepath.Join(dir, identity.FileName)); err != nil {
		if matches, _ := filepath.Glob(filepath.Join(dir, "*", identity.FileName)); len(matches) > 0 {
			return nil, fmt.Errorf("%s holds several nodes; name one, such as %s", dir, filepath.Dir(matches[len(matches)-1]))
		}
		return nil, fmt.Errorf("%s is no data directory of a node: %w", dir, err)
	}
	n := &Node{Dir: dir}
	// A node of a onebox is locked by the lock of the onebox.
	for _, path := range []string{filepath.Join(dir, "LOCK"), filepath.Join(filepath.Dir(filepath.Clean(dir)), "LOCK")} {
		if err := n.lock(path); err != nil {
			n.Close()
			return nil, err
		}
	}
	return n, nil
}

func (n *Node) lock(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		file.Close()
		return fmt.Errorf("the node is running (%s is locked): stop it first", path)
	}
	n.locks = append(n.locks, file)
	return nil
}

// Close lets the node be started again.
func (n *Node) Close() {
	for _, f := range n.locks {
		f.Close()
	}
}

// replicas lists the replicas of the node, or the one that is named as
// table_id.partition.
func (n *Node) replicas(only string) ([]partition.Inspection, error) {
	dirs, err := filepath.Glob(filepath.Join(n.Dir, "partitions", "*", "replica.json"))
	if err != nil {
		return nil, err
	}
	var found []partition.Inspection
	for _, file := range dirs {
		i, err := partition.Inspect(filepath.Dir(file))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Dir(file), err)
		}
		if only == "" || only == fmt.Sprintf("%d.%d", i.TableID, i.Partition) {
			found = append(found, i)
		}
	}
	if only != "" && len(found) == 0 {
		return nil, fmt.Errorf("%s holds no replica of partition %s", n.Dir, only)
	}
	return found, nil
}

// shard is the raft shard of a partition named table_id.partition, 0 for none.
func shard(name string) (uint64, error) {
	if name == "" {
		return 0, nil
	}
	table, index, _ := strings.Cut(name, ".")
	t, err := strconv.ParseUint(table, 10, 31)
	i, err2 := strconv.ParseUint(index, 10, 31)
	if err := errors.Join(err, err2); err != nil {
		return 0, fmt.Errorf("%q is no partition, such as 2.7: %w", name, err)
	}
	return t<<32 | i, nil
}

func shardName(shard uint64) string {
	if shard>>32 == 0 {
		return "meta"
	}
	return fmt.Sprintf("%d.%d", shard>>32, shard&(1<<32-1))
}

// errEnough ends a walk.
var errEnough = errors.New("enough")

func done(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// Options of the dumps.
type Options struct {
	Partition string // table_id.partition; empty = all
	Limit     int    // 0 = no limit
	From      uint64 // first index of the log
	JSON      bool
	Quote     func([]byte) string // how keys and values are printed
	Out       io.Writer
}
