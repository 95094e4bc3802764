package service

import (
	"context"
	"fmt"
	"strconv"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
)

// The settings by which replica servers compact (META.md section 7.1).
const (
	envCompactDisabled   = "manual_compact.disabled"
	envCompactMaxRunning = "manual_compact.max_concurrent_running_count"
	envCompactTrigger    = "manual_compact.once.trigger_time"
	envCompactLevel      = "manual_compact.once.target_level"
	envCompactBottom     = "manual_compact.once.bottommost_level_compaction"
)

// startCompaction asks every replica of a table for a compaction. It writes the settings that the replica servers act on, so
// that a node which is away now does its part when it comes back.
func (s *Service) startCompaction(ctx context.Context, q *admin.StartAppManualCompactRequest) (*admin.StartAppManualCompactResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	if _, c, hint := compactable(state, q.AppName); c != code.OK {
		return startCompactionReply(c, hint), nil
	}
	cmd, hint := compactionCommand(q, s.o.Now().Unix())
	if hint != "" {
		return startCompactionReply(code.InvalidParameters, hint), nil
	}
	r, err := s.o.Group.Propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	s.awaitNodes(ctx, r)
	if r.Code != code.OK {
		return startCompactionReply(r.Code, r.Hint), nil
	}
	return startCompactionReply(code.OK, "succeed"), nil
}

func startCompactionReply(c code.Code, hint string) *admin.StartAppManualCompactResponse {
	return &admin.StartAppManualCompactResponse{Err: base.ErrorCodeOf(c), HintMsg: hint}
}

// compactable finds a table that may be compacted.
func compactable(state *catalog.State, name string) (*catalog.Table, code.Code, string) {
	t := state.TableNamed(name)
	switch {
	case t == nil:
		return nil, code.AppNotExist, noTable(name)
	case t.Status != catalog.StatusAvailable:
		return nil, code.AppDropped, "the table is not available"
	}
	if disabled, _ := strconv.ParseBool(t.Envs[envCompactDisabled]); disabled {
		return nil, code.OperationDisabled, "the table's env " + envCompactDisabled + " forbids it"
	}
	return t, code.OK, ""
}

// compactionCommand translates the request; hint says what is wrong with it.
func compactionCommand(q *admin.StartAppManualCompactRequest, now int64) (cmd *catalog.UpdateEnvs, hint string) {
	cmd = &catalog.UpdateEnvs{Name: q.AppName, Op: catalog.EnvSet}
	set := func(key, value string) { cmd.Keys, cmd.Values = append(cmd.Keys, key), append(cmd.Values, value) }
	if q.TargetLevel != nil && *q.TargetLevel != -1 {
		return cmd, "target_level must be -1: levels are chosen by the size of the data"
	}
	set(envCompactLevel, "-1")
	if q.MaxRunningCount != nil {
		switch n := *q.MaxRunningCount; {
		case n < 0:
			return cmd, "max_running_count must not be negative"
		case n > 0:
			set(envCompactMaxRunning, strconv.Itoa(int(n)))
		}
	}
	bottom := "skip"
	if q.GetBottommost() {
		bottom = "force"
	}
	set(envCompactBottom, bottom)
	trigger := now
	if q.TriggerTime != nil {
		trigger = *q.TriggerTime
	}
	if trigger <= 0 {
		return cmd, "trigger_time must be unix seconds"
	}
	set(envCompactTrigger, strconv.FormatInt(trigger, 10))
	return cmd, ""
}

// queryCompaction tells how many of a table's replicas have been compacted since the newest request, in percent.
func (s *Service) queryCompaction(ctx context.Context, q *admin.QueryAppManualCompactRequest) (*admin.QueryAppManualCompactResponse, error) {
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	t, c, hint := compactable(state, q.AppName)
	if c == code.OperationDisabled {
		c = code.InvalidState
	}
	if c != code.OK {
		return queryCompactionReply(c, hint), nil
	}
	trigger, _ := strconv.ParseInt(t.Envs[envCompactTrigger], 10, 64)
	if trigger <= 0 {
		return queryCompactionReply(code.InvalidState, "no manual compaction of the table was started"), nil
	}
	done, all := s.countCompacted(t, trigger)
	r := queryCompactionReply(code.OK, fmt.Sprintf("%d of %d replicas", done, all))
	progress := int32(100 * done / max(all, 1))
	r.Progress = &progress
	return r, nil
}

func queryCompactionReply(c code.Code, hint string) *admin.QueryAppManualCompactResponse {
	return &admin.QueryAppManualCompactResponse{Err: base.ErrorCodeOf(c), HintMsg: hint}
}

// countCompacted counts replicas whose last compaction began at the trigger or later. One that nobody reports is not done.
func (s *Service) countCompacted(t *catalog.Table, trigger int64) (done, all int) {
	for i := range t.Partitions {
		for _, r := range t.Partitions[i].Replicas {
			all++
			if report := s.o.Tracker.Report(r.NodeID, t.ID, int32(i), r.ID); report != nil && report.CompactedUnixSec >= trigger {
				done++
			}
		}
	}
	return done, all
}

// usageScenarioEnv is set by the path below.
const usageScenarioEnv = "rocksdb.usage_scenario"

// compactionPage serves POST /meta/app/start_compaction.
func (s *Service) compactionPage(ctx context.Context, body map[string]any) (code.Code, string, error) {
	q := admin.NewStartAppManualCompactRequest()
	q.AppName = textOf(body, "app_name")
	if v, ok := body["trigger_time"]; ok {
		at, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
		if err != nil {
			return code.InvalidParameters, "trigger_time must be unix seconds", nil
		}
		q.TriggerTime = &at
	}
	bottom := textOf(body, "bottommost_level_compaction") == "force"
	q.Bottommost = &bottom
	r, err := s.startCompaction(ctx, q)
	if err != nil {
		return code.OK, "", err
	}
	return r.Err.Code(), r.HintMsg, nil
}

// scenarioPage serves POST /meta/app/usage_scenario.
func (s *Service) scenarioPage(ctx context.Context, body map[string]any) (code.Code, string, error) {
	r, err := s.updateEnvs(ctx, &admin.ConfigurationUpdateAppEnvRequest{
		AppName: textOf(body, "app_name"), Op: admin.AppEnvOperation_APP_ENV_OP_SET,
		Keys: []string{usageScenarioEnv}, Values: []string{textOf(body, "scenario")},
	})
	if err != nil {
		return code.OK, "", err
	}
	return r.Err.Code(), r.HintMessage, nil
}

func textOf(body map[string]any, name string) string {
	text, _ := body[name].(string)
	return text
}
