package service

import (
	"context"
	"path/filepath"
	"sort"
	"time"

	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
	"github.com/arionkv/arion/internal/rpc"
	"github.com/arionkv/arion/replica/host"
)

// memberTimeout bounds a membership change: the meta leader asks again.
const memberTimeout = 10 * time.Second

func (s *Service) registerNode(m *rpc.Mux) {
	m.Handle(frame.RPCArionPoke, s.poke)
	m.Handle(frame.RPCArionStatus, s.status)
	m.Handle(frame.RPCArionChangeMember, s.changeMember)
	m.Handle(frame.RPCCLICall, s.remoteCommand)
	m.Handle(frame.RPCNegotiation, s.negotiate)
	m.Handle(frame.RPCQueryDiskInfo, s.diskInfo)
	m.Handle(frame.RPCReplicaDiskMigrate, s.diskMigrate)
	m.Handle(frame.RPCAddNewDisk, s.addDisk)
	m.Handle(frame.RPCDetectHotkey, s.detectHotkey)
	m.Handle(frame.RPCQueryReplicaInfo, s.replicaInfo)
	m.Handle(frame.RPCQueryAppInfo, s.tableInfo)
}

func (s *Service) poke(req *rpc.Request) {
	s.o.Host.Poke()
	req.Reply(&arion.PokeResponse{Err: base.ErrorCodeOf(code.OK)})
}

func (s *Service) status(req *rpc.Request) {
	req.Reply(&arion.StatusResponse{Err: base.ErrorCodeOf(code.OK), Node: s.o.Endpoint, Replicas: s.o.Host.Reports()})
}

// changeMember waits for raft, so it gets a goroutine of its own. The meta
// leader bounds how many of them there are.
func (s *Service) changeMember(req *rpc.Request) {
	arg := arion.NewChangeMemberRequest()
	if !req.DecodeOrFail(arg) {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), memberTimeout)
		defer cancel()
		resp := &arion.ChangeMemberResponse{Err: base.ErrorCodeOf(code.OK)}
		if err := s.o.Host.ChangeMember(ctx, arg); err != nil {
			resp.Err, resp.Hint = base.ErrorCodeOf(code.Of(err)), err.Error()
		}
		req.Reply(resp)
	}()
}

// remoteCommand runs apart from the connection: a command may take its time.
func (s *Service) remoteCommand(req *rpc.Request) {
	cmd := admin.NewCommand()
	if !req.DecodeOrFail(cmd) {
		return
	}
	go func() { req.Reply(&base.String{V: s.o.Commands.Call(cmd.Cmd, cmd.Arguments)}) }()
}

// negotiate tells clients configured for Kerberos that none is needed here.
func (s *Service) negotiate(req *rpc.Request) {
	req.Reply(&admin.NegotiationResponse{Status: admin.NegotiationStatus_SASL_AUTH_DISABLE, Msg: &base.Blob{}})
}

const megabyte = 1 << 20

// diskTag names the only disk of a node in the admin tools.
const diskTag = "data"

func (s *Service) diskInfo(req *rpc.Request) {
	arg := admin.NewQueryDiskInfoRequest()
	if !req.DecodeOrFail(arg) {
		return
	}
	leaders, followers := map[int32][]*base.Gpid{}, map[int32][]*base.Gpid{}
	s.o.Host.Each(func(table, index int32, r *host.Replica) {
		if arg.AppName != "" && r.Table().Name != arg.AppName {
			return
		}
		held := followers
		if r.Leading() {
			held = leaders
		}
		held[table] = append(held[table], &base.Gpid{AppID: table, PartitionIndex: index})
	})
	if arg.AppName != "" && len(leaders)+len(followers) == 0 {
		req.Reply(&admin.QueryDiskInfoResponse{Err: base.ErrorCodeOf(code.ObjectNotFound)})
		return
	}
	capacity, available := s.o.Disk.Space()
	req.Reply(&admin.QueryDiskInfoResponse{
		Err:             base.ErrorCodeOf(code.OK),
		TotalCapacityMb: capacity / megabyte, TotalAvailableMb: available / megabyte,
		DiskInfos: []*admin.DiskInfo{{
			Tag: diskTag, FullDir: filepath.Clean(s.o.Disk.Dir()),
			DiskCapacityMb: capacity / megabyte, DiskAvailableMb: available / megabyte,
			HoldingPrimaryReplicas: leaders, HoldingSecondaryReplicas: followers,
		}},
	})
}

// A node has one data directory; more disks are put under it by the volume
// manager, so the two disk operations of the admin tools are refused.
const oneDisk = "an Arion node has one data directory: grow the volume under it, or add a node"

func (s *Service) diskMigrate(req *rpc.Request) {
	hint := oneDisk
	req.Reply(&admin.ReplicaDiskMigrateResponse{Err: base.ErrorCodeOf(code.InvalidParameters), Hint: &hint})
}

func (s *Service) addDisk(req *rpc.Request) {
	hint := oneDisk
	req.Reply(&admin.AddNewDiskResponse{Err: base.ErrorCodeOf(code.InvalidParameters), ErrHint: &hint})
}

func (s *Service) replicaInfo(req *rpc.Request) {
	resp := &admin.QueryReplicaInfoResponse{Err: base.ErrorCodeOf(code.OK)}
	for _, r := range s.o.Host.Reports() {
		status := admin.PartitionStatus_PS_SECONDARY
		switch {
		case r.State != arion.ReplicaState_SERVING:
			status = admin.PartitionStatus_PS_INACTIVE
		case r.LeaderReplicaID == r.ReplicaID:
			status = admin.PartitionStatus_PS_PRIMARY
		}
		resp.Replicas = append(resp.Replicas, &admin.ReplicaInfo{
			Pid:    &base.Gpid{AppID: r.TableID, PartitionIndex: r.PartitionIndex},
			Ballot: r.Term, Status: status, AppType: "pegasus", DiskTag: diskTag,
			LastCommittedDecree: r.AppliedIndex, LastPreparedDecree: r.AppliedIndex, LastDurableDecree: r.AppliedIndex,
		})
	}
	req.Reply(resp)
}

func (s *Service) tableInfo(req *rpc.Request) {
	resp := &admin.QueryAppInfoResponse{Err: base.ErrorCodeOf(code.OK)}
	for _, t := range s.o.Host.Tables() {
		if !t.Dropped {
			resp.Apps = append(resp.Apps, &admin.AppInfo{
				Status: admin.AppStatus_AS_AVAILABLE, AppType: "pegasus", AppName: t.Name,
				AppID: t.ID, PartitionCount: t.PartitionCount, IsStateful: true, InitPartitionCount: -1,
			})
		}
	}
	sort.Slice(resp.Apps, func(i, j int) bool { return resp.Apps[i].AppID < resp.Apps[j].AppID })
	req.Reply(resp)
}
