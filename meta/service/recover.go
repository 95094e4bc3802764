package service

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/track"
)

// confirmTimeout bounds the question to a node that is believed dead.
const confirmTimeout = 2 * time.Second

// recover forms partitions anew that have lost their majority. Without `yes` it only tells what it would do and what that
// may cost. It refuses wherever waiting could still save everything: a partition with a leader or a majority, or with a
// missing replica whose node answers.
func (s *Service) recover(ctx context.Context, state *catalog.State, args []string) (string, error) {
	if len(args) < 1 || len(args) > 2 || len(args) == 2 && args[1] != "yes" {
		return "", errArguments
	}
	if s.o.Tracker.Young() {
		return "", errors.New("this meta server has just begun to lead and does not know all nodes yet: try again in some seconds")
	}
	match, err := partitionsNamed(state, args[0])
	if err != nil {
		return "", err
	}
	answering := s.answering(ctx, state)
	var rows [][]string
	for _, t := range state.Tables() {
		for i := range t.Partitions {
			if t.Status != catalog.StatusAvailable || !match(t, int32(i)) {
				continue
			}
			v := s.o.Tracker.Partition(t, int32(i))
			if v.LeaderUp {
				continue
			}
			text := s.recoverOne(ctx, state, t, int32(i), v, answering, len(args) == 2)
			rows = append(rows, []string{fmt.Sprintf("%d.%d", t.ID, i), text})
		}
	}
	if len(rows) == 0 {
		return "no partition of these is without a leader", nil
	}
	if len(args) == 1 {
		rows = append(rows, []string{"nothing was changed; add `yes` to do it"})
	}
	return lines(rows), nil
}

// partitionsNamed reads all, a table's name or id, or one with a partition's index.
func partitionsNamed(state *catalog.State, name string) (func(*catalog.Table, int32) bool, error) {
	if name == "all" {
		return func(*catalog.Table, int32) bool { return true }, nil
	}
	find := func(text string) *catalog.Table {
		if t := state.TableNamed(text); t != nil {
			return t
		}
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil
		}
		return state.Table(int32(id))
	}
	if t := find(name); t != nil {
		return func(o *catalog.Table, _ int32) bool { return o.ID == t.ID }, nil
	}
	at := strings.LastIndexByte(name, '.')
	if at > 0 {
		t, index := find(name[:at]), name[at+1:]
		i, err := strconv.ParseInt(index, 10, 32)
		if t != nil && err == nil && state.Partition(t.ID, int32(i)) != nil {
			return func(o *catalog.Table, j int32) bool { return o.ID == t.ID && j == int32(i) }, nil
		}
	}
	return nil, fmt.Errorf("%q is neither a table nor a partition", name)
}

// answering asks every node that seems dead once more.
func (s *Service) answering(ctx context.Context, state *catalog.State) map[int64]bool {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	var mu sync.Mutex
	var asked sync.WaitGroup
	out := map[int64]bool{}
	for _, n := range state.Nodes() {
		if n.State == catalog.NodeReplaced || s.o.Tracker.Alive(n.ID) {
			continue
		}
		asked.Go(func() {
			r := arion.NewStatusResponse()
			err := s.o.Caller.Call(ctx, n.RPCAddress, "RPC_ARION_STATUS", arion.NewStatusRequest(), r)
			if err == nil && r.Node != nil && r.Node.NodeID == n.ID {
				mu.Lock()
				out[n.ID] = true
				mu.Unlock()
			}
		})
	}
	asked.Wait()
	return out
}

func (s *Service) recoverOne(ctx context.Context, state *catalog.State, t *catalog.Table, index int32, v track.View, answering map[int64]bool, really bool) string {
	best, there, voters := track.Replica{}, 0, 0
	for _, r := range v.Replicas {
		if r.Voting {
			voters++
		}
		switch {
		case answering[r.NodeID]:
			return fmt.Sprintf("refused: the node of replica %d, %s, answers but does not report to the metas", r.ID, addressOf(state, r.NodeID))
		case !r.NodeUp || r.State == arion.ReplicaState_LOST || r.State == arion.ReplicaState_FAILED:
		case r.State != arion.ReplicaState_SERVING:
			return fmt.Sprintf("refused: replica %d on %s is %s, wait for it", r.ID, addressOf(state, r.NodeID), strings.ToLower(r.State.String()))
		default:
			if r.Voting {
				there++
			}
			if best.ID == 0 || r.Applied > best.Applied {
				best = r
			}
		}
	}
	switch {
	case best.ID == 0:
		return "refused: no replica is at work; bring back one of the nodes that hold it"
	case 2*there > voters:
		return "refused: a majority is at work, a leader will be elected"
	case !really:
		return fmt.Sprintf("would be formed anew from replica %d on %s (index %d); the other %d replicas are given up, and with them every write that this one has not applied",
			best.ID, addressOf(state, best.NodeID), best.Applied, len(v.Replicas)-1)
	}
	if _, err := s.commit(ctx, &catalog.ReformPartition{TableID: t.ID, Partition: index, ReplicaID: best.ID, Term: v.Term}); err != nil {
		return "failed: " + err.Error()
	}
	s.log.WithField("table", t.ID).WithField("partition", index).WithField("from", addressOf(state, best.NodeID)).
		WithField("index", best.Applied).Error("partition is formed anew by order of an operator, writes may be lost")
	return fmt.Sprintf("is formed anew from replica %d on %s (index %d)", best.ID, addressOf(state, best.NodeID), best.Applied)
}

func addressOf(state *catalog.State, nodeID int64) string {
	if n := state.Node(nodeID); n != nil {
		return n.RPCAddress
	}
	return fmt.Sprintf("%016x", nodeID)
}
