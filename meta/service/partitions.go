package service

import (
	"context"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
)

// getReplicaCount answers how many replicas a table wants per partition.
func (s *Service) getReplicaCount(ctx context.Context, q *admin.ConfigurationGetMaxReplicaCountRequest) (*admin.ConfigurationGetMaxReplicaCountResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	t := state.TableNamed(q.AppName)
	if t == nil {
		return getCountReply(code.AppNotExist, noTable(q.AppName)), nil
	}
	r := getCountReply(code.OK, "")
	r.MaxReplicaCount = t.ReplicaCount
	return r, nil
}

func noTable(name string) string { return "table \"" + name + "\" does not exist" }

func getCountReply(c code.Code, hint string) *admin.ConfigurationGetMaxReplicaCountResponse {
	return &admin.ConfigurationGetMaxReplicaCountResponse{Err: base.ErrorCodeOf(c), HintMessage: hint}
}

// setReplicaCount changes how many replicas each partition of a table should have. The answer comes as soon as it is
// decided; the partitions follow one by one, and the env max_replica_count.update tells until when.
func (s *Service) setReplicaCount(ctx context.Context, q *admin.ConfigurationSetMaxReplicaCountRequest) (*admin.ConfigurationSetMaxReplicaCountResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	t := state.TableNamed(q.AppName)
	if t == nil {
		return setCountReply(code.AppNotExist, noTable(q.AppName)), nil
	}
	if int(q.MaxReplicaCount) > len(s.candidates(state)) && q.MaxReplicaCount > t.ReplicaCount {
		r := setCountReply(code.InvalidParameters, "there are fewer nodes alive than that")
		r.OldMaxReplicaCount = t.ReplicaCount
		return r, nil
	}
	done, err := s.o.Group.Propose(ctx, &catalog.SetReplicaCount{Name: q.AppName, Count: q.MaxReplicaCount})
	if err != nil {
		return nil, err
	}
	r := setCountReply(done.Code, done.Hint)
	r.OldMaxReplicaCount = t.ReplicaCount
	return r, nil
}

func setCountReply(c code.Code, hint string) *admin.ConfigurationSetMaxReplicaCountResponse {
	return &admin.ConfigurationSetMaxReplicaCountResponse{Err: base.ErrorCodeOf(c), HintMessage: hint}
}

// getIdempotent answers false for every table: atomic writes are applied from the log in one order on every replica, and
// need no rewriting.
func (s *Service) getIdempotent(ctx context.Context, q *admin.ConfigurationGetAtomicIdempotentRequest) (*admin.ConfigurationGetAtomicIdempotentResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	if state.TableNamed(q.AppName) == nil {
		return getIdempotentReply(code.AppNotExist, noTable(q.AppName)), nil
	}
	return getIdempotentReply(code.OK, ""), nil
}

func getIdempotentReply(c code.Code, hint string) *admin.ConfigurationGetAtomicIdempotentResponse {
	return &admin.ConfigurationGetAtomicIdempotentResponse{Err: base.ErrorCodeOf(c), HintMessage: hint}
}

func (s *Service) setIdempotent(ctx context.Context, q *admin.ConfigurationSetAtomicIdempotentRequest) (*admin.ConfigurationSetAtomicIdempotentResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	t := state.TableNamed(q.AppName)
	switch {
	case t == nil:
		return setIdempotentReply(code.AppNotExist, noTable(q.AppName)), nil
	case t.Status != catalog.StatusAvailable:
		return setIdempotentReply(code.InvalidState, "the table is not available"), nil
	case state.Settings.Level <= catalog.LevelFreezed:
		return setIdempotentReply(code.StateFreezed, "the meta level is "+state.Settings.Level.String()), nil
	case !q.AtomicIdempotent:
		return setIdempotentReply(code.OK, "it is off already: nothing to do"), nil
	}
	return setIdempotentReply(code.OperationDisabled, "atomic writes need no rewriting here: they are applied in one order on every replica"), nil
}

func setIdempotentReply(c code.Code, hint string) *admin.ConfigurationSetAtomicIdempotentResponse {
	return &admin.ConfigurationSetAtomicIdempotentResponse{Err: base.ErrorCodeOf(c), HintMessage: hint}
}
