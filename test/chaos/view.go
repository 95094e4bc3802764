package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/arionkv/arion/client/admin"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/frame"
)

// System is a cluster under test.
type System interface {
	Metas() []string    // addresses
	Replicas() []string // names
	Addr(name string) string
}

// View asks the servers of a cluster how they are, past the metas.
type View struct {
	System
	Admin *admin.Admin
}

// lookTimeout bounds the look at one server, which may be paused.
const lookTimeout = time.Second

// Status asks every replica server for its replicas. Those that do not answer are
// left out.
func (v View) Status(ctx context.Context) map[string]*arion.StatusResponse {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var mu sync.Mutex
	all := map[string]*arion.StatusResponse{}
	var wg sync.WaitGroup
	for _, name := range v.Replicas() {
		wg.Add(1)
		go func() {
			defer wg.Done()
			resp := arion.NewStatusResponse()
			if v.Admin.Node(ctx, v.Addr(name), frame.RPCArionStatus, arion.NewStatusRequest(), resp) == nil {
				mu.Lock()
				defer mu.Unlock()
				all[name] = resp
			}
		}()
	}
	wg.Wait()
	return all
}

// Leader is a partition with the server that leads it.
type Leader struct {
	Table, Partition int32
	Server           string
	Term             int64
	// Others are the other voting members, as replica ids.
	Others []int64
}

// Leaders finds who leads what: of several who think so, the one of the highest
// term.
func (v View) Leaders(ctx context.Context) []Leader {
	best := map[[2]int32]Leader{}
	for name, status := range v.Status(ctx) {
		for _, r := range status.Replicas {
			id := [2]int32{r.TableID, r.PartitionIndex}
			if r.LeaderReplicaID != r.ReplicaID || r.Term <= best[id].Term {
				continue
			}
			l := Leader{Table: r.TableID, Partition: r.PartitionIndex, Server: name, Term: r.Term}
			for _, m := range r.Members {
				if m.Voting && m.ReplicaID != r.ReplicaID {
					l.Others = append(l.Others, m.ReplicaID)
				}
			}
			best[id] = l
		}
	}
	list := make([]Leader, 0, len(best))
	for _, l := range best {
		list = append(list, l)
	}
	return list
}

// Transfer moves the leadership of a partition to another replica.
func (v View) Transfer(ctx context.Context, l Leader, to int64) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	arg := arion.NewChangeMemberRequest()
	arg.TableID, arg.PartitionIndex = l.Table, l.Partition
	arg.Op, arg.ReplicaID = arion.MemberOp_TRANSFER_LEADER, to
	return v.Admin.Node(ctx, v.Addr(l.Server), frame.RPCArionChangeMember, arg, arion.NewChangeMemberResponse())
}

// digest is an answer line of replica.checksum.
type digest struct {
	Partition    string `json:"partition"`
	Replica      int64  `json:"replica"`
	AppliedIndex uint64 `json:"applied_index"`
	ClockMS      uint64 `json:"clock_ms"`
	Records      uint64 `json:"records"`
	Bytes        uint64 `json:"bytes"`
	Checksum     string `json:"checksum"`
	Error        string `json:"error"`
}

// errNotYet is a disagreement that may be one of time only.
var errNotYet = errors.New("replicas are not at the same index yet")

// Agreement compares the replicas of every partition. The error is errNotYet
// while they are at different indexes.
func (v View) Agreement(ctx context.Context, replicasPerPartition int) error {
	byPartition := map[string]map[string]digest{}
	for _, name := range v.Replicas() {
		text, err := v.Admin.RemoteCommand(ctx, v.Addr(name), "replica.checksum")
		if err != nil {
			return fmt.Errorf("%w: %s: %w", errNotYet, name, err)
		}
		var lines []digest
		if err := json.Unmarshal([]byte(text), &lines); err != nil {
			return fmt.Errorf("%w: %s says %s", errNotYet, name, text)
		}
		for _, d := range lines {
			if byPartition[d.Partition] == nil {
				byPartition[d.Partition] = map[string]digest{}
			}
			byPartition[d.Partition][name] = d
		}
	}
	if len(byPartition) == 0 {
		return fmt.Errorf("%w: no replicas at all", errNotYet)
	}
	for partition, digests := range byPartition {
		if err := agree(partition, digests, replicasPerPartition); err != nil {
			return err
		}
	}
	return nil
}

func agree(partition string, digests map[string]digest, want int) error {
	if len(digests) != want {
		return fmt.Errorf("%w: partition %s has %d replicas, want %d", errNotYet, partition, len(digests), want)
	}
	var first digest
	for name, d := range digests {
		if d.Error != "" {
			return fmt.Errorf("partition %s on %s: %s", partition, name, d.Error)
		}
		if first.Partition == "" {
			first = d
		}
		if d.AppliedIndex != first.AppliedIndex {
			return fmt.Errorf("%w: partition %s: %+v", errNotYet, partition, digests)
		}
		d.Replica = first.Replica
		if d != first {
			return fmt.Errorf("partition %s: replicas disagree at index %d: %+v", partition, d.AppliedIndex, digests)
		}
	}
	return nil
}
