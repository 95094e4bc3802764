package service

import (
	"context"
	"fmt"
	"strings"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/reconcile"
)

// startSplit doubles a table's partition count. It answers once that is decided and the nodes know; the partitions split
// one after the other.
func (s *Service) startSplit(ctx context.Context, q *admin.StartPartitionSplitRequest) (*admin.StartPartitionSplitResponse, error) {
	r, err := s.o.Group.Propose(ctx, &catalog.StartSplit{Name: q.AppName, NewCount: q.NewPartitionCount_})
	if err != nil {
		return nil, err
	}
	s.awaitNodes(ctx, r)
	return startSplitReply(r.Code, r.Hint), nil
}

func startSplitReply(c code.Code, hint string) *admin.StartPartitionSplitResponse {
	return &admin.StartPartitionSplitResponse{Err: base.ErrorCodeOf(c), HintMsg: hint}
}

// controlSplit pauses, restarts or cancels.
func (s *Service) controlSplit(ctx context.Context, q *admin.ControlSplitRequest) (*admin.ControlSplitResponse, error) {
	if q.ControlType < 0 || q.ControlType > admin.SplitControlType_CANCEL {
		return controlSplitReply(code.InvalidParameters, "no such control"), nil
	}
	r, err := s.o.Group.Propose(ctx, &catalog.ControlSplit{
		Name: q.AppName, Op: catalog.SplitControl(q.ControlType), Parent: q.ParentPidx, OldCount: q.GetOldPartitionCount(),
	})
	if err != nil {
		return nil, err
	}
	return controlSplitReply(r.Code, r.Hint), nil
}

func controlSplitReply(c code.Code, hint string) *admin.ControlSplitResponse {
	r := &admin.ControlSplitResponse{Err: base.ErrorCodeOf(c)}
	if hint != "" {
		r.HintMsg = &hint
	}
	return r
}

// querySplit tells which parents are not done, and in the hint why not if something is in the way.
func (s *Service) querySplit(ctx context.Context, q *admin.QuerySplitRequest) (*admin.QuerySplitResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	t := state.TableNamed(q.AppName)
	switch {
	case t == nil:
		return querySplitReply(code.AppNotExist, noTable(q.AppName)), nil
	case t.Status != catalog.StatusAvailable:
		return querySplitReply(code.AppDropped, "the table is not available"), nil
	case !t.Splitting():
		return querySplitReply(code.InvalidState, "the table is not splitting"), nil
	}
	r := querySplitReply(code.OK, strings.Join(s.splitTroubles(t), "; "))
	r.NewPartitionCount_ = t.PartitionCount
	for i := range t.SplitFrom {
		switch st := t.Partitions[i].Split; st {
		case catalog.SplitNone:
		case catalog.SplitCut:
			r.Status[i] = admin.SplitStatus_SPLITTING
		default:
			r.Status[i] = admin.SplitStatus(st)
		}
	}
	return r, nil
}

// maxSplitTroubles named in a hint.
const maxSplitTroubles = 8

func (s *Service) splitTroubles(t *catalog.Table) (out []string) {
	for i := range t.SplitFrom {
		if t.Partitions[i].Split == catalog.SplitNone {
			continue
		}
		if text := reconcile.SplitTrouble(t, i, s.o.Tracker); text != "" && len(out) < maxSplitTroubles {
			out = append(out, fmt.Sprintf("partition %d: %s", i, text))
		}
	}
	return out
}

func querySplitReply(c code.Code, hint string) *admin.QuerySplitResponse {
	r := &admin.QuerySplitResponse{Err: base.ErrorCodeOf(c), Status: map[int32]admin.SplitStatus{}}
	if hint != "" {
		r.HintMsg = &hint
	}
	return r
}
