package replica

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/arionkv/arion/replica/host"
	"github.com/arionkv/arion/replica/partition"
)

// checksumTimeout bounds replica.checksum: it reads everything, and its caller has
// long gone by then.
const checksumTimeout = 5 * time.Minute

// checksumLine is one replica in the answer to replica.checksum.
type checksumLine struct {
	Partition string `json:"partition"` // table.index
	ReplicaID int64  `json:"replica"`
	partition.Checksum
	Error string `json:"error,omitempty"`
}

// checksum answers replica.checksum with a JSON list. While writes go on, the
// replicas of a partition are at different indexes and nothing follows from
// different sums: ask again.
func (s *Server) checksum(args []string) (string, error) {
	replicas, err := s.selected(args)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), checksumTimeout)
	defer cancel()
	lines := make([]checksumLine, 0, len(replicas))
	for name, r := range replicas {
		line := checksumLine{Partition: name, ReplicaID: r.ReplicaID()}
		if line.Checksum, err = r.Checksum(ctx); err != nil {
			line.Error = err.Error()
		}
		lines = append(lines, line)
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i].Partition < lines[j].Partition })
	text, err := json.Marshal(lines)
	return string(text), err
}

// selected gives the open replicas that a command is about, by "table.index".
func (s *Server) selected(args []string) (map[string]*host.Replica, error) {
	replicas := map[string]*host.Replica{}
	if len(args) == 0 {
		s.host.Each(func(table, index int32, r *host.Replica) {
			replicas[fmt.Sprintf("%d.%d", table, index)] = r
		})
		return replicas, nil
	}
	table, index, ok := parsePartition(args[0])
	if !ok {
		return nil, fmt.Errorf("'%s' is no partition, want table.partition, for example 2.0", args[0])
	}
	r, ok := s.host.Lookup(table, index)
	if !ok {
		return nil, fmt.Errorf("no open replica of partition %s on this node", args[0])
	}
	replicas[args[0]] = r
	return replicas, nil
}

func parsePartition(text string) (table, index int32, ok bool) {
	a, b, dot := strings.Cut(text, ".")
	t, err1 := strconv.ParseInt(a, 10, 32)
	i, err2 := strconv.ParseInt(b, 10, 32)
	return int32(t), int32(i), dot && err1 == nil && err2 == nil && t > 0 && i >= 0
}
