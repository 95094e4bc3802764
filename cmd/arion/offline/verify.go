package offline

import (
	"bytes"
	"fmt"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/internal/raft/logread"
	"github.com/arionkv/arion/meta"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/rocks"
	"github.com/arionkv/arion/replica/partition"
	"github.com/arionkv/arion/replica/record"
)

// Report is what Verify found.
type Report struct {
	Replicas, Records, Entries int64
	Problems                   []string
}

// maxProblems bounds the report: a directory that is damaged throughout needs no
// list of every byte.
const maxProblems = 100

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Verify reads everything there is, with its checksums, and reports what cannot be
// read, or does not belong where it lies. An error is of the directory itself.
func (n *Node) Verify(only string) (*Report, error) {
	replicas, err := n.replicas(only)
	if err != nil {
		return nil, err
	}
	report := &Report{}
	for _, r := range replicas {
		report.Replicas++
		report.engine(r)
	}
	want, err := shard(only)
	if err != nil {
		return nil, err
	}
	raftDir, err := meta.RaftDir(n.Dir)
	if err != nil {
		return nil, err
	}
	report.log(raftDir, want)
	return report, nil
}

func (r *Report) engine(i partition.Inspection) {
	name := fmt.Sprintf("partition %d.%d", i.TableID, i.Partition)
	if i.Engine == "" {
		return // it was never begun
	}
	db, err := rocks.OpenReadOnly(i.Engine)
	if err != nil {
		r.problem("%s: %v", name, err)
		return
	}
	defer db.Close()
	err = db.Each(nil, func(k, v []byte) error {
		if bytes.HasPrefix(k, engine.InternalPrefix) {
			return nil
		}
		r.Records++
		if _, _, err := key.Decode(k); err != nil {
			r.problem("%s: key %x: %v", name, k, err)
		}
		if _, _, err := record.Decode(v); err != nil {
			r.problem("%s: record %x: %v", name, k, err)
		}
		return nil
	})
	if err != nil {
		r.problem("%s: %v", name, err)
	}
}

// log reads the raft logs: entries follow one another without a gap, terms never
// fall, and every command can be decoded.
func (r *Report) log(dir string, want uint64) {
	var last logread.Entry
	err := logread.Each(dir, want, 0, func(e logread.Entry) error {
		r.Entries++
		same := last.Shard == e.Shard && last.Replica == e.Replica && last.Index > 0
		if same && e.Index != last.Index+1 {
			r.problem("log %s: entry %d follows entry %d", shardName(e.Shard), e.Index, last.Index)
		}
		if same && e.Term < last.Term {
			r.problem("log %s: entry %d has term %d after term %d", shardName(e.Shard), e.Index, e.Term, last.Term)
		}
		if e.Kind == "command" && e.Shard>>32 != 0 {
			if _, err := openEntry(e.Payload); err != nil {
				r.problem("log %s: entry %d: %v", shardName(e.Shard), e.Index, err)
			}
		}
		e.Payload = nil
		last = e
		return nil
	})
	if err != nil {
		r.problem("log: %v", err)
	}
}
