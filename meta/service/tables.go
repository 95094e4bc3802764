package service

import (
	"context"
	"errors"
	"strings"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/meta/catalog"
	"github.com/arionkv/arion/meta/env"
	"github.com/arionkv/arion/meta/placement"
)

const tableType = "pegasus" // app_type, the same for every table

// createTable makes a table and answers once every partition has a leader at work.
func (s *Service) createTable(ctx context.Context, q *admin.ConfigurationCreateAppRequest) (*admin.ConfigurationCreateAppResponse, error) {
	cmd, c := createCommand(q, s.o.Now().Unix())
	if c != code.OK {
		return createReply(c, 0), nil
	}
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	if r := cmd.Check(state); r.Code != code.OK || r.TableID != 0 {
		return createReply(r.Code, r.TableID), nil
	}
	cmd.Placement, err = s.place(ctx, int(cmd.PartitionCount), int(cmd.ReplicaCount))
	if errors.Is(err, placement.ErrNotEnoughNodes) {
		return createReply(code.InvalidParameters, 0), nil
	}
	if err != nil {
		return nil, err
	}
	r, err := s.o.Group.Propose(ctx, cmd)
	if err != nil || r.Code != code.OK {
		return createReply(r.Code, 0), err
	}
	if err := s.awaitAvailable(ctx, r.TableID); err != nil {
		return nil, err
	}
	return createReply(code.OK, r.TableID), nil
}

// place plans over the live nodes. A server that has just begun to lead waits for nodes it has not heard of yet: "too few
// nodes" is an answer that clients take for final.
func (s *Service) place(ctx context.Context, partitions, replicas int) ([][]int64, error) {
	for {
		changed := s.o.Tracker.Changed()
		plan, err := placement.Table(s.candidates(s.o.Group.State()), partitions, replicas)
		if !errors.Is(err, placement.ErrNotEnoughNodes) || !s.o.Tracker.Young() {
			return plan, err
		}
		if !pause(ctx, changed) {
			return nil, err
		}
	}
}

func createCommand(q *admin.ConfigurationCreateAppRequest, now int64) (*catalog.CreateTable, code.Code) {
	o := q.Options
	if o == nil || (o.AppType != "" && o.AppType != tableType) || !o.IsStateful || o.AtomicIdempotent {
		return nil, code.InvalidParameters
	}
	if env.CheckAll(o.Envs) != nil {
		return nil, code.InvalidParameters
	}
	return &catalog.CreateTable{
		Name: q.AppName, PartitionCount: o.PartitionCount, ReplicaCount: o.ReplicaCount,
		SuccessIfExist: o.SuccessIfExist, Envs: o.Envs, NowUnixSec: now,
	}, code.OK
}

func createReply(c code.Code, id int32) *admin.ConfigurationCreateAppResponse {
	return &admin.ConfigurationCreateAppResponse{Err: base.ErrorCodeOf(c), Appid: id}
}

// candidates are the nodes that may take replicas now, with what they carry.
func (s *Service) candidates(state *catalog.State) []placement.Node {
	held, leads := map[int64]int{}, map[int64]int{}
	for _, t := range state.Tables() {
		if !t.Live() {
			continue
		}
		for i := range t.Partitions {
			for j, r := range t.Partitions[i].Replicas {
				held[r.NodeID]++
				if j == 0 {
					leads[r.NodeID]++
				}
			}
		}
	}
	var out []placement.Node
	for _, n := range state.Nodes() {
		if n.State == catalog.NodeActive && s.o.Tracker.Alive(n.ID) && !s.o.Tracker.Draining(n.ID) {
			out = append(out, placement.Node{ID: n.ID, Zone: n.Zone, Replicas: held[n.ID], Leaders: leads[n.ID]})
		}
	}
	return out
}

