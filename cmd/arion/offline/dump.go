package offline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/arionkv/arion/idl/key"
	"github.com/arionkv/arion/internal/raft/logread"
	"github.com/arionkv/arion/meta"
	"github.com/arionkv/arion/replica/command"
	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/rocks"
	"github.com/arionkv/arion/replica/partition"
	"github.com/arionkv/arion/replica/record"
)

// Records prints the stored records: what was flushed when the node stopped.
func (n *Node) Records(o Options) error {
	replicas, err := n.replicas(o.Partition)
	if err != nil {
		return err
	}
	printed := 0
	for _, r := range replicas {
		if r.Engine == "" {
			continue
		}
		db, err := rocks.OpenReadOnly(r.Engine)
		if err != nil {
			return err
		}
		err = db.Each(nil, func(k, v []byte) error {
			if bytes.HasPrefix(k, engine.InternalPrefix) {
				return nil
			}
			if o.Limit > 0 && printed == o.Limit {
				return errEnough
			}
			printed++
			return o.record(r, k, v)
		})
		db.Close()
		if err != nil {
			return done(err)
		}
	}
	return nil
}

func (o Options) record(r partition.Inspection, k, v []byte) error {
	hashKey, sortKey, err := key.Decode(k)
	if err != nil {
		return fmt.Errorf("partition %d.%d: key %x: %w", r.TableID, r.Partition, k, err)
	}
	h, value, err := record.Decode(v)
	if err != nil {
		return fmt.Errorf("partition %d.%d: record %x: %w", r.TableID, r.Partition, k, err)
	}
	name, expires := fmt.Sprintf("%d.%d", r.TableID, r.Partition), "never"
	if h.Expire > 0 {
		expires = time.Unix(int64(h.Expire)+record.EpochUnix, 0).UTC().Format(time.RFC3339)
	}
	written := time.UnixMilli(int64(h.WriteTimeMS)).UTC().Format(time.RFC3339Nano)
	if o.JSON {
		return o.object(map[string]any{"partition_id": name, "hash_key": o.Quote(hashKey), "sort_key": o.Quote(sortKey), "value": o.Quote(value),
			"expires": expires, "index": h.Index, "written": written})
	}
	_, err = fmt.Fprintf(o.Out, "%s %s : %s => %s  index %d, written %s, expires %s\n", name, o.Quote(hashKey), o.Quote(sortKey), o.Quote(value), h.Index, written, expires)
	return err
}

func (o Options) object(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = o.Out.Write(append(b, '\n'))
	}
	return err
}

// Log prints the entries of the raft logs.
func (n *Node) Log(o Options) error {
	want, err := shard(o.Partition)
	if err != nil {
		return err
	}
	printed := 0
	raftDir, err := meta.RaftDir(n.Dir)
	if err != nil {
		return err
	}
	return done(logread.Each(raftDir, want, o.From, func(e logread.Entry) error {
		if o.Limit > 0 && printed == o.Limit {
			return errEnough
		}
		printed++
		return o.entry(e)
	}))
}

func (o Options) entry(e logread.Entry) error {
	what, stamp := describe(e)
	if o.JSON {
		return o.object(map[string]any{"log": shardName(e.Shard), "replica": e.Replica, "index": e.Index, "term": e.Term, "kind": e.Kind, "ops": what,
			"stamp_ms": stamp, "bytes": len(e.Payload)})
	}
	_, err := fmt.Fprintf(o.Out, "%s replica %d index %d term %d %s %s\n", shardName(e.Shard), e.Replica, e.Index, e.Term, e.Kind, what)
	return err
}

// describe names the writes of an entry.
func describe(e logread.Entry) (what string, stampMS uint64) {
	if e.Kind != "command" || shardName(e.Shard) == "meta" {
		return fmt.Sprintf("%d bytes", len(e.Payload)), 0
	}
	entry, err := openEntry(e.Payload)
	if err != nil {
		return "unreadable: " + err.Error(), 0
	}
	counts := ""
	for c := entry.Ops(); c.Next(); {
		if counts != "" {
			counts += ", "
		}
		counts += fmt.Sprintf("%s (%d bytes)", c.Op.Kind, len(c.Op.Payload))
	}
	return counts, entry.StampMS
}

func openEntry(payload []byte) (command.Entry, error) {
	logged, err := partition.LoggedCommand(payload)
	if err != nil {
		return command.Entry{}, err
	}
	return command.Decode(logged)
}
