package service

import (
	"context"
	"strings"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/env"
)

// updateEnvs sets, deletes or clears settings of a table.
func (s *Service) updateEnvs(ctx context.Context, q *admin.ConfigurationUpdateAppEnvRequest) (*admin.ConfigurationUpdateAppEnvResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	if state.TableNamed(q.AppName) == nil {
		return envReply(code.AppNotExist, "app cannot be found"), nil // upstream's words, scripts know them
	}
	cmd, hint := envCommand(q)
	if hint != "" {
		return envReply(code.InvalidParameters, hint), nil
	}
	r, err := s.o.Group.Propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	s.awaitNodes(ctx, r)
	if r.Code == code.OK && cmd.Op != catalog.EnvSet {
		r.Hint = removedHint(r.Keys)
	}
	return envReply(r.Code, r.Hint), nil
}

func envReply(c code.Code, hint string) *admin.ConfigurationUpdateAppEnvResponse {
	return &admin.ConfigurationUpdateAppEnvResponse{Err: base.ErrorCodeOf(c), HintMessage: hint}
}

// envCommand translates the request; hint says what is wrong with it.
func envCommand(q *admin.ConfigurationUpdateAppEnvRequest) (cmd *catalog.UpdateEnvs, hint string) {
	cmd = &catalog.UpdateEnvs{Name: q.AppName, Keys: q.Keys}
	switch q.Op {
	case admin.AppEnvOperation_APP_ENV_OP_SET:
		cmd.Op, cmd.Values = catalog.EnvSet, q.Values
		return cmd, checkSet(q.Keys, q.Values)
	case admin.AppEnvOperation_APP_ENV_OP_DEL:
		cmd.Op = catalog.EnvDel
		if len(q.Keys) == 0 {
			return cmd, "no keys given"
		}
		return cmd, ""
	case admin.AppEnvOperation_APP_ENV_OP_CLEAR:
		cmd.Op = catalog.EnvClear
		if q.ClearPrefix == nil {
			return cmd, "no prefix given"
		}
		cmd.Prefix = *q.ClearPrefix
		return cmd, ""
	}
	return cmd, "unknown operation"
}

func checkSet(keys, values []string) string {
	if len(keys) == 0 || len(keys) != len(values) {
		return "as many values as keys are needed, and at least one"
	}
	for i, k := range keys {
		if err := env.Check(k, values[i]); err != nil {
			return err.Error()
		}
	}
	return ""
}

// removedHint is text that shells print as it comes and scripts read; its form is upstream's.
func removedHint(keys []string) string {
	if len(keys) == 0 {
		return "no key needs to be deleted"
	}
	return "deleted keys:\n    " + strings.Join(keys, "\n    ")
}