// awaitAvailable waits until a table serves. The reconciler of whichever meta server leads brings it there; losing the
// leadership meanwhile does not matter.
func (s *Service) awaitAvailable(ctx context.Context, id int32) error {
	for {
		changed := s.o.Group.Changed()
		t := s.o.Group.State().Table(id)
		switch {
		case t == nil:
			return code.Errorf(code.Timeout, "the table did not come up in time and was taken away")
		case t.Status == catalog.StatusAvailable:
			return nil
		case t.Status == catalog.StatusDropped:
			return code.Errorf(code.AppDropped, "the table was dropped meanwhile")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (s *Service) dropTable(ctx context.Context, q *admin.ConfigurationDropAppRequest) (*admin.ConfigurationDropAppResponse, error) {
	cmd := &catalog.DropTable{Name: q.AppName, NowUnixSec: s.o.Now().Unix(), ReserveSec: int64(s.o.Reserve.Seconds())}
	if o := q.Options; o != nil {
		cmd.SuccessIfNotExist = o.SuccessIfNotExist
		if o.ReserveSeconds != nil && *o.ReserveSeconds > 0 {
			cmd.ReserveSec = *o.ReserveSeconds
		}
	}
	r, err := s.o.Group.Propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	s.awaitNodes(ctx, r)
	return dropReply(r.Code, ""), nil
}

func dropReply(c code.Code, _ string) *admin.ConfigurationDropAppResponse {
	return &admin.ConfigurationDropAppResponse{Err: base.ErrorCodeOf(c)}
}

func (s *Service) recallTable(ctx context.Context, q *admin.ConfigurationRecallAppRequest) (*admin.ConfigurationRecallAppResponse, error) {
	r, err := s.o.Group.Propose(ctx, &catalog.RecallTable{TableID: q.AppID, NewName: q.NewAppName_, NowUnixSec: s.o.Now().Unix()})
	if err != nil {
		return nil, err
	}
	if r.Code != code.OK {
		return recallReply(r.Code, r.Hint), nil
	}
	info := appInfo(s.o.Group.State().Table(r.TableID))
	if err := s.awaitAvailable(ctx, r.TableID); err != nil {
		return nil, err
	}
	info.Status = admin.AppStatus_AS_AVAILABLE // the times of the drop stay in this one reply, as upstream has it
	return &admin.ConfigurationRecallAppResponse{Err: base.ErrorCodeOf(code.OK), Info: info}, nil
}

func recallReply(c code.Code, _ string) *admin.ConfigurationRecallAppResponse {
	return &admin.ConfigurationRecallAppResponse{Err: base.ErrorCodeOf(c), Info: admin.NewAppInfo()}
}

func (s *Service) renameTable(ctx context.Context, q *admin.ConfigurationRenameAppRequest) (*admin.ConfigurationRenameAppResponse, error) {
	r, err := s.o.Group.Propose(ctx, &catalog.RenameTable{OldName: q.OldAppName, NewName: q.NewAppName_})
	if err != nil {
		return nil, err
	}
	return renameReply(r.Code, r.Hint), nil
}

func renameReply(c code.Code, hint string) *admin.ConfigurationRenameAppResponse {
	return &admin.ConfigurationRenameAppResponse{Err: base.ErrorCodeOf(c), HintMessage: hint}
}

func (s *Service) listTables(ctx context.Context, q *admin.ConfigurationListAppsRequest) (*admin.ConfigurationListAppsResponse, error) {
	match, c := matcher(q)
	if c != code.OK {
		return listReply(c, "this kind of pattern is not supported"), nil
	}
	state, err := s.o.Group.Barrier(ctx)
	if err != nil {
		return nil, err
	}
	r := listReply(code.OK, "")
	for _, t := range state.Tables() {
		if (q.Status == admin.AppStatus_AS_INVALID || q.Status == admin.AppStatus(t.Status)) && match(t.Name) {
			r.Infos = append(r.Infos, appInfo(t))
		}
	}
	return r, nil
}

func listReply(c code.Code, hint string) *admin.ConfigurationListAppsResponse {
	r := &admin.ConfigurationListAppsResponse{Err: base.ErrorCodeOf(c), Infos: []*admin.AppInfo{}}
	if hint != "" {
		r.HintMessage = &hint
	}
	return r
}

// matcher gives the test of a table name that the request asks for.
func matcher(q *admin.ConfigurationListAppsRequest) (func(string) bool, code.Code) {
	all := func(string) bool { return true }
	if q.MatchType == nil {
		return all, code.OK
	}
	pattern := q.GetAppNamePattern()
	switch *q.MatchType {
	case admin.PatternMatchType_PMT_MATCH_ALL:
		return all, code.OK
	case admin.PatternMatchType_PMT_MATCH_EXACT:
		return func(name string) bool { return name == pattern }, code.OK
	case admin.PatternMatchType_PMT_MATCH_ANYWHERE:
		return func(name string) bool { return strings.Contains(name, pattern) }, code.OK
	case admin.PatternMatchType_PMT_MATCH_PREFIX:
		return func(name string) bool { return strings.HasPrefix(name, pattern) }, code.OK
	case admin.PatternMatchType_PMT_MATCH_POSTFIX:
		return func(name string) bool { return strings.HasSuffix(name, pattern) }, code.OK
	case admin.PatternMatchType_PMT_MATCH_REGEX:
		return nil, code.NotImplemented
	}
	return nil, code.InvalidParameters
}

// appInfo describes a table as the admin tools know it.
func appInfo(t *catalog.Table) *admin.AppInfo {
	envs := t.Envs
	if envs == nil {
		envs = map[string]string{}
	}
	info := admin.NewAppInfo()
	info.Status, info.AppType, info.AppName, info.AppID = admin.AppStatus(t.Status), tableType, t.Name, t.ID
	info.PartitionCount, info.MaxReplicaCount = t.PartitionCount, t.ReplicaCount
	// The recorded recall shows that a table never split says its count, not -1.
	info.InitPartitionCount = t.InitPartitionCount
	info.Envs, info.IsStateful = envs, true
	info.CreateSecond, info.DropSecond, info.ExpireSecond = t.CreateUnixSec, t.DropUnixSec, t.ExpireUnixSec
	return info
}
